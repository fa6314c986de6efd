//! What both databases owe the domain: invariants as constraints, durability, indexes, migrations.

use crate::bench::postgres_options;
use crate::bench::sqlite_options;
use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};
use withdrawd::{
    config::Config,
    domain::{Filter, ListQuery, WithdrawId},
    ports::StoreError,
    runtime::{Clock, SystemClock},
    store::{PostgresStore, SqliteStore, list_statements},
};

use crate::{
    bench::node::OnSend,
    bench::{Bench, StoreKind, new_postgres_database, on_every_store, postgres_url, store_kinds},
};

/// A connection to the database beside the program's.
pub enum DirectConnection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl DirectConnection {
    pub async fn on(bench: &Bench) -> Self {
        match bench.kind {
            StoreKind::Sqlite => {
                let file = bench.data_dir().join("withdrawd.sqlite");
                let url = format!("sqlite://{}", file.display());
                let mut hand = SqliteConnection::connect(&url).await.unwrap();
                sqlx::query("pragma foreign_keys = on").execute(&mut hand).await.unwrap();
                Self::Sqlite(hand)
            }
            StoreKind::Postgres => {
                let url = bench.database_url();
                Self::Postgres(PgConnection::connect(url).await.unwrap())
            }
        }
    }

    pub async fn run(&mut self, sql: &str) -> Result<u64, sqlx::Error> {
        let query = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(hand) => sqlx::query(query).execute(hand).await.map(|d| d.rows_affected()),
            Self::Postgres(hand) => {
                sqlx::query(query).execute(hand).await.map(|d| d.rows_affected())
            }
        }
    }

    /// A plan as text.
    pub async fn lines(&mut self, sql: &str, column: usize) -> String {
        let query = AssertSqlSafe(sql.to_owned());
        let lines: Vec<String> = match self {
            Self::Sqlite(hand) => {
                let rows = sqlx::query(query).fetch_all(hand).await.unwrap();
                rows.iter().map(|row| row.get(column)).collect()
            }
            Self::Postgres(hand) => {
                let rows = sqlx::query(query).fetch_all(hand).await.unwrap();
                rows.iter().map(|row| row.get(0)).collect()
            }
        };
        lines.join("\n")
    }
}

/// What no row may say: why, the statement, and how each database names the constraint.
struct Forbidden {
    what: &'static str,
    sql: String,
    postgres: &'static str,
    sqlite: &'static str,
}

