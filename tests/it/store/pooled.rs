//! The service behind a PgBouncer: prepared statements, settings and locks of a session are not its own
//! there, and everything works as it does without.

use crate::bench::postgres_options;
use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use sqlx::{
    Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgRow},
};
use withdrawd::{
    domain::Millis,
    pb::{
        CreateWithdrawRequest, FenceRequest, GetInstanceRequest, GetWithdrawRequest, Halt,
        ListWithdrawsRequest, PauseRequest, ResumeRequest, payment::State, withdraw::Status,
        withdraw_service_client::WithdrawServiceClient,
    },
    ports::{StoreError, Upkeep},
    runtime::{Clock, SystemClock},
    store::PostgresStore,
};

use crate::{
    bench::binary::Home,
    bench::invoices::InvoiceDraft,
    bench::node::{ModelNode, OnSend},
    bench::pgbouncer::{Pooler, by_hand},
    bench::{Bench, StoreKind, claim_at, reason},
    claims::replicas::replica_with,
};

const MODES: [&str; 2] = ["transaction", "session"];

/// Shortened, so that what an outage left is soon taken up again. Few connections: in session mode each
/// keeps a session.
const PACE: [(&str, &str); 8] = [
    ("payments.send_life_ms", "3000"),
    ("payments.clock_skew_ms", "500"),
    ("payments.node_slack_ms", "2000"),
    ("payments.first_look_ms", "100"),
    ("payments.slowest_look_ms", "500"),
    ("payments.fresh_for_s", "1"),
    ("payments.lease_ms", "1500"),
    ("store.max_connections", "8"),
];

async fn bench(url: &str) -> Bench {
    let few = [("store.database_url", url), ("store.max_connections", "8")];
    Bench::with(StoreKind::Postgres, &few).await
}

async fn rows(url: &str, question: &'static str) -> Vec<PgRow> {
    let options = PgConnectOptions::from_str(url).unwrap().extra_float_digits(None);
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(question).fetch_all(&mut connection).await.unwrap()
}

/// From the first migration to an operator's decision, with crashes in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_withdrawals_pass_through_pgbouncer() {
    for mode in MODES {
        let Some(pooler) = Pooler::start(mode).await else { return };
        eprintln!("in {mode} mode:");
        let (url, _) = pooler.database().await;
        let mut bench = bench(&url).await;

        let [paid, failed, ended, lost] = [10, 20, 30, 40].map(|sat| (sat, sat));
        let paid = bench.create(paid.0, paid.1).await;
        let failed = bench.create(failed.0, failed.1).await;
        let ended = bench.create(ended.0, ended.1).await;
        let lost = bench.create(lost.0, lost.1).await;
        bench.claim_ok(&paid, &bench.invoice(10)).await;
        bench.run_payer().await;
        assert_eq!(bench.get(&paid.id).await.status(), Status::Paid);
        bench.deactivate(&ended.id).await.unwrap();

        bench.node.on_next_sends([OnSend::Hold]);
        let invoice = bench.invoice(20);
        bench.claim_ok(&failed, &invoice).await;
        bench.run_payer_until(&failed.id, State::InFlight).await;
        bench.crash_and_restart().await;
        bench.node.release(false);
        // A send that was lost with another server of the database would start it anew: a witness first.
        for _ in 0..4 {
            bench.run_payer_after(Millis::from_secs(300)).await;
        }
        assert!(bench.get(&failed.id).await.claimable, "it failed, and can be claimed again");
        bench.claim_ok(&failed, &bench.invoice(20)).await;
        bench.run_payer().await;
        assert_eq!(bench.get(&failed.id).await.status(), Status::Paid);

        let by = || ("ann".to_owned(), "audit".to_owned());
        let (operator, reason_why) = by();
        let pause = PauseRequest { operator, reason: reason_why };
        let halted = bench.operations().pause(pause).await.unwrap().into_inner();
        assert_eq!(halted.halt(), Halt::Paused);
        reason(&bench.claim(&lost, &bench.invoice(40)).await);
        let (operator, reason_why) = by();
        let resume = ResumeRequest { operator, reason: reason_why };
        bench.operations().resume(resume).await.unwrap();
        let (operator, reason_why) = by();
        let fence = FenceRequest { operator, reason: reason_why };
        let fenced = bench.operations().fence(fence).await.unwrap().into_inner();
        assert_eq!(fenced.halt(), Halt::Fenced);
        reason(&bench.claim(&lost, &bench.invoice(40)).await);

        let page = bench.client().list_withdraws(ListWithdrawsRequest::default()).await.unwrap();
        assert_eq!(page.into_inner().withdraws.len(), 4);
        assert_eq!(bench.node.settled(), 2);
    }
}

