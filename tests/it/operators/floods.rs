//! Operators' commands under a flood: within a second each, and nothing is accepted once they have
//! returned.

mod flood;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::sync::Mutex;
use withdrawd::{
    pb::{
        AcknowledgeRestoreRequest, BatchCreateWithdrawsRequest, CreateWithdrawRequest,
        FenceRequest, GetInstanceRequest, Halt, PauseRequest, ResumeRequest, Withdraw,
    },
    runtime::{Clock, SystemClock},
};

use self::flood::Flood;
use crate::{
    bench::binary::Home,
    bench::http,
    bench::invoices::InvoiceDraft,
    bench::{Bench, StoreKind, new_postgres_database, store_kinds},
    store::contract::DirectConnection,
};

/// What is promised.
const BOUND: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 8;

/// Each floods the machine by itself.
static ALONE: Mutex<()> = Mutex::const_new(());

fn callback(withdraw: &Withdraw, invoice: &str) -> String {
    format!("/cb?k1={}&pr={invoice}", withdraw.ott)
}

async fn create(bench: &Bench, number: usize) -> Vec<Withdraw> {
    let request =
        CreateWithdrawRequest { max_amount: "10".into(), ..CreateWithdrawRequest::default() };
    let requests = vec![request; number];
    let batch = BatchCreateWithdrawsRequest { requests };
    bench.client().batch_create_withdraws(batch).await.unwrap().into_inner().withdraws
}

/// An invoice that another request was claimed with, at links that can be claimed.
async fn used_invoices(bench: &Bench) -> Vec<Vec<String>> {
    let used = bench.invoice(10);
    bench.claim_ok(&bench.create(10, 10).await, &used).await;
    let links = create(bench, CONNECTIONS).await;
    links.iter().map(|withdraw| vec![callback(withdraw, &used)]).collect()
}

/// Claims that are accepted, one after the other.
async fn good_claims(bench: &Bench) -> Vec<Vec<String>> {
    let links = create(bench, CONNECTIONS * 100).await;
    let target = |withdraw: &Withdraw| callback(withdraw, &bench.invoice(10));
    links.chunks(100).map(|links| links.iter().map(target).collect()).collect()
}

async fn unknown_secrets(bench: &Bench) -> Vec<Vec<String>> {
    let invoice = bench.invoice(10);
    let targets = (0..CONNECTIONS).map(|n| {
        let k1 = format!("{n:064x}");
        vec![format!("/w/{k1}"), format!("/cb?k1={k1}&pr={invoice}")]
    });
    targets.collect()
}

/// What is accepted and sent, by rows.
async fn rows(bench: &Bench) -> (String, String) {
    let mut hand = DirectConnection::on(bench).await;
    let mut count = async |table: &str| {
        hand.lines(&format!("select cast(count(*) as text) from {table}"), 0).await
    };
    (count("payments").await, count("sends").await)
}

const COMMANDS: [&str; 4] = ["pause", "resume", "fence", "acknowledge"];

async fn command(bench: &Bench, name: &str) -> Result<Halt, tonic::Status> {
    let mut client = bench.operations();
    let (operator, reason) = ("ann".to_owned(), "a flood".to_owned());
    let instance = match name {
        "pause" => client.pause(PauseRequest { operator, reason }).await?,
        "resume" => client.resume(ResumeRequest { operator, reason }).await?,
        "fence" => client.fence(FenceRequest { operator, reason }).await?,
        "acknowledge" => {
            let request = AcknowledgeRestoreRequest { operator, reason, ..Default::default() };
            client.acknowledge_restore(request).await?;
            client.get_instance(GetInstanceRequest {}).await?
        }
        other => panic!("{other}"),
    };
    Ok(instance.into_inner().halt())
}

/// Runs a command, and holds it to its bound.
async fn in_time(bench: &Bench, name: &str) -> Halt {
    let began = Instant::now();
    let halt = command(bench, name).await;
    let took = began.elapsed();
    eprintln!("  {name}: {} ms", took.as_millis());
    let halt = halt.unwrap_or_else(|status| panic!("{name}: {status:?}"));
    assert!(took < BOUND, "{name} took {took:?}");
    halt
}