fn forbidden(kind: StoreKind) -> Vec<Forbidden> {
    let (id, hash) = match kind {
        StoreKind::Sqlite => ("randomblob(16)", "randomblob(32)"),
        StoreKind::Postgres => ("gen_random_uuid()", "decode(md5('a') || md5('b'), 'hex')"),
    };
    let (sending, paid) = ("state = 'SENDING'", "state = 'PAID'");
    let copy = |which: &str, hash: &str, state: &str, more: &str| {
        let columns = "invoice_expires_at_ms, send_until_ms";
        let proof = if more.is_empty() { "" } else { ", state_at_ms, preimage, fee_msat, node_id" };
        format!(
            "insert into payments (id, version, withdraw_id, invoice, payment_hash, amount_msat,
               fee_limit_msat, {columns}, state, tallied{proof})
             select {id}, 1, withdraw_id, invoice, {hash}, amount_msat, fee_limit_msat, {columns},
               '{state}', 1{more} from payments where {which}"
        )
    };
    let set = |what: &str, which: &str| format!("update payments set {what} where {which}");
    let own = |text: &str| text.to_owned();
    let proof = ", state_at_ms, preimage, fee_msat, node_id";
    let event = format!("insert into events values ({id}, 1, 'paid', null, null, 0, null, null)");
    let nodes = "insert into nodes (node_id, alias, network, backend, first_seen_at_ms, is_current)
             select 'x', alias, network, backend, first_seen_at_ms, is_current from nodes";
    let secret =
        "update withdraws set secret_sha256 = (select secret_sha256 from withdraws limit 1)";
    [
        ("a second open attempt", copy(sending, hash, "RESERVED", ""), "payments_one_open", "payments.withdraw_id"),
        ("a second paid attempt", copy(paid, hash, "PAID", proof), "payments_one_paid", "payments.withdraw_id"),
        ("a hash used twice", copy(paid, "payment_hash", "RESERVED", ""), "payments_hash_unique", "payments.payment_hash"),
        ("paid without proof", set("state = 'PAID', state_at_ms = 1", sending), "payments_paid_has_proof", "payments_paid_has_proof"),
        ("proof without payment", set("state = 'SENDING', state_at_ms = null", paid), "payments_paid_has_proof", "payments_paid_has_proof"),
        ("failed without reason", set("state = 'FAILED', state_at_ms = 1", sending), "payments_failed_has_reason", "payments_failed_has_reason"),
        ("doubt without reason", set("state = 'NEEDS_OPERATOR', state_at_ms = 1", sending), "payments_doubt_has_reason", "payments_doubt_has_reason"),
        ("an end without a time", set("state_at_ms = null", paid), "payments_ended_has_time", "payments_ended_has_time"),
        ("an unknown state", set("state = 'LOST'", sending), "payments_state_check", "state in"),
        ("late without failure", set("late_at_ms = 1", sending), "payments_late_is_failed", "payments_late_is_failed"),
        ("sent to nobody", set("node_id = null", sending), "payments_sent_has_node", "payments_sent_has_node"),
        ("an unknown status", own("update withdraws set status = 'EXPIRED', claimable = false where payment_id is null"), "withdraws_status_check", "status in"),
        ("deactivated while held", own("update withdraws set status = 'DEACTIVATED' where payment_hold = 'OPEN'"), "withdraws_held_is_active", "withdraws_held_is_active"),
        ("claimable while held", own("update withdraws set claimable = true where payment_hold = 'OPEN'"), "withdraws_claimable_is_free", "withdraws_claimable_is_free"),
        ("paid by nothing", own("update withdraws set payment_id = null, payment_hold = null where status = 'PAID'"), "withdraws_paid_by_a_payment", "withdraws_paid_by_a_payment"),
        ("one secret for two", own(secret), "withdraws_secret_unique", "withdraws.secret_sha256"),
        ("an event of nothing", event, "events_withdraw_id_fkey", "FOREIGN KEY"),
        ("an event told twice", own("insert into events select * from events"), "events_pkey", "events.withdraw_id"),
        ("a decision without a word", own("update events set operator = 'somebody'"), "events_operator_says_why", "events_operator_says_why"),
        ("a send told twice", own("insert into sends (payment_id, number, epoch, node_id, sent_at_ms, begun_at_ms, send_deadline_ms)
               select payment_id, number, epoch, node_id, sent_at_ms, begun_at_ms, send_deadline_ms from sends"), "sends_pkey", "sends.payment_id"),
        ("a second instance", own("insert into instance select * from instance"), "instance_pkey", "instance.only_row"),
        ("a pause of nobody", own("update instance set paused_at_ms = 0"), "instance_pause_is_whole", "instance_pause_is_whole"),
        ("a fence without a cause", own("update instance set fenced_at_ms = 0"), "instance_fence_is_whole", "instance_fence_is_whole"),
        ("a withheld request that can be claimed", own("update withdraws set withheld = (1 = 1) where claimable"), "withdraws_claimable_is_free", "withdraws_claimable_is_free"),
        ("a withheld request that is paid", own("update withdraws set withheld = (1 = 1) where status = 'PAID'"), "withdraws_withheld_is_active", "withdraws_withheld_is_active"),
        ("half a heartbeat", own("update nodes set can_send_msat = null where heartbeat_at_ms is not null"), "nodes_heartbeat_is_whole", "nodes_heartbeat_is_whole"),
        ("an act without a name", own("insert into operator_actions (at_ms, action, operator, reason) values (1, 'SLEEP', 'ann', 'late')"), "operator_actions_action_check", "action in"),
        ("two nodes that pay", own(nodes), "nodes_one_current", "nodes.is_current"),
    ]
    .into_iter()
    .map(|(what, sql, postgres, sqlite)| Forbidden { what, sql, postgres, sqlite })
    .collect()
}

/// Whatever the code believes, the database refuses what must never be, by the constraint for it.
#[tokio::test]
async fn constraints_repeat_the_invariants() {
    on_every_store(async |bench| {
        bench.create(10, 10).await;
        let held = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::PayAndLoseAnswer]);
        bench.claim_ok(&held, &bench.invoice(10)).await;
        bench.run_payer().await;
        let paid = bench.create(10, 10).await;
        bench.claim_ok(&paid, &bench.invoice(10)).await;
        bench.run_payer().await;
        let mut hand = DirectConnection::on(&bench).await;
        for Forbidden { what, sql, postgres, sqlite } in forbidden(bench.kind) {
            let named = match bench.kind {
                StoreKind::Sqlite => sqlite,
                StoreKind::Postgres => postgres,
            };
            let error = match hand.run(&sql).await {
                Ok(rows) => panic!("{:?} allows {what} ({rows} rows)", bench.kind),
                Err(error) => error.to_string(),
            };
            assert!(error.contains(named), "{what}: {error} instead of {named}");
        }
    })
    .await;
}

