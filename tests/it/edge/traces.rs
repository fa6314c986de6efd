//! Traces: the spans and log lines of one withdrawal belong together. (`trace_export.rs` has where spans
//! go, and what becomes of them on the way.)

use std::{fs, str::FromStr};

use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tonic::Request;
use withdrawd::{
    pb::{CreateWithdrawRequest, payment::State, withdraw_service_client::WithdrawServiceClient},
    runtime::{Clock, SystemClock},
};

use crate::{
    bench::binary::{Home, Service},
    bench::collector::{Collector, ReceivedSpan},
    bench::daemon::on_every_store,
    bench::http,
    bench::invoices::InvoiceDraft,
    bench::lab::eventually,
    bench::{StoreKind, new_postgres_database, postgres_url, store_kinds},
};

pub const CREATOR: &str = "0af7651916cd43dd8448eb211c80319c";
pub const WALLET: &str = "1bf7651916cd43dd8448eb211c80319d";
const CALLER_SPAN: &str = "b7ad6b7169203331";
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const CONSUMER: i32 = 5;

fn parent(trace: &str, sampled: bool) -> String {
    format!("00-{trace}-{CALLER_SPAN}-{:02x}", u8::from(sampled))
}

/// The binary on this kind of store, with these variables of OpenTelemetry.
pub async fn serve(home: &Home, kind: StoreKind, variables: &[(&str, &str)]) -> Service {
    let url = match kind {
        StoreKind::Sqlite => String::new(),
        StoreKind::Postgres => new_postgres_database().await,
    };
    let mut environment = vec![("WITHDRAWD__STORE__DATABASE_URL", url.as_str())];
    environment.extend(variables);
    home.serve_with(&[], &environment)
}

/// A withdrawal from its creation to the money, every call with a `traceparent` of its own.
pub struct TracedWithdrawal {
    id: Value,
    secret: String,
    invoice: String,
    preimage: String,
}

pub async fn withdraw(service: &Service, sampled: bool) -> TracedWithdrawal {
    let mut client = WithdrawServiceClient::connect(service.server()).await.unwrap();
    let message =
        CreateWithdrawRequest { max_amount: "1000".to_owned(), ..CreateWithdrawRequest::default() };
    let mut request = Request::new(message);
    request.metadata_mut().insert("traceparent", parent(CREATOR, sampled).parse().unwrap());
    let made = client.create_withdraw(request).await.unwrap().into_inner();
    let (id, secret) = (json!(made.id), made.ott);

    let offer = wallet_gets(service, &format!("/w/{secret}"), sampled).await;
    assert_eq!(offer["tag"], "withdrawRequest", "{offer}");
    let invoice = InvoiceDraft::new(1_000_000, SystemClock::new().now()).build();
    let answer = wallet_gets(service, &format!("/cb?k1={secret}&pr={invoice}"), sampled).await;
    assert_eq!(answer, json!({ "status": "OK" }));
    let paid = service.paid(&id);
    let preimage = paid["payment"]["preimage"].as_str().unwrap().to_owned();
    TracedWithdrawal { id, secret, invoice, preimage }
}

async fn wallet_gets(service: &Service, target: &str, sampled: bool) -> Value {
    let parent = parent(WALLET, sampled);
    let text = format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\ntraceparent: {parent}\r\nConnection: close\r\n\r\n"
    );
    http::raw(service.lnurl, text.as_bytes()).await.unwrap().json()
}

/// What is logged with this message, as JSON.
pub fn lines(service: &Service, so: impl Fn(&Value) -> bool) -> Vec<Value> {
    let log = service.stderr();
    let lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    lines.filter(so).collect()
}

pub fn one_line(service: &Service, key: &str, value: &str) -> Value {
    let found = lines(service, |line| line[key] == value);
    assert_eq!(found.len(), 1, "{key} = {value}: {}", service.stderr());
    found[0].clone()
}

/// Created in one trace, scanned and claimed in another, paid in a third: their links show that it is
/// one withdrawal, and what each of them took is below it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_spans_of_a_withdrawal_link_to_each_other() {
    for kind in store_kinds() {
        eprintln!("on {kind:?}:");
        let (home, collector) = (Home::new(), Collector::start().await);
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=payouts".to_owned()),
            // The stop alone hands the spans over.
            ("OTEL_BSP_SCHEDULE_DELAY", "3600000".to_owned()),
            // Whatever is logged, spans are collected.
            ("WITHDRAWD__LOG__LEVEL", "warn,withdrawd::service=info".to_owned()),
        ];
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut service = serve(&home, kind, &variables).await;
        let story = withdraw(&service, true).await;
        assert!(collector.spans().is_empty());
        assert!(service.terminate().success());

        the_calls_continue_their_callers(&collector, kind);
        the_payment_goes_back_to_both(&collector, &story);
        let key = std::fs::read_to_string(home.data("master.key")).unwrap();
        for secret in [&story.secret, &story.invoice, &story.preimage, key.trim()] {
            assert!(!collector.text().contains(secret), "a span tells {secret}");
            assert!(!service.stderr().contains(secret), "the log tells {secret}");
        }
        assert_eq!(collector.resource()["service.name"], "withdrawd");
        assert_eq!(collector.resource()["service.version"], env!("CARGO_PKG_VERSION"));
        let tenants = collector.headers("x-tenant");
        assert!(!tenants.is_empty() && tenants.iter().all(|tenant| tenant == "payouts"));
    }
}

