//! The databases that the tests run on.

use std::{
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use withdrawd::{
    config::{Config, StoreSettings},
    ports::Store,
    runtime::Clock,
    store::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore},
};

use super::Bench;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    Sqlite,
    Postgres,
}

/// Both, or SQLite alone (with a message) where no Postgres was started for the tests.
pub fn store_kinds() -> Vec<StoreKind> {
    if postgres_url().is_some() {
        return vec![StoreKind::Sqlite, StoreKind::Postgres];
    }
    eprintln!("SKIPPED on Postgres: WITHDRAWD_TEST_POSTGRES_URL is not set (see tests/run)");
    vec![StoreKind::Sqlite]
}

pub fn postgres_url() -> Option<String> {
    std::env::var("WITHDRAWD_TEST_POSTGRES_URL").ok()
}

/// Runs a test on every store.
pub async fn on_every_store(test: impl AsyncFn(Bench)) {
    for kind in store_kinds() {
        eprintln!("on {kind:?}:");
        test(Bench::new(kind).await).await;
    }
}

/// A fresh database of this test on the tests' Postgres.
pub async fn new_postgres_database() -> String {
    new_database_at(&postgres_url().unwrap()).await
}

/// A fresh database on this Postgres.
pub async fn new_database_at(admin: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("t{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    let options = PgConnectOptions::from_str(admin).unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("create database {name}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    admin.replacen("/postgres?", &format!("/{name}?"), 1)
}

/// The Postgres that is configured.
pub fn postgres_options(config: &Config, migrate: bool) -> PostgresOptions {
    match config.check_store().unwrap().migrating(migrate) {
        StoreSettings::Postgres(options) => *options,
        StoreSettings::Sqlite(_) => panic!("no Postgres is configured"),
    }
}

/// SQLite, as it is configured.
pub fn sqlite_options(config: &Config, migrate: bool) -> SqliteOptions {
    match config.check_store().unwrap().migrating(migrate) {
        StoreSettings::Sqlite(options) => options,
        StoreSettings::Postgres(_) => panic!("Postgres is configured"),
    }
}

pub(super) async fn open_store(config: &Config, clock: &Arc<dyn Clock>) -> Arc<dyn Store> {
    if let StoreSettings::Postgres(options) = config.check_store().unwrap() {
        Arc::new(PostgresStore::open(*options).await.unwrap())
    } else {
        let options = sqlite_options(config, true);
        let patience = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            match SqliteStore::open(&options, Arc::clone(clock)).await {
                Ok(store) => return Arc::new(store),
                // A program that another test starts at this moment holds copies of all that is open here,
                // the lock of the process before included, until it runs.
                Err(error)
                    if withdrawd::report::chain(&error).contains("another withdrawd uses") =>
                {
                    assert!(std::time::Instant::now() < patience, "{error:?}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}