/// The service's own server is known through the pooler, and a change of it is seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_guard_knows_its_server_through_pgbouncer() {
    for mode in MODES {
        let Some(pooler) = Pooler::start(mode).await else { return };
        let (url, _) = pooler.database().await;
        let bench = bench(&url).await;
        bench.verify_database().await;
        let instance = bench.operations().get_instance(GetInstanceRequest {}).await.unwrap();
        assert_eq!(instance.into_inner().halt(), Halt::Unspecified);
        // Another table is another database.
        by_hand(
            &url,
            "create table other (like instance including all);
             insert into other select * from instance;
             alter table instance rename to gone; alter table other rename to instance",
        )
        .await;
        let store = bench.store();
        assert!(!bench.inside(async move { store.server().await.unwrap() }).await.verified);
    }
}

/// Each withdrawal of a load is paid once by one of two replicas, while the pooler is killed under them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_pay_once_while_pgbouncer_is_killed_under_load() {
    for mode in MODES {
        let Some(mut pooler) = Pooler::start(mode).await else { return };
        let (url, _) = pooler.database().await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let node = Arc::new(ModelNode::new(Arc::clone(&clock)));
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let replicas = [
            replica_with(&url, Arc::clone(&node) as _, here.path(), &PACE).await,
            replica_with(&url, Arc::clone(&node) as _, there.path(), &PACE).await,
        ];
        let stories = (0..60).map(|number| {
            let replica = &replicas[number % 2].listening;
            pay_one(replica.grpc.unwrap(), replica.lnurl.unwrap(), Arc::clone(&clock))
        });
        let (_, ()) = tokio::join!(join_all(stories), async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(150)).await;
                pooler.crash();
                pooler.resume().await;
            }
        });
        assert_eq!(node.settled(), 60);
        for replica in replicas {
            replica.stop(Millis::ZERO, Millis::from_secs(10), std::future::ready(())).await;
        }
    }
}

