//! What both databases owe the domain: invariants as constraints, durability, indexes, migrations.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};
use withdrawd::{
    config::Config,
    domain::{Filter, ListQuery, Status, WithdrawId},
    pb::withdraw::Status as WireStatus,
    ports::StoreError,
    runtime::{Clock, SystemClock},
    store::{PostgresStore, SqliteStore, list_statements},
};

use crate::{
    bench::{Bench, Kind, kinds, new_postgres_database, on_every_store, postgres_url},
    node::Fate,
};

/// A hand on the database, past the program.
enum Hand {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Hand {
    async fn on(bench: &Bench) -> Self {
        match bench.kind {
            Kind::Sqlite => {
                let file = bench.data_dir().join("withdrawd.sqlite");
                let url = format!("sqlite://{}", file.display());
                let mut hand = SqliteConnection::connect(&url).await.unwrap();
                sqlx::query("pragma foreign_keys = on").execute(&mut hand).await.unwrap();
                Self::Sqlite(hand)
            }
            Kind::Postgres => {
                let url = &bench.config.store.database_url;
                Self::Postgres(PgConnection::connect(url).await.unwrap())
            }
        }
    }

    async fn run(&mut self, sql: &str) -> Result<u64, sqlx::Error> {
        let query = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(hand) => sqlx::query(query).execute(hand).await.map(|d| d.rows_affected()),
            Self::Postgres(hand) => {
                sqlx::query(query).execute(hand).await.map(|d| d.rows_affected())
            }
        }
    }

