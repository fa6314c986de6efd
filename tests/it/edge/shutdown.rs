//! The end of a process: those who call it meanwhile lose nothing, and a stop does not take for ever.

use std::{
    io::{BufRead as _, BufReader, Lines},
    net::SocketAddr,
    process::{Child, ChildStdout, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use tokio::{io::AsyncReadExt as _, sync::Mutex, task::JoinSet};
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use withdrawd::{
    health::{LIVENESS, READINESS},
    pb::{CreateWithdrawRequest, withdraw_service_client::WithdrawServiceClient},
    runtime::{Clock as _, SystemClock},
};

use crate::{
    bench::binary::{Home, Service, test_variable, until},
    bench::http,
    bench::invoices::InvoiceDraft,
    bench::{StoreKind, new_postgres_database, postgres_url, store_kinds},
    edge::{
        clients::script,
        hostile_load::{HTTP2_HANDSHAKE, connect_and_say},
    },
};

/// A claim, and what its wallet was told.
#[derive(Clone)]
struct Claim {
    withdraw: String,
    ott: String,
    invoice: String,
    told: Option<Value>,
}

/// Asks for requests and claims them, one after the other, until the service is gone.
async fn customer(grpc: SocketAddr, lnurl: SocketAddr, claims: Arc<Mutex<Vec<Claim>>>) {
    let channel = Endpoint::from_shared(format!("http://{grpc}")).unwrap().connect_lazy();
    let mut client = WithdrawServiceClient::new(channel);
    loop {
        let ten = CreateWithdrawRequest { max_amount: "10".into(), ..Default::default() };
        let made = match client.create_withdraw(ten).await {
            Ok(made) => made.into_inner(),
            Err(status) => {
                assert!(
                    status.code() == Code::Unavailable || was_never_sent(&status),
                    "{status:?}"
                );
                return;
            }
        };
        let invoice = InvoiceDraft::new(10_000, SystemClock::new().now()).build();
        let target = format!("/cb?k1={}&pr={invoice}", made.ott);
        let told = ask(lnurl, &target).await;
        let gone = told.is_none();
        claims.lock().await.push(Claim { withdraw: made.id, ott: made.ott, invoice, told });
        if gone {
            return;
        }
    }
}

/// A grpcio client in a process of its own.
struct Caller {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Caller {
    /// It has been answered once when this returns.
    fn new(python: &str, service: &Service) -> Self {
        let mut caller = script(python, "caller.py");
        caller.arg(service.grpc.to_string()).stdout(Stdio::piped());
        let mut child = caller.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut caller = Self { child, lines };
        assert_eq!(caller.next()["made"], 1);
        caller
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What tonic's client makes of a connection that the server has said farewell on (GOAWAY) before the call
/// was sent; other clients send it on another one.
fn was_never_sent(status: &tonic::Status) -> bool {
    let said = format!("{status:?}");
    status.code() == Code::Cancelled && said.contains("Canceled, \"connection closed\"")
        || status.code() == Code::Internal && said.contains("GoAway(b\"\", NO_ERROR, Remote)")
}

/// None: nobody answers any more. Half an answer is none that a server may give.
async fn ask(lnurl: SocketAddr, target: &str) -> Option<Value> {
    let text = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = http::raw(lnurl, text.as_bytes()).await.ok()?;
    (!answer.head.is_empty()).then(|| answer.json())
}

fn serve(home: &Home, database: &str, wait_ms: &str) -> Service {
    let settings = [
        ("WITHDRAWD__STORE__DATABASE_URL", database),
        ("WITHDRAWD__SHUTDOWN__WAIT_MS", wait_ms),
        ("WITHDRAWD__LOG__FORMAT", "json"),
    ];
    home.serve_with(&[], &settings)
}

async fn database_of(kind: StoreKind) -> String {
    match kind {
        StoreKind::Sqlite => String::new(),
        StoreKind::Postgres => new_postgres_database().await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_under_traffic_fails_no_call_and_loses_no_claim() {
    for kind in store_kinds() {
        let (home, database) = (Home::new(), database_of(kind).await);
        let mut service = serve(&home, &database, "200");
        let claims = Arc::new(Mutex::new(Vec::new()));
        let mut customers = JoinSet::new();
        for _ in 0..6 {
            customers.spawn(customer(service.grpc, service.lnurl, Arc::clone(&claims)));
        }
        let mut caller =
            test_variable("WITHDRAWD_TEST_PYTHON").map(|python| Caller::new(&python, &service));
        until("traffic", || claims.try_lock().ok().filter(|claims| claims.len() > 30).map(drop));
        service.send_signal("TERM");
        // Whoever saw anything but UNAVAILABLE panics here.
        while let Some(done) = customers.join_next().await {
            done.unwrap();
        }
        assert_eq!(service.wait().code(), Some(0), "{}", service.log());
        if let Some(caller) = &mut caller {
            assert_eq!(caller.next()["code"], "UNAVAILABLE");
        }

        let service = serve(&home, &database, "0");
        let claims = claims.lock().await.clone();
        let ok = json!({ "status": "OK" });
        assert!(claims.iter().filter(|claim| claim.told.as_ref() == Some(&ok)).count() > 30);
        for Claim { withdraw, ott, invoice, told } in claims {
            match told {
                Some(told) => assert_eq!(told, ok),
                // Cut off: the wallet taps again.
                None => assert_eq!(
                    ask(service.lnurl, &format!("/cb?k1={ott}&pr={invoice}")).await,
                    Some(ok.clone())
                ),
            }
            let paid = service.paid(&json!(withdraw));
            assert_eq!(paid["payment"]["invoice"], json!(invoice));
        }
    }
}

/// A statement that the database does not finish holds a connection: a stop says so, and ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_keeps_a_statement_does_not_keep_the_process() {
    if postgres_url().is_none() {
        return eprintln!("SKIPPED: no Postgres");
    }
    let (home, database) = (Home::new(), new_postgres_database().await);
    let settings = [
        ("WITHDRAWD__STORE__DATABASE_URL", database.as_str()),
        ("WITHDRAWD__STORE__STATEMENT_TIMEOUT_MS", "600000"),
        ("WITHDRAWD__SHUTDOWN__DRAIN_MS", "1000"),
    ];
    let mut service = home.serve_with(&[], &settings);
    let mut other = PgConnection::connect(&database).await.unwrap();
    let mut held = other.begin().await.unwrap();
    sqlx::query("lock table withdraws in access exclusive mode").execute(&mut *held).await.unwrap();
    let lnurl = service.lnurl;
    let scan = tokio::spawn(async move { ask(lnurl, "/w/nobody").await });
    let waiting = "select count(*) from pg_locks l join pg_class c on c.oid = l.relation
        where c.relname = 'withdraws' and not l.granted";
    let patience = Instant::now() + Duration::from_secs(30);
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *held).await.unwrap() == 0 {
        assert!(Instant::now() < patience, "{}", service.log());
    }
    service.send_signal("TERM");
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    assert!(service.stderr().contains("stopping with statements under way"), "{}", service.log());
    scan.abort();
}

/// Whoever connected ahead of a call, with or without a handshake, has nothing under way.
#[tokio::test]
async fn clients_that_have_not_called_do_not_delay_a_stop() {
    let home = Home::new();
    let mut service = serve(&home, "", "0");
    let silent = connect_and_say(service.grpc, b"").await;
    let mut greeted = connect_and_say(service.grpc, HTTP2_HANDSHAKE).await;
    // Both are accepted once the later one is answered.
    greeted.read_u8().await.unwrap();
    service.send_signal("TERM");
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    assert!(!service.stderr().contains("stopping with"), "{}", service.log());
    assert!(!service.stderr().contains("cut off at shutdown"), "{}", service.log());
    drop((silent, greeted));
}

/// While a load balancer notices, everything is served as before; a second signal does not wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_at_once_what_the_first_began() {
    let home = Home::new();
    let mut service = serve(&home, "", "600000");
    let made = service.create("10");
    let channel = Endpoint::from_shared(service.server()).unwrap().connect_lazy();
    let mut health = HealthClient::new(channel);
    let mut told = async |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        health.check(request).await.unwrap().into_inner().status()
    };
    assert_eq!(told(READINESS).await, ServingStatus::Serving);
    assert_eq!(told("").await, ServingStatus::Serving);
    service.send_signal("TERM");
    let patience = Instant::now() + Duration::from_secs(30);
    while told(READINESS).await == ServingStatus::Serving {
        assert!(Instant::now() < patience, "{}", service.log());
        tokio::task::yield_now().await;
    }
    // Whoever asks for the server as a whole is sent elsewhere, and nobody kills it for that.
    assert_eq!(told("").await, ServingStatus::NotServing);
    assert_eq!(told(LIVENESS).await, ServingStatus::Serving);
    service.json(&["claim", made["withdraw_request"].as_str().unwrap()]);
    service.paid(&made["id"]);

    service.send_signal("TERM");
    assert_eq!(service.wait().code(), Some(0), "{}", service.log());
    assert!(service.stderr().contains("stopping at once"), "{}", service.log());
}