/// No secret stands in the database: a stolen dump claims nothing.
#[tokio::test]
async fn the_database_holds_no_secret() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let withdraw = bench.create(10, 10).await;
    bench.claim_ok(&withdraw, &bench.invoice(10)).await;
    bench.run_payer().await;
    for entry in std::fs::read_dir(bench.data_dir()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(26).any(|window| window == withdraw.ott.as_bytes());
        assert!(!found, "{} holds the secret", path.display());
    }
}

/// Lists are served by indexes, whatever the filters, also under a generic plan.
#[tokio::test]
async fn every_list_is_served_by_an_index() {
    for kind in store_kinds() {
        let bench = Bench::new(kind).await;
        let mut hand = DirectConnection::on(&bench).await;
        fill(&mut hand, kind).await;
        for statement in list_statements() {
            let (name, text) = statement.split_once('\n').unwrap();
            let plan = match kind {
                StoreKind::Sqlite => hand.lines(&format!("explain query plan {text}"), 3).await,
                StoreKind::Postgres => generic_plan(&mut hand, name, text).await,
            };
            for line in plan.lines() {
                let scans = line.contains("Seq Scan")
                    || (line.starts_with("SCAN ")
                        && !line.contains("INDEX")
                        && !line.contains("marked")
                        && !line.contains("SCAN (")
                        && !line.contains("SCAN 2"));
                assert!(!scans, "{kind:?} scans a table for {name}:\n{plan}");
            }
        }
    }
}

async fn generic_plan(hand: &mut DirectConnection, name: &str, text: &str) -> String {
    let plan_name = name.trim_start_matches("-- ").replace('.', "_");
    let types = if text.contains("status = $4") {
        "uuid, uuid, bigint, text"
    } else if text.contains("$4") {
        "uuid, uuid, bigint, bigint"
    } else {
        "uuid, uuid, bigint"
    };
    let values = match types {
        "uuid, uuid, bigint" => "",
        types if types.ends_with("text") => ", 'ACTIVE'",
        _ => ", 1800000000000",
    };
    hand.run("set plan_cache_mode = force_generic_plan").await.unwrap();
    hand.run(&format!("prepare {plan_name} ({types}) as {text}")).await.unwrap();
    let (low, high) =
        ("00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff");
    let execute = format!("explain execute {plan_name} ('{low}', '{high}', 51{values})");
    hand.lines(&execute, 0).await
}

/// 20,000 rows, all of them claimed or expired long ago.
pub async fn fill(hand: &mut DirectConnection, kind: StoreKind) {
    let (numbers, id, hash, one, no) = match kind {
        StoreKind::Sqlite => (
            "with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)",
            "randomblob(16)",
            "randomblob(32)",
            "'1'",
            "0",
        ),
        StoreKind::Postgres => (
            "with n (i) as (select generate_series(1, 20000))",
            "gen_random_uuid()",
            "decode(md5(i::text) || md5(i::text), 'hex')",
            "1",
            "false",
        ),
    };
    let insert = format!(
        "{numbers} insert into withdraws (id, version, min_amount, max_amount, currency,
           target_currency, exchange_rate, ttl_s, target_min_sat, target_max_sat, memo, key_id,
           secret_sha256, status, expires_at_ms, claimable_until_ms, claimable, modified_at_ms)
         select {id}, 1, {one}, {one}, 'SATS', 'SATS', {one}, 600, 1, 1, '', 'k', {hash},
           case when i % 10 = 0 then 'DEACTIVATED' else 'ACTIVE' end, 1, 1, {no}, 1 from n"
    );
    hand.run(&insert).await.unwrap();
    let attempts = "insert into payments (id, version, withdraw_id, invoice, payment_hash,
           amount_msat, fee_limit_msat, invoice_expires_at_ms, send_until_ms, state, state_at_ms,
           failure_reason, tallied)
         select id, 1, id, '', secret_sha256, 1, 1, 1, 1, 'FAILED', 1, 'NO_ROUTE', 1
           from withdraws";
    hand.run(attempts).await.unwrap();
    // A busy day, and what went out in the last minutes.
    for kind in ["OPEN", "OUT", "SPENT"] {
        let tallies = format!(
            "{numbers} insert into tallies (kind, slot, shard, msat, payments)
             select '{kind}', i / 16, i % 16, 1, 0 from n where i < 16 or '{kind}' <> 'OPEN'"
        );
        hand.run(&tallies).await.unwrap();
    }
    hand.run("analyze").await.unwrap();
}

