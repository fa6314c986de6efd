//! A migration of a large database, beside processes of the version before.

use crate::bench::postgres_options;
use std::time::Duration;

use sqlx::{Connection, PgConnection};
use withdrawd::{config::Config, store::PostgresStore};

use crate::bench::{new_postgres_database, postgres_url};

/// A database that the last migrations were not run on.
async fn of_the_version_before() -> Option<(String, PgConnection)> {
    if postgres_url().is_none() {
        eprintln!("SKIPPED: no Postgres");
        return None;
    }
    let url = new_postgres_database().await;
    migrate(&url).await;
    let mut hand = PgConnection::connect(&url).await.unwrap();
    for undo in [
        "drop table tallies",
        "drop table limit_gate",
        "alter table payments drop column tallied",
        "alter table payments drop column written_at_ms",
        "drop table marks",
        "drop table writers",
        "alter table instance drop column verified_server, drop column verified_by,
                              drop column verified_at_ms, drop column verified_timeline",
        "delete from _sqlx_migrations where version in (5, 6)",
    ] {
        sqlx::query(undo).execute(&mut hand).await.unwrap();
    }
    Some((url, hand))
}

async fn migrate(url: &str) {
    let settings = [
        ("store.database_url", url.to_owned()),
        // The least that is allowed.
        ("store.statement_timeout_ms", "1000".to_owned()),
    ];
    let config = Config::defaults(&settings).unwrap();
    PostgresStore::open(postgres_options(&config, true)).await.map(drop).unwrap();
}

async fn waits(hand: &mut PgConnection, table: &str) {
    let mut probe = async || {
        let waiting = "select count(*) from pg_locks
                        where relation = $1::regclass and not granted and mode = 'AccessExclusiveLock'";
        let found: i64 =
            sqlx::query_scalar(waiting).bind(table).fetch_one(&mut *hand).await.unwrap();
        found
    };
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    while probe().await == 0 {
        assert!(std::time::Instant::now() < patience, "it does not wait for {table}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A claim of such a process holds the switches' row and comes to the payments only when the migration is
/// there: neither waits for the other in a circle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_of_the_version_before_and_a_migration_end_both() {
    let Some((url, mut hand)) = of_the_version_before().await else { return };
    let mut claim = PgConnection::connect(&url).await.unwrap();
    for statement in ["begin", "select paused_at_ms from instance for share"] {
        sqlx::query(statement).execute(&mut claim).await.unwrap();
    }
    let migrating = tokio::spawn(async move { migrate(&url).await });
    waits(&mut hand, "instance").await;
    for statement in ["lock table payments in row exclusive mode", "commit"] {
        sqlx::query(statement).execute(&mut claim).await.unwrap();
    }
    migrating.await.unwrap();
}

/// It takes as long as it takes, another process's included: the limit of a statement is one for requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_may_take_longer_than_a_statement() {
    let Some((url, mut hand)) = of_the_version_before().await else { return };
    let mut other = PgConnection::connect(&url).await.unwrap();
    // Of one that migrates.
    let lock = i64::from_be_bytes(*b"withdraw");
    sqlx::query("begin").execute(&mut other).await.unwrap();
    let locked = sqlx::query("select pg_advisory_xact_lock($1)").bind(lock);
    locked.execute(&mut other).await.unwrap();
    let migrating = tokio::spawn(async move { migrate(&url).await });
    // More than twice its statement_timeout.
    sqlx::query("select pg_sleep(2.5)").execute(&mut other).await.unwrap();
    assert!(!migrating.is_finished());
    sqlx::query("commit").execute(&mut other).await.unwrap();
    migrating.await.unwrap();
    let done = "select count(*) from _sqlx_migrations where version in (5, 6)";
    let done: i64 = sqlx::query_scalar(done).fetch_one(&mut hand).await.unwrap();
    assert_eq!(done, 2);
}

/// A dump reads a table for long: nobody else waits behind the migration for as long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_lets_others_go_on_while_it_cannot_have_its_locks() {
    let Some((url, mut hand)) = of_the_version_before().await else { return };
    let mut dump = PgConnection::connect(&url).await.unwrap();
    for statement in ["begin", "select count(*) from payments"] {
        sqlx::query(statement).execute(&mut dump).await.unwrap();
    }
    let migrating = tokio::spawn(async move { migrate(&url).await });
    waits(&mut hand, "payments").await;
    // It has given up its locks, once.
    let limit = std::time::Duration::from_secs(10);
    let read = sqlx::query("select paused_at_ms from instance for share").execute(&mut hand);
    tokio::time::timeout(limit, read).await.expect("everybody waits for the dump").unwrap();
    assert!(!migrating.is_finished());
    sqlx::query("commit").execute(&mut dump).await.unwrap();
    migrating.await.unwrap();
}