async fn holds_against(targets: impl AsyncFn(&Bench) -> Vec<Vec<String>>) {
    for kind in store_kinds() {
        eprintln!("on {kind:?}:");
        let bench = Bench::new(kind).await;
        let targets = targets(&bench).await;
        let of_claims = targets.iter().flatten().count() >= 100;
        let flood = Flood::of(bench.lnurl(), targets).await;
        for (name, halt) in COMMANDS.into_iter().zip([
            Halt::Paused,
            Halt::Unspecified,
            Halt::Fenced,
            Halt::Unspecified,
        ]) {
            flood.start().await;
            if of_claims && halt != Halt::Unspecified {
                // Else a halt would prove nothing.
                let before = rows(&bench).await;
                flood.start().await;
                assert_ne!(rows(&bench).await, before, "nothing was accepted before {name}");
            }
            let halted = if name == "acknowledge" && of_claims {
                // Its own work is to withhold a thousand requests.
                command(&bench, name).await.unwrap()
            } else {
                in_time(&bench, name).await
            };
            assert_eq!(halted, halt, "{name}");
            if halt != Halt::Unspecified {
                let before = rows(&bench).await;
                flood.start().await;
                assert_eq!(rows(&bench).await, before, "after {name}");
            }
        }
        flood.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_return_in_time_under_a_flood_of_used_invoices() {
    let _alone = ALONE.lock().await;
    holds_against(used_invoices).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_return_in_time_under_a_flood_of_good_claims() {
    let _alone = ALONE.lock().await;
    holds_against(good_claims).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_return_in_time_under_a_flood_of_unknown_secrets() {
    let _alone = ALONE.lock().await;
    holds_against(unknown_secrets).await;
}

/// With a limit to check, claims do more under a lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_return_in_time_under_a_flood_of_claims_with_a_limit() {
    let _alone = ALONE.lock().await;
    for kind in store_kinds() {
        let bench = Bench::with(kind, &[("limits.rolling_24h_sat", "1000000")]).await;
        let flood = Flood::of(bench.lnurl(), good_claims(&bench).await).await;
        assert_eq!(in_time(&bench, "pause").await, Halt::Paused);
        let before = rows(&bench).await;
        flood.start().await;
        assert_eq!(rows(&bench).await, before);
        flood.stop().await;
    }
}

/// Many claims wait for the limit's gate, and each that has it waits for a slow disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_return_in_time_while_claims_queue_for_a_limit() {
    const MANY: usize = 60;
    let _alone = ALONE.lock().await;
    if !store_kinds().contains(&StoreKind::Postgres) {
        return;
    }
    let settings = [("limits.rolling_24h_sat", "100000000"), ("store.max_connections", "62")];
    let bench = Bench::with(StoreKind::Postgres, &settings).await;
    let links = create(&bench, MANY * 10).await;
    let target = |withdraw: &Withdraw| callback(withdraw, &bench.invoice(10));
    let targets = links.chunks(10).map(|links| links.iter().map(target).collect()).collect();
    let mut hand = DirectConnection::on(&bench).await;
    // As if each COMMIT took so long, from the next connection on.
    let name = hand.lines("select current_database()::text", 0).await;
    for setting in ["commit_delay = 20000", "commit_siblings = 0"] {
        hand.run(&format!("alter database {name} set {setting}")).await.unwrap();
    }
    let flood = Flood::of(bench.lnurl(), targets).await;
    assert_eq!(in_time(&bench, "pause").await, Halt::Paused);
    let before = rows(&bench).await;
    flood.start().await;
    assert_eq!(rows(&bench).await, before);
    flood.stop().await;
}

/// The query of claims and sends.
const HOLD: &str = "select paused_at_ms from instance for share";

pub async fn idle(url: &str, statements: &[&'static str]) -> PgConnection {
    let mut session = PgConnection::connect(url).await.unwrap();
    sqlx::query("begin").execute(&mut session).await.unwrap();
    for statement in statements {
        sqlx::query(*statement).execute(&mut session).await.unwrap();
    }
    session
}

pub async fn on_postgres() -> Option<(Bench, String)> {
    if !store_kinds().contains(&StoreKind::Postgres) {
        return None;
    }
    let bench = Bench::new(StoreKind::Postgres).await;
    let url = bench.database_url().to_owned();
    Some((bench, url))
}

/// As a hundred stopped replicas leave them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_return_in_time_beside_100_sessions_that_idle_in_a_transaction() {
    let _alone = ALONE.lock().await;
    let Some((bench, url)) = on_postgres().await else { return };
    for name in COMMANDS {
        let mut sessions = Vec::new();
        for _ in 0..100 {
            sessions.push(idle(&url, &[HOLD]).await);
        }
        in_time(&bench, name).await;
        for mut session in sessions {
            // It has been rolled back: what it does next fails.
            assert!(sqlx::query("commit").execute(&mut session).await.is_err());
        }
    }
}

/// Transactions of other replicas that overlap without an end: each is short, and there is always one. A
/// lock of the row would be passed by newcomers for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_return_in_time_beside_claims_that_overlap_for_ever() {
    let _alone = ALONE.lock().await;
    let Some((bench, url)) = on_postgres().await else { return };
    let stop = Arc::new(AtomicBool::new(false));
    let claims = (0..16).map(|_| {
        let (url, stop) = (url.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut session = PgConnection::connect(&url).await.unwrap();
            while !stop.load(Ordering::SeqCst) {
                for statement in ["begin", HOLD, "select pg_sleep(0.02)", "commit"] {
                    sqlx::query(statement).execute(&mut session).await.unwrap();
                }
            }
        })
    });
    let claims: Vec<_> = claims.collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for name in COMMANDS {
        in_time(&bench, name).await;
    }
    stop.store(true, Ordering::SeqCst);
    for claim in claims {
        claim.await.unwrap();
    }
}

