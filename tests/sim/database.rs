//! The real store under the simulation: one database for many histories, and a connection of our own
//! beside it that empties the tables in between.

use std::{
    future::Future,
    str::FromStr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Executor, PgConnection, SqliteConnection,
    postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use withdrawd::{
    config::{Config, StoreSettings},
    ports::Store,
    runtime::Runtime,
    store::{PostgresStore, SqliteStore},
};

/// Children before parents.
const EMPTY: &str = "delete from events; delete from sends; delete from payments; delete from tallies; \
                     delete from withdraws; delete from nodes; delete from operator_actions; \
                     delete from marks; delete from writers; delete from node_trouble; \
                     update instance set paused_at_ms = null, paused_by = null, \
                     pause_reason = null, fenced_at_ms = null, fence_reason = null, \
                     first_started_at_ms = null, acknowledged_at_ms = null, \
                     verified_server = null, verified_by = null, verified_at_ms = null, \
                     verified_timeline = null";

/// Parents before children. Histories write no other table.
const TABLES: [&str; 10] = [
    "withdraws",
    "payments",
    "sends",
    "events",
    "tallies",
    "nodes",
    "node_trouble",
    "operator_actions",
    "writers",
    "marks",
];

enum Raw {
    Sqlite(SqliteConnection),
    Postgres(Box<PgConnection>),
}

/// A database, and the little runtime that its driver needs.
pub struct Database {
    /// A connection of the tests' own, which the simulated processes do not know of.
    pub store: Arc<dyn Store>,
    process: Box<dyn Fn() -> Arc<dyn Store> + Send + Sync>,
    /// Which life of the database this is, where it can begin another one.
    incarnation: AtomicI64,
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
        let StoreSettings::Sqlite(options) = config.check_store().unwrap() else {
            panic!("no URL is configured")
        };
        let store = tokio.block_on(SqliteStore::open(&options, clock)).unwrap();
        let process = move || Arc::new(store.of_another_process()) as Arc<dyn Store>;
        let options = SqliteConnectOptions::new().filename(dir.path().join("withdrawd.sqlite"));
        let raw = Raw::Sqlite(tokio.block_on(options.connect()).unwrap());
        let this = Self::over(process, raw, tokio, Some(dir));
        this.execute("attach database ':memory:' as kept");
        this
    }

    /// An empty database of its own at this URL.
    pub fn postgres(url: &str) -> Arc<Self> {
        let tokio = runtime();
        let config = Config::defaults(&[("store.database_url", url.to_owned())]).unwrap();
        let StoreSettings::Postgres(options) = config.check_store().unwrap() else {
            panic!("a URL is configured")
        };
        let store = tokio.block_on(PostgresStore::open(*options)).unwrap();
        let process = move || Arc::new(store.of_another_process()) as Arc<dyn Store>;
        let options = PgConnectOptions::from_str(url).unwrap();
        let raw = Raw::Postgres(Box::new(tokio.block_on(options.connect()).unwrap()));
        Self::over(process, raw, tokio, None)
    }

    fn over(
        process: impl Fn() -> Arc<dyn Store> + Send + Sync + 'static,
        raw: Raw,
        tokio: tokio::runtime::Runtime,
        dir: Option<TempDir>,
    ) -> Arc<Self> {
        let (store, process) = (process(), Box::new(process));
        let (incarnation, raw) = (AtomicI64::new(1), Mutex::new(raw));
        Arc::new(Self { store, process, incarnation, raw, tokio, _dir: dir })
    }

    /// The store as a process has it that starts now.
    pub fn process(&self) -> Arc<dyn Store> {
        (self.process)()
    }

    /// Runs one effect to its end before anything else is chosen.
    pub fn run<T>(&self, effect: impl Future<Output = T>) -> T {
        self.tokio.block_on(effect)
    }

    /// Takes everything out: no history meets the rows of another.
    pub fn empty(&self) {
        self.execute(EMPTY);
        self.begin_incarnation(1);
    }

    /// Keeps what there is, as a standby that gets no further. False where that is not built.
    pub fn keep(&self) -> bool {
        if !self.is_sqlite() {
            return false;
        }
        for table in TABLES.into_iter().chain(["instance"]) {
            self.run_sql(format!("drop table if exists kept.{table}"));
            self.run_sql(format!("create table kept.{table} as select * from main.{table}"));
        }
        true
    }

    /// The standby is promoted: what was committed since is gone, and another server answers.
    pub fn promote_standby(&self) {
        for table in TABLES.into_iter().rev().chain(["instance"]) {
            self.run_sql(format!("delete from main.{table}"));
        }
        for table in TABLES.into_iter().chain(["instance"]) {
            self.run_sql(format!("insert into main.{table} select * from kept.{table}"));
        }
        self.begin_incarnation(self.incarnation.load(Ordering::SeqCst) + 1);
    }

    fn begin_incarnation(&self, incarnation: i64) {
        self.incarnation.store(incarnation, Ordering::SeqCst);
        if self.is_sqlite() {
            self.run_sql(format!("update instance set life = {incarnation}"));
        }
    }

    fn is_sqlite(&self) -> bool {
        matches!(*self.raw.lock().unwrap(), Raw::Sqlite(_))
    }

    pub fn execute(&self, sql: &'static str) {
        self.run_sql(sql.to_owned());
    }

    pub fn run_sql(&self, sql: String) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        let mut raw = self.raw.lock().unwrap();
        let done = match &mut *raw {
            Raw::Sqlite(raw) => self.run(raw.execute(sql)).map(drop),
            Raw::Postgres(raw) => self.run(raw.execute(sql)).map(drop),
        };
        done.unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}