/// Postgres that would lose commits in a crash is refused, unless the operator says what is lost.
#[tokio::test]
async fn postgres_must_be_durable() {
    if postgres_url().is_none() {
        return eprintln!("SKIPPED: no Postgres");
    }
    let url = new_postgres_database().await;
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
    let mut hand = PgConnection::connect(&url).await.unwrap();
    let off = AssertSqlSafe(format!("alter database {name} set synchronous_commit = off"));
    sqlx::query(off).execute(&mut hand).await.unwrap();
    let open = async |allow: &str| {
        let settings = [
            ("store.database_url", url.clone()),
            ("store.allow_losing_commits_in_a_crash", allow.to_owned()),
            ("store.acquire_timeout_ms", "1500".to_owned()),
        ];
        let config = Config::defaults(&settings).unwrap();
        PostgresStore::open(postgres_options(&config, true)).await
    };
    let refused =
        open("false").await.map(drop).expect_err("a database that loses commits was taken");
    let text = withdrawd::report::chain(&refused);
    assert!(text.contains("synchronous_commit = off"), "{text}");
    assert!(open("true").await.is_ok());
}

/// A second process on the same SQLite file would not see that leases are void.
#[tokio::test]
async fn a_data_directory_serves_one_process() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let second =
        SqliteStore::open(&sqlite_options(&bench.config, true), clock).await.err().unwrap();
    assert!(withdrawd::report::chain(&second).contains("another withdrawd uses"));
}

/// Without migrations nothing is served; with them the second run changes nothing.
#[tokio::test]
async fn a_schema_of_another_version_is_refused() {
    for kind in store_kinds() {
        let dir = tempfile::tempdir().unwrap();
        let url = match kind {
            StoreKind::Sqlite => String::new(),
            StoreKind::Postgres => new_postgres_database().await,
        };
        let data_dir = dir.path().to_str().unwrap().to_owned();
        let config =
            Config::defaults(&[("data_dir", data_dir), ("store.database_url", url)]).unwrap();
        let open = async |migrate: bool| -> Result<(), StoreError> {
            if kind == StoreKind::Postgres {
                return PostgresStore::open(postgres_options(&config, migrate)).await.map(drop);
            }
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
            SqliteStore::open(&sqlite_options(&config, migrate), clock).await.map(drop)
        };
        let refused = open(false).await.expect_err("an empty database was taken");
        assert!(withdrawd::report::chain(&refused).contains("withdrawd migrate"), "{refused:?}");
        open(true).await.unwrap();
        open(true).await.unwrap();
        open(false).await.unwrap();
    }
}

/// Bounds that exclude everything, and a cursor beyond them.
#[tokio::test]
async fn lists_with_empty_bounds_are_empty() {
    on_every_store(async |bench| {
        let first = WithdrawId::parse(&bench.create(1, 1).await.id).unwrap();
        let made_at = bench.clock.now();
        bench.clock.advance(withdrawd::domain::Millis::from_secs(10));
        bench.create(1, 1).await;
        let list = async |after: Option<WithdrawId>, from_s: i64, to_s: i64| {
            let at = |s: i64| Some(made_at.plus(withdrawd::domain::Millis::from_secs(s)));
            let filter =
                Filter { created_after: at(from_s), created_before: at(to_s), ..Filter::default() };
            let query = ListQuery { filter, after, caller: "", limit: 10, now: bench.clock.now() };
            let store = bench.store();
            bench.inside(async move { store.list(&query).await.unwrap().len() }).await
        };
        assert_eq!(list(None, 0, 11).await, 2);
        assert_eq!(list(None, 0, 10).await, 1, "created_before is exclusive");
        assert_eq!(list(None, 10, 11).await, 1, "created_after is inclusive");
        assert_eq!(list(None, 5, 5).await, 0);
        assert_eq!(list(None, 9, 2).await, 0);
        assert_eq!(list(Some(first), 5, 11).await, 0, "the cursor stands below the bounds");
    })
    .await;
}