fn the_calls_continue_their_callers(collector: &Collector, kind: StoreKind) {
    let create = collector.span_named("withdraw.v1.WithdrawService/CreateWithdraw");
    let system = match kind {
        StoreKind::Sqlite => "sqlite",
        StoreKind::Postgres => "postgresql",
    };
    assert_eq!((create.trace_id(), create.parent()), (CREATOR.into(), CALLER_SPAN.into()));
    assert_eq!(create.span.kind, SERVER);
    assert_eq!(create.attribute("rpc.system.name"), "grpc");
    assert_eq!(create.attribute("rpc.method"), "withdraw.v1.WithdrawService/CreateWithdraw");
    assert_eq!(create.attribute("rpc.response.status_code"), "OK");
    let begun = ["begin", "withdraw.create", "event.append"];
    // The first answered commit begins the marks of this process.
    let marked = ["writer.introduce", "mark.begin", "commit"];
    assert_eq!(collector.children_of(&create), [begun, marked].concat());
    let statement = collector.span_named("withdraw.create");
    assert_eq!(statement.span.kind, CLIENT);
    assert_eq!(statement.attribute("db.system.name"), system);
    assert_eq!(statement.attribute("db.query.summary"), "withdraw.create");

    let (scan, claim) = (collector.span_named("GET /w/{secret}"), collector.span_named("GET /cb"));
    for (span, route, answer) in [(&scan, "/w/{secret}", "OFFER"), (&claim, "/cb", "OK")] {
        assert_eq!((span.trace_id(), span.parent()), (WALLET.into(), CALLER_SPAN.into()));
        assert_eq!(span.span.kind, SERVER);
        assert_eq!(span.attribute("http.request.method"), "GET");
        assert_eq!(span.attribute("http.route"), route);
        assert_eq!(span.attribute("http.response.status_code"), "200");
        assert_eq!(span.attribute("lnurl.answer"), answer);
        assert_eq!(span.links(), [("create".to_owned(), create.id())].into());
    }
    assert!(collector.children_of(&scan).contains(&"withdraw.by_secret".to_owned()));
    let steps = collector.children_of(&claim);
    for step in ["withdraw.by_secret", "withdraw.change", "payment.reserve", "commit"] {
        assert!(steps.contains(&step.to_owned()), "{step}: {steps:?}");
    }
}

fn the_payment_goes_back_to_both(collector: &Collector, story: &TracedWithdrawal) {
    for name in ["withdraw.v1.WithdrawService/CreateWithdraw", "GET /w/{secret}", "GET /cb"] {
        let about = collector.span_named(name).attribute("withdrawd.withdraw.id").to_owned();
        assert_eq!(about, story.id.as_str().unwrap(), "{name}");
    }
    let create = collector.span_named("withdraw.v1.WithdrawService/CreateWithdraw");
    let claim = collector.span_named("GET /cb");
    let payers: Vec<ReceivedSpan> =
        collector.spans().into_iter().filter(|seen| seen.span.kind == CONSUMER).collect();
    for payer in &payers {
        assert_eq!(payer.parent(), "", "it begins a trace");
        assert!(![CREATOR, WALLET].contains(&payer.trace_id().as_str()));
        let links = [("create".to_owned(), create.id()), ("claim".to_owned(), claim.id())];
        assert_eq!(payer.links(), links.into());
        assert_eq!(payer.attribute("withdrawd.withdraw.id"), story.id.as_str().unwrap());
    }
    let pay = collector.span_named("pay");
    assert_eq!(pay.attribute("withdrawd.payment.found"), "RESERVED");
    let paid = payers.iter().filter(|seen| seen.attribute("withdrawd.payment.state") == "PAID");
    assert_eq!(paid.count(), 1);

    let steps = collector.children_of(&pay);
    let place = |step: &str| {
        let place = steps.iter().position(|name| name == step);
        place.unwrap_or_else(|| panic!("{step}: {steps:?}"))
    };
    let in_order = [place("node.look_up"), place("send.create"), place("node.send")];
    assert!(in_order.is_sorted(), "{steps:?}");
    let look = collector.spans_named("node.look_up").remove(0);
    assert_eq!(look.attribute("withdrawd.node.backend"), "simulated");
    assert_eq!(look.attribute("withdrawd.node.answer"), "NOT_FOUND");
    assert_eq!(look.span.kind, CLIENT);
    assert_eq!(collector.span_named("node.send").attribute("withdrawd.node.answer"), "SUCCEEDED");

    // Polling creates no spans: each has one of a call, or of a payment, above it.
    for seen in collector.spans().iter().filter(|seen| seen.parent().is_empty()) {
        let is_root = seen.span.kind == CONSUMER || seen.span.kind == SERVER;
        assert!(is_root, "{}", seen.span.name);
    }
}

