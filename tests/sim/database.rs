//! The real store under the simulation: one database for many histories, and a connection of our own
//! beside it that empties the tables in between.

use std::{future::Future, str::FromStr, sync::Arc, sync::Mutex};

use sqlx::{
    ConnectOptions, Executor, PgConnection, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use withdrawd::{
    config::Config,
    domain::Timestamp,
    ports::Store,
    runtime::Runtime,
    store::{PostgresStore, SqliteStore},
};

/// Children before parents.
const EMPTY: &str = "delete from events; delete from sends; delete from payments; delete from tallies; \
                     delete from withdraws; delete from nodes; delete from operator_actions; \
                     update instance set paused_at_ms = null, paused_by = null, \
                     pause_reason = null, fenced_at_ms = null, fence_reason = null, \
                     first_started_at_ms = null, acknowledged_at_ms = null";

enum Raw {
    Sqlite(SqliteConnection),
    Postgres(Box<PgConnection>),
}

/// A database, and the little runtime that its driver needs.
pub struct Database {
    pub store: Arc<dyn Store>,
    raw: Mutex<Raw>,
    tokio: tokio::runtime::Runtime,
    _dir: Option<TempDir>,
}

impl Database {
    /// On a memory file system, where `synchronous=FULL` costs nothing: the store opens it as ever.
    pub fn sqlite() -> Arc<Self> {
        let tokio = runtime();
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let data_dir = dir.path().to_str().unwrap().to_owned();
        let config = Config::defaults(&[("data_dir", data_dir)]).unwrap();
        let clock = Runtime::system().clock;
        let store = tokio.block_on(SqliteStore::open(&config.sqlite(true), clock)).unwrap();
        let options = SqliteConnectOptions::new().filename(dir.path().join("withdrawd.sqlite"));
        let raw = Raw::Sqlite(tokio.block_on(options.connect()).unwrap());
        Self::trusted(Arc::new(store), raw, tokio, Some(dir))
    }

    /// An empty database of its own at this URL.
    pub fn postgres(url: &str) -> Arc<Self> {
        let tokio = runtime();
        let config = Config::defaults(&[("store.database_url", url.to_owned())]).unwrap();
        let options = config.postgres(true).unwrap().unwrap();
        let store = tokio.block_on(PostgresStore::open(options)).unwrap();
        let options = PgConnectOptions::from_str(url).unwrap();
        let raw = Raw::Postgres(Box::new(tokio.block_on(options.connect()).unwrap()));
        Self::trusted(Arc::new(store), raw, tokio, None)
    }

    /// Verified by itself: whether a process trusts it is that process's wrapper's.
    fn trusted(
        store: Arc<dyn Store>,
        raw: Raw,
        tokio: tokio::runtime::Runtime,
        dir: Option<TempDir>,
    ) -> Arc<Self> {
        let server = tokio.block_on(store.server()).unwrap().server;
        tokio.block_on(store.verify(server, Timestamp::from_ms(0))).unwrap();
        store.meet(server, None);
        Arc::new(Self { store, raw: Mutex::new(raw), tokio, _dir: dir })
    }

    /// Runs one effect to its end before anything else is chosen.
    pub fn run<T>(&self, effect: impl Future<Output = T>) -> T {
        self.tokio.block_on(effect)
    }

    /// Takes everything out: no history meets the rows of another.
    pub fn empty(&self) {
        self.execute(EMPTY);
    }

    pub fn execute(&self, sql: &'static str) {
        let mut raw = self.raw.lock().unwrap();
        let done = match &mut *raw {
            Raw::Sqlite(raw) => self.run(raw.execute(sqlx::raw_sql(sql))).map(drop),
            Raw::Postgres(raw) => self.run(raw.execute(sqlx::raw_sql(sql))).map(drop),
        };
        done.unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