/// Insists, as a client does, until its withdrawal is paid.
async fn pay_one(grpc: std::net::SocketAddr, lnurl: std::net::SocketAddr, clock: Arc<dyn Clock>) {
    let client = WithdrawServiceClient::connect(format!("http://{grpc}")).await.unwrap();
    let patience = Instant::now() + Duration::from_mins(1);
    let request_id = format!("{:016x}", rand::random::<u64>());
    let request = CreateWithdrawRequest {
        max_amount: "10".into(),
        request_id,
        ..CreateWithdrawRequest::default()
    };
    let made = loop {
        match client.clone().create_withdraw(request.clone()).await {
            Ok(made) => break made.into_inner(),
            Err(status) => assert_outage(&status, patience).await,
        }
    };
    let invoice = InvoiceDraft::new(10_000, clock.now()).build();
    while claim_at(lnurl, &made.ott, &invoice).await["status"] != "OK" {
        assert!(Instant::now() < patience, "never claimed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    loop {
        let request = GetWithdrawRequest { id: made.id.clone() };
        match client.clone().get_withdraw(request).await {
            Ok(found) if found.get_ref().status() == Status::Paid => return,
            Ok(found) => assert!(Instant::now() < patience, "never paid: {found:?}"),
            Err(status) => assert_outage(&status, patience).await,
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn assert_outage(status: &tonic::Status, patience: Instant) {
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    assert!(Instant::now() < patience, "never back: {status:?}");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Whoever was on the session before: nothing of what they left is taken over, or left to others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_shared_session_is_taken_over_or_left_behind() {
    let Some(pooler) = Pooler::start("transaction").await else { return };
    let (url, direct) = pooler.database().await;
    let bench = bench(&url).await;
    by_hand(
        &direct,
        "create table seen (commits text, isolation text, patience text);
         create function look() returns trigger language plpgsql as $$ begin
             insert into seen values (current_setting('synchronous_commit'),
                                      current_setting('transaction_isolation'),
                                      current_setting('statement_timeout'));
             return new; end $$;
         create trigger look after insert on withdraws for each row execute function look()",
    )
    .await;
    // On all sessions that there are: while both are busy each gets one.
    for _ in 0..8 {
        let hostile = "set synchronous_commit = off; set statement_timeout = '77s';
                       set default_transaction_isolation = 'serializable'; select pg_sleep(0.05)";
        join_all([by_hand(&url, hostile), by_hand(&url, hostile)]).await;
    }
    for _ in 0..10 {
        bench.create(10, 10).await;
    }
    let seen = rows(&direct, "select distinct commits, isolation, patience from seen").await;
    let texts = |row: &PgRow| {
        ["commits", "isolation", "patience"].map(|column| row.get::<String, _>(column))
    };
    assert_eq!(
        seen.iter().map(texts).collect::<Vec<_>>(),
        [["on", "read committed", "5s"].map(str::to_owned)]
    );

    let left = rows(&url, "select count(*) from pg_prepared_statements").await;
    assert_eq!(left[0].get::<i64, _>(0), 0, "no statement stays behind by a name");
    let patience = rows(&url, "select current_setting('statement_timeout') as patience").await;
    assert_eq!(patience[0].get::<String, _>("patience"), "77s");
}

/// Two processes migrate one empty database at once: the lock ends with the transaction, wherever the
/// pooler has put it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_migrate_through_pgbouncer_at_once() {
    for mode in MODES {
        let Some(pooler) = Pooler::start(mode).await else { return };
        let (url, direct) = pooler.database().await;
        let homes = [Home::new(), Home::new(), Home::new()];
        let all = homes.map(|home| {
            let url = url.clone();
            tokio::task::spawn_blocking(move || {
                let environment = [("WITHDRAWD__STORE__DATABASE_URL", url.as_str())];
                home.run_with(&["migrate"], &environment)
            })
        });
        for said in join_all(all).await {
            assert!(said.unwrap().ok().contains("up to date"));
        }
        let locks = "select count(*) from pg_locks where locktype = 'advisory'
                        and database = (select oid from pg_database
                                         where datname = current_database())";
        assert_eq!(rows(&direct, locks).await[0].get::<i64, _>(0), 0);
    }
}

/// A bet that was right at the start, and is lost later: refused, not tried.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_appears_later_is_refused() {
    let Some(pooler) = Pooler::start("transaction").await else { return };
    let (url, direct) = pooler.database().await;
    let front = tempfile::tempdir().unwrap();
    let lead = |url: &str| {
        let to = PgConnectOptions::from_str(url).unwrap();
        let socket = to.get_socket().unwrap().join(format!(".s.PGSQL.{}", to.get_port()));
        let (link, next) = (front.path().join(".s.PGSQL.5432"), front.path().join("next"));
        std::os::unix::fs::symlink(socket, &next).unwrap();
        std::fs::rename(next, link).unwrap();
    };
    let (path, _) = direct.split_once('?').unwrap();
    let behind = format!("{path}?host={}", front.path().display());
    lead(&direct);
    let config = withdrawd::config::Config::defaults(&[
        ("store.database_url", behind),
        ("store.acquire_timeout_ms", "1000".to_owned()),
        ("store.max_connections", "4".to_owned()),
    ])
    .unwrap();
    let options = postgres_options(&config, true);
    let store = PostgresStore::open(options.clone()).await.unwrap();
    store.ping().await.unwrap();

    lead(&url);
    // The connection that there is was Postgres' own.
    by_hand(
        &direct,
        "select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and pid <> pg_backend_pid()",
    )
    .await;
    let refused = store.ping().await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    // From its start on, it goes without.
    let again = PostgresStore::open(options).await.unwrap();
    again.ping().await.unwrap();
}