/// With no collector at all: the caller's trace id, as its own logs have it, finds every line of its
/// call, and those of the payment that came of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_name_the_trace_that_they_belong_to() {
    let home = Home::new();
    let service = serve(&home, StoreKind::Sqlite, &[]).await;
    let story = withdraw(&service, true).await;

    assert_eq!(one_line(&service, "rpc", "CreateWithdraw")["trace_id"], CREATOR);
    assert_eq!(one_line(&service, "lnurl", "withdraw")["trace_id"], WALLET);
    assert_eq!(one_line(&service, "lnurl", "callback")["trace_id"], WALLET);
    let claimed = one_line(&service, "message", "claimed");
    assert_eq!(claimed["trace_id"], WALLET);
    let mut payers = Vec::new();
    for change in ["claimed", "sending", "paid"] {
        let line = one_line(&service, "message", change);
        for id in ["withdraw", "payment", "payment_hash"] {
            assert_eq!(line[id], claimed[id], "{change}: {line}");
        }
        assert_eq!(line["withdraw"], story.id);
        let whole: &str = line["trace_id"].as_str().unwrap();
        assert_eq!(whole.len(), 32, "{line}");
        if change != "claimed" {
            assert_eq!(line["claim_trace_id"], WALLET);
            payers.push(whole.to_owned());
        }
    }
    assert!(!payers.contains(&WALLET.to_owned()) && !payers.contains(&CREATOR.to_owned()));
    // Nothing else of the spans is in the lines.
    let log = service.stderr();
    assert!(!log.contains("\"span") && !log.contains("otel."), "{log}");

    let home = Home::new();
    let human = serve(&home, StoreKind::Sqlite, &[("WITHDRAWD__LOG__FORMAT", "human")]).await;
    withdraw(&human, true).await;
    let log = human.stderr();
    let rpc = log.lines().find(|line| line.contains("rpc=\"CreateWithdraw\"")).unwrap();
    assert!(rpc.ends_with(&format!(" trace_id={CREATOR}")), "{rpc}");
}

/// A trace that is refused, or no trace at all: the call is served in a trace of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_trace_is_not_continued() {
    let (home, collector) = (Home::new(), Collector::start().await);
    let endpoint = collector.endpoint();
    let mut service =
        serve(&home, StoreKind::Sqlite, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint)]).await;
    for header in [
        String::new(),
        "traceparent: nonsense\r\n".to_owned(),
        format!("traceparent: 00-{}-{CALLER_SPAN}-01\r\n", "0".repeat(32)),
        format!("traceparent: 00-{CREATOR}-{CALLER_SPAN}\r\n"),
    ] {
        let text = format!("BREW /w/x HTTP/1.1\r\nHost: x\r\n{header}Connection: close\r\n\r\n");
        http::raw(service.lnurl, text.as_bytes()).await.unwrap();
    }
    http::get(service.lnurl, "/nothing/here").await;
    let missing = service.cli(&["get", "wrd_nothing"]);
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(service.terminate().success());

    let brewed = collector.spans_named("HTTP /w/{secret}");
    assert_eq!(brewed.len(), 4);
    let mut traces: Vec<_> = brewed.iter().map(ReceivedSpan::trace_id).collect();
    traces.sort();
    traces.dedup();
    assert_eq!(traces.len(), 4, "each in a trace of its own");
    for seen in &brewed {
        assert_eq!(seen.parent(), "");
        assert_eq!(seen.attribute("http.request.method"), "_OTHER");
    }
    let nowhere = collector.span_named("GET");
    assert_eq!(nowhere.attribute("http.response.status_code"), "404");
    assert!(!collector.text().contains("nothing/here"));
    // A caller's mistake is no error of the server.
    let get = collector.span_named("withdraw.v1.WithdrawService/GetWithdraw");
    assert!(!get.failed(), "{get:?}");
    assert_ne!(get.attribute("rpc.response.status_code"), "OK");
}