    /// A plan as text.
    async fn lines(&mut self, sql: &str, column: usize) -> String {
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

/// Whatever the code believes, the database refuses what must never be.
#[tokio::test]
async fn constraints_repeat_the_invariants() {
    on_every_store(async |bench| {
        let held = bench.create(10, 10).await;
        bench.node.next([Fate::PayAndLoseAnswer]);
        bench.claim_ok(&held, &bench.invoice(10)).await;
        bench.work().await;
        let paid = bench.create(10, 10).await;
        bench.claim_ok(&paid, &bench.invoice(10)).await;
        bench.work().await;
        let mut hand = Hand::on(&bench).await;
        let (sending, done) = ("state = 'SENDING'", "state = 'PAID'");
        let copy_of = |which: &str, hash: &str, state: &str| {
            let id = match bench.kind {
                Kind::Sqlite => "randomblob(16)",
                Kind::Postgres => "gen_random_uuid()",
            };
            format!(
                "insert into payments (id, version, withdraw_id, invoice, payment_hash, amount_msat,
                   fee_limit_msat, invoice_expires_at_ms, send_until_ms, state)
                 select {id}, 1, withdraw_id, invoice, {hash}, amount_msat, fee_limit_msat,
                   invoice_expires_at_ms, send_until_ms, '{state}' from payments where {which}"
            )
        };
        let other_hash = "secret_of_32_bytes_for_this_test";
        let other_hash = match bench.kind {
            Kind::Sqlite => format!("cast('{other_hash}' as blob)"),
            Kind::Postgres => format!("'{other_hash}'::bytea"),
        };
        let refused = [
            ("a second open attempt", copy_of(sending, &other_hash, "RESERVED")),
            ("a payment hash used twice", copy_of(done, "payment_hash", "RESERVED")),
            ("paid without proof", format!("update payments set state = 'PAID' where {sending}")),
            (
                "failed without reason",
                format!("update payments set state = 'FAILED', state_at_ms = 1 where {sending}"),
            ),
            (
                "doubt without reason",
                format!(
                    "update payments set state = 'NEEDS_OPERATOR', state_at_ms = 1 where {sending}"
                ),
            ),
            ("an unknown state", format!("update payments set state = 'LOST' where {sending}")),
            (
                "proof without payment",
                format!("update payments set state = 'SENDING', state_at_ms = null where {done}"),
            ),
            ("an unknown status", "update withdraws set status = 'EXPIRED'".to_owned()),
            (
                "deactivated while held",
                "update withdraws set status = 'DEACTIVATED' where payment_hold = 'OPEN'"
                    .to_owned(),
            ),
            (
                "claimable while held",
                "update withdraws set claimable = true where payment_hold = 'OPEN'".to_owned(),
            ),
            (
                "paid by nothing",
                "update withdraws set payment_id = null, payment_hold = null where status = 'PAID'"
                    .to_owned(),
            ),
            (
                "an event of nothing",
                match bench.kind {
                    Kind::Sqlite => {
                        "insert into events values (randomblob(16), 1, 'paid', null, null, 0)"
                            .to_owned()
                    }
                    Kind::Postgres => {
                        "insert into events values (gen_random_uuid(), 1, 'paid', null, null, 0)"
                            .to_owned()
                    }
                },
            ),
            ("an event told twice", "insert into events select * from events".to_owned()),
            ("a send told twice", "insert into sends select * from sends".to_owned()),
        ];
        for (what, sql) in refused {
            assert!(hand.run(&sql).await.is_err(), "{:?} allows {what}", bench.kind);
        }
    })
    .await;
}

/// No secret stands in the database: a stolen dump claims nothing.
#[tokio::test]
async fn the_database_holds_no_secret() {
    let bench = Bench::new(Kind::Sqlite).await;
    let withdraw = bench.create(10, 10).await;
    bench.claim_ok(&withdraw, &bench.invoice(10)).await;
    bench.work().await;
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
    for kind in kinds() {
        let bench = Bench::new(kind).await;
        let mut hand = Hand::on(&bench).await;
        fill(&mut hand, kind).await;
        for statement in list_statements() {
            let (name, text) = statement.split_once('\n').unwrap();
            let plan = match kind {
                Kind::Sqlite => hand.lines(&format!("explain query plan {text}"), 3).await,
                Kind::Postgres => generic_plan(&mut hand, name, text).await,
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

async fn generic_plan(hand: &mut Hand, name: &str, text: &str) -> String {
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
async fn fill(hand: &mut Hand, kind: Kind) {
    let (numbers, id, hash, one, no) = match kind {
        Kind::Sqlite => (
            "with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)",
            "randomblob(16)",
            "randomblob(32)",
            "'1'",
            "0",
        ),
        Kind::Postgres => (
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
           failure_reason)
         select id, 1, id, '', secret_sha256, 1, 1, 1, 1, 'FAILED', 1, 'NO_ROUTE' from withdraws";
    hand.run(attempts).await.unwrap();
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
        PostgresStore::open(config.postgres(true).unwrap().unwrap()).await
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
    let bench = Bench::new(Kind::Sqlite).await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let second = SqliteStore::open(&bench.config.sqlite(true), clock).await.err().unwrap();
    assert!(withdrawd::report::chain(&second).contains("another withdrawd uses"));
}

/// Without migrations nothing is served; with them the second run changes nothing.
#[tokio::test]
async fn a_schema_of_another_version_is_refused() {
    for kind in kinds() {
        let dir = tempfile::tempdir().unwrap();
        let url = match kind {
            Kind::Sqlite => String::new(),
            Kind::Postgres => new_postgres_database().await,
        };
        let data_dir = dir.path().to_str().unwrap().to_owned();
        let config =
            Config::defaults(&[("data_dir", data_dir), ("store.database_url", url)]).unwrap();
        let open = async |migrate: bool| -> Result<(), StoreError> {
            if let Some(options) = config.postgres(migrate).unwrap() {
                return PostgresStore::open(options).await.map(drop);
            }
            let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
            SqliteStore::open(&config.sqlite(migrate), clock).await.map(drop)
        };
        let refused = open(false).await.expect_err("an empty database was taken");
        assert!(withdrawd::report::chain(&refused).contains("withdrawd migrate"), "{refused:?}");
        open(true).await.unwrap();
        open(true).await.unwrap();
        open(false).await.unwrap();
    }
}

/// A cursor that stands beyond the filter's bounds, and bounds that exclude everything.
#[tokio::test]
async fn lists_with_empty_bounds_are_empty() {
    on_every_store(async |bench| {
        let made = bench.create(1, 1).await;
        let id = WithdrawId::parse(&made.id).unwrap();
        let (store, now) = (bench.store(), bench.clock.now());
        let query = ListQuery {
            filter: Filter { status: Some(Status::Active), ..Filter::default() },
            after: Some(id),
            limit: 10,
            now,
        };
        assert!(bench.inside(async move { store.list(&query).await.unwrap() }).await.is_empty());
        assert_eq!(made.status(), WireStatus::Active);
    })
    .await;
}