/// A stopped replica holds a request, and a claim that has read the switches waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_idles_behind_a_claim_is_ended_too() {
    let _alone = ALONE.lock().await;
    let Some((bench, url)) = on_postgres().await else { return };
    let withdraw = bench.create(10, 10).await;
    let _holds = idle(&url, &["select id from withdraws for update"]).await;
    let invoice = bench.invoice(10);
    let (claim, halt) = tokio::join!(bench.claim(&withdraw, &invoice), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        in_time(&bench, "pause").await
    });
    // It came first.
    assert_eq!((claim["status"].as_str(), halt), (Some("OK"), Halt::Paused));
}

/// Nobody else's session is ended: the command says in time that it could not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_of_another_role_is_not_ended() {
    let _alone = ALONE.lock().await;
    let Some((bench, url)) = on_postgres().await else { return };
    let name = format!("dba_{}", std::process::id());
    let mut hand = DirectConnection::on(&bench).await;
    hand.run(&format!("create role {name} login")).await.unwrap();
    hand.run(&format!("grant select, update on instance to {name}")).await.unwrap();
    let dba = url.replacen("postgres@", &format!("{name}@"), 1);
    let mut session = idle(&dba, &[HOLD]).await;
    let began = Instant::now();
    let status = command(&bench, "pause").await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status:?}");
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    assert!(sqlx::query("commit").execute(&mut session).await.is_ok());
    session.close().await.unwrap();
    assert_eq!(in_time(&bench, "pause").await, Halt::Paused);
    hand.run(&format!("drop owned by {name}")).await.unwrap();
    hand.run(&format!("drop role {name}")).await.unwrap();
}

/// The real binary, asked by its own command line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_pauses_a_flooded_service() {
    let _alone = ALONE.lock().await;
    for kind in store_kinds() {
        let home = Home::new();
        let url = match kind {
            StoreKind::Sqlite => String::new(),
            StoreKind::Postgres => new_postgres_database().await,
        };
        let service = home.serve_with(&[], &[("WITHDRAWD__STORE__DATABASE_URL", url.as_str())]);
        let invoice = InvoiceDraft::new(10_000, SystemClock::new().now()).build();
        let link =
            |withdraw: &Value| format!("/cb?k1={}&pr={invoice}", withdraw["ott"].as_str().unwrap());
        let first = service.create("10");
        let claimed = http::get(service.lnurl, &link(&first)).await;
        assert_eq!(claimed.json()["status"], "OK");
        service.paid(&first["id"]);
        let links: Vec<_> = (0..CONNECTIONS).map(|_| vec![link(&service.create("10"))]).collect();
        let flood = Flood::of(service.lnurl, links).await;
        for [command, halt] in
            [["pause", "PAUSED"], ["resume", "HALT_UNSPECIFIED"], ["fence", "FENCED"]]
        {
            let began = Instant::now();
            let args = [command, "--operator", "ann", "--reason", "a flood"];
            let said = tokio::task::block_in_place(|| service.json(&args));
            let took = began.elapsed();
            eprintln!("  {command} on {kind:?}: {} ms", took.as_millis());
            assert_eq!(said["halt"], halt, "{said}");
            // The command line itself starts and connects.
            assert!(took < BOUND + BOUND / 2, "{command} took {took:?}");
        }
        flood.stop().await;
    }
}