/// A database that is gone: the call and its statement are errors, and say no more than what kind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_of_ours_is_seen() {
    let Some(admin) = postgres_url() else {
        return eprintln!("SKIPPED: no Postgres");
    };
    let (home, collector) = (Home::new(), Collector::start().await);
    let (endpoint, url) = (collector.endpoint(), new_postgres_database().await);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("WITHDRAWD__STORE__DATABASE_URL", url.as_str()),
        ("WITHDRAWD__STORE__ACQUIRE_TIMEOUT_MS", "200"),
    ];
    let mut service = home.serve_with(&[], &variables);
    let made = service.create("1000");
    let options = PgConnectOptions::from_str(&admin).unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
    let drop = sqlx::AssertSqlSafe(format!("drop database {name} with (force)"));
    sqlx::query(drop).execute(&mut connection).await.unwrap();

    let refused = service.cli(&["get", made["id"].as_str().unwrap()]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let scan = http::get(service.lnurl, &format!("/w/{}", made["ott"].as_str().unwrap())).await;
    assert_eq!(scan.json()["status"], "ERROR");
    assert!(service.terminate().success());

    let get = collector.span_named("withdraw.v1.WithdrawService/GetWithdraw");
    let code = get.attribute("rpc.response.status_code");
    assert!(get.failed() && ["UNAVAILABLE", "INTERNAL"].contains(&code), "{get:?}");
    assert_eq!(get.attribute("error.type"), code);
    let scan = collector.span_named("GET /w/{secret}");
    assert!(scan.failed() && scan.attribute("error.type") == "unavailable", "{scan:?}");
    for statement in
        [collector.span_named("withdraw.by_id"), collector.span_named("withdraw.by_secret")]
    {
        assert!(statement.failed(), "{statement:?}");
        assert!(["unavailable", "failed"].contains(&statement.attribute("error.type")));
        assert_eq!(statement.span.status.unwrap().message, "");
    }
}

/// Through a real lnd: what it was asked and what it said hangs below the payment, and each step of the
/// payment has its line.
#[tokio::test]
async fn a_payment_through_lnd_is_followed_step_by_step() {
    on_every_store(&[], async |lab, home| {
        let collector = Collector::start().await;
        let home = home.with(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
            ("OTEL_BSP_SCHEDULE_DELAY", "50"),
            // One attempt is one span, however slow this machine is.
            ("payments.fresh_for_s", "30"),
            ("payments.lease_ms", "60000"),
            ("log.level", "trace"),
        ]);
        let service = home.start().await;
        let withdraw = service.create(77).await;
        let invoice = lab.invoice("payee", 77);
        service.claim_ok(&withdraw, &invoice.text).await;
        let paid = service.until(&withdraw, State::Paid).await;

        let pay = eventually("its span", async || collector.spans_named("pay").pop()).await;
        assert_eq!(pay.attribute("withdrawd.payment.hash"), invoice.hash);
        assert_eq!(pay.attribute("withdrawd.payment.state"), "PAID");
        let within = |name| {
            let mut spans = collector.spans_named(name);
            spans.retain(|seen| seen.parent() == pay.id());
            assert_eq!(spans.len(), 1, "{name}: {spans:?}");
            spans.remove(0)
        };
        for (call, answer) in [("node.look_up", "NOT_FOUND"), ("node.send", "SUCCEEDED")] {
            let asked = within(call);
            assert_eq!(asked.attribute("withdrawd.node.backend"), "lnd");
            assert_eq!(asked.attribute("withdrawd.node.answer"), answer);
            assert_eq!(asked.attribute("withdrawd.payment.hash"), invoice.hash);
        }
        let log = service.log();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines = lines.filter(|line| line["level"] == "INFO");
        let steps = lines.filter(|line| line["payment_hash"] == invoice.hash.as_str());
        let steps: Vec<Value> = steps.collect();
        let told = steps.iter().map(|line| line["message"].as_str().unwrap());
        assert_eq!(told.collect::<Vec<_>>(), ["claimed", "sending", "state changed", "paid"]);
        assert_eq!(steps[2]["state"], "IN_FLIGHT");
        for step in &steps[1..] {
            assert_eq!(step["trace_id"], pay.trace_id());
            assert_eq!(step["claim_trace_id"], steps[0]["trace_id"]);
        }
        assert!(log.contains("\"level\":\"TRACE\""), "{log}");
        let macaroon = fs::read(lab.fact("payer", "payer_macaroon")).unwrap();
        for secret in [&hex::encode(macaroon), &paid.preimage, &invoice.text, &withdraw.ott] {
            assert!(!secret.is_empty());
            for text in [&log, &collector.text()] {
                let text = text.to_lowercase();
                let line = text.lines().find(|line| line.contains(&secret.to_lowercase()));
                assert_eq!(line, None, "{secret} is told");
            }
        }
    })
    .await;
}
