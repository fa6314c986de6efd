//! SQLite: one process, one writer, and every commit durable before it is acknowledged.
//!
//! A lock on the data directory keeps a second process from the file. So at start all leases of the previous
//! process are void. Its marks are deleted, since no other process remembers them. The journal is WAL with
//! `synchronous=FULL`; both settings are read back.

use std::{fs::File, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    Connection, Sqlite, SqlitePool,
    query::Query,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow,
        SqliteSynchronous,
    },
};
use tokio::sync::Mutex;

use super::{
    driver::{Driver, Fault, Tx, database_error},
    migrations,
    observed::Observed,
    sql::{Database, Dialect, Marks, SqlStore},
    statement::{BoundStatement, Value},
};
use crate::{
    domain::Timestamp,
    ports::{Connections, StoreError},
    runtime::Clock,
};

mod cells;
mod dialect;
mod fault;
mod file;

use dialect::DIALECT;
use fault::{fault, is_busy, primary_code};
use file::{Identity, begin_life, identity, lock, void_leases};

/// How long to wait for a pooled connection; waiters for the one writer are served in order.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an operator's command waits for the writer, which another program's lock may block.
const OPERATOR_TIMEOUT: Duration = Duration::from_millis(900);

/// How to open the file.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The directory that holds the file and its lock. It must exist.
    pub data_dir: PathBuf,
    /// The maximum number of read connections; one more is reserved for operators.
    pub max_readers: u32,
    /// How long SQLite waits for a lock on the file (`busy_timeout`).
    pub busy_timeout: Duration,
    /// Runs pending migrations when opening.
    pub migrate: bool,
}

/// The store on SQLite.
pub type SqliteStore = SqlStore<Observed<SqliteDriver>>;

/// The driver of [`SqliteStore`].
pub struct SqliteDriver {
    writer: SqlitePool,
    /// Ordinary transactions queue here before they queue for the writer. Operators' commands skip this
    /// queue, so at most one waiting transaction is ahead of them.
    writer_queue: Mutex<()>,
    readers: SqlitePool,
    /// Reserved for operators' commands.
    operator_reader: SqlitePool,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    /// The open files, to detect that they were replaced.
    files: Identity,
    /// Held until the last connection is closed; the operating system releases it if the process dies.
    _lock: File,
}

impl SqliteStore {
    /// Opens the file with durable settings, migrates or checks the schema, and voids old leases. SQLite has
    /// no clock of its own, so `clock` serves as the database's.
    pub async fn open(options: &SqliteOptions, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let driver = Self::open_driver(options, clock).await?;
        Ok(Self::over(Observed::new(driver, "sqlite"), Marks::of_a_new_writer()))
    }

    pub(super) async fn open_driver(
        options: &SqliteOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<SqliteDriver, StoreError> {
        let lock = lock(&options.data_dir)?;
        let path = options.data_dir.join("withdrawd.sqlite");
        let connect = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(options.busy_timeout);
        let writer = pool(connect.clone(), 1).await?;
        check_durable(&writer).await?;
        schema(&writer, options.migrate).await?;
        void_leases(&writer, clock.now()).await?;
        begin_life(&writer).await?;
        let readers = pool(connect.clone(), options.max_readers).await?;
        let operator_reader = pool(connect, 1).await?;
        let writer_queue = Mutex::default();
        let files = identity(&path)?;
        Ok(SqliteDriver {
            writer,
            writer_queue,
            readers,
            operator_reader,
            clock,
            path,
            files,
            _lock: lock,
        })
    }
}

async fn pool(
    connect: SqliteConnectOptions,
    max_connections: u32,
) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new()
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .max_connections(max_connections)
        .idle_timeout(None)
        .max_lifetime(None)
        // A COMMIT that failed on a full disk has ended the transaction, but sqlx still counts it as open
        // and would never begin another one on this connection.
        .before_acquire(|connection, _| {
            let usable = !connection.is_in_transaction();
            Box::pin(async move { Ok(usable) })
        })
        .connect_with(connect)
        .await;
    pool.map_err(|error| fault("open the database", error).into_error())
}

/// Reads the settings back, since SQLite may ignore one silently: WAL on some file systems, for example.
async fn check_durable(writer: &SqlitePool) -> Result<(), StoreError> {
    let read = |pragma: &'static str| sqlx::query_scalar::<_, String>(pragma).fetch_one(writer);
    let failed = |error| fault("read the durability settings", error).into_error();
    let journal = read("select journal_mode from pragma_journal_mode").await.map_err(failed)?;
    let synchronous = read("select cast(synchronous as text) from pragma_synchronous");
    let synchronous = synchronous.await.map_err(failed)?;
    let foreign_keys = read("select cast(foreign_keys as text) from pragma_foreign_keys");
    let foreign_keys = foreign_keys.await.map_err(failed)?;
    if (journal.as_str(), synchronous.as_str(), foreign_keys.as_str()) == ("wal", "2", "1") {
        return Ok(());
    }
    Err(StoreError::Failed {
        doing: "make the database durable",
        source: format!(
            "SQLite did not apply the settings: journal_mode = {journal}, synchronous = \
             {synchronous}, foreign_keys = {foreign_keys}"
        )
        .into(),
    })
}

async fn schema(writer: &SqlitePool, migrate: bool) -> Result<(), StoreError> {
    let failed = |source| StoreError::Failed { doing: "migrate the database", source };
    if migrate {
        return migrations::SQLITE.run(writer).await.map_err(|error| failed(error.into()));
    }
    let found: Result<Option<i64>, _> =
        sqlx::query_scalar("-- schema\nselect max(version) from _sqlx_migrations where success")
            .fetch_one(writer)
            .await;
    let expected = migrations::SQLITE.iter().map(|migration| migration.version).max();
    if found.is_ok_and(|found| found == expected) {
        return Ok(());
    }
    Err(failed("its schema version differs from this program's; run `withdrawd migrate`".into()))
}

impl SqliteDriver {
    /// Fails if the files were replaced: writes to a replaced file are lost when the process ends.
    fn check_same_files(&self) -> Result<(), StoreError> {
        if identity(&self.path)? == self.files {
            return Ok(());
        }
        Err(StoreError::Unavailable {
            doing: "use the database's file",
            source:
                "the file or its WAL was replaced while the service was running; restart the service"
                    .into(),
        })
    }
}

#[async_trait]
impl Driver for SqliteDriver {
    type Row = SqliteRow;
    type Tx = SqliteTx;

    async fn begin(&self) -> Result<SqliteTx, Fault> {
        self.check_same_files()?;
        let Ok(_queued) = tokio::time::timeout(ACQUIRE_TIMEOUT, self.writer_queue.lock()).await
        else {
            return Err(fault("begin", sqlx::Error::PoolTimedOut));
        };
        begin_immediate(&self.writer).await
    }

    async fn begin_for_operator(&self) -> Result<SqliteTx, Fault> {
        self.check_same_files()?;
        let Ok(begun) = tokio::time::timeout(OPERATOR_TIMEOUT, begin_immediate(&self.writer)).await
        else {
            let source = "another transaction holds the database".into();
            return Err(StoreError::Unavailable { doing: "lock the instance", source }.into());
        };
        begun
    }

    async fn fetch(&self, statement: BoundStatement<'_>) -> Result<Vec<SqliteRow>, StoreError> {
        self.check_same_files()?;
        let doing = statement.sql.doing;
        let rows = bound(statement).fetch_all(&self.readers).await;
        rows.map_err(|error| fault(doing, error).into_error())
    }

    async fn fetch_for_operator(
        &self,
        statement: BoundStatement<'_>,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        self.check_same_files()?;
        let doing = statement.sql.doing;
        let rows = bound(statement).fetch_all(&self.operator_reader).await;
        rows.map_err(|error| fault(doing, error).into_error())
    }

    fn schema(&self) -> i64 {
        migrations::SQLITE.iter().map(|migration| migration.version).max().unwrap_or(0)
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        Ok(self.clock.now())
    }

    async fn timeline(&self) -> Option<i64> {
        None
    }

    fn refuses_writes(&self, error: &StoreError) -> bool {
        // SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN; a COMMIT can fail with them too.
        database_error(error)
            .and_then(primary_code)
            .is_some_and(|code| matches!(code, 8 | 10 | 13 | 14))
    }

    fn connections(&self) -> Connections {
        connections(&self.writer).and(connections(&self.readers))
    }

    async fn close(&self) {
        self.readers.close().await;
        self.operator_reader.close().await;
        self.writer.close().await;
    }
}

impl Database for SqliteDriver {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }
}

async fn begin_immediate(writer: &SqlitePool) -> Result<SqliteTx, Fault> {
    // A deferred transaction takes the write lock at its first write, and can fail there.
    let tx = writer.begin_with("BEGIN IMMEDIATE").await;
    tx.map(SqliteTx).map_err(|error| fault("begin", error))
}

fn connections(pool: &SqlitePool) -> Connections {
    Connections::of(pool.size(), pool.num_idle(), pool.options().get_max_connections())
}

/// A transaction on SQLite.
#[derive(Debug)]
pub struct SqliteTx(sqlx::Transaction<'static, Sqlite>);

#[async_trait]
impl Tx for SqliteTx {
    type Row = SqliteRow;

    async fn execute(&mut self, statement: BoundStatement<'_>) -> Result<u64, Fault> {
        let doing = statement.sql.doing;
        let done = bound(statement).execute(&mut *self.0).await;
        done.map(|done| done.rows_affected()).map_err(|error| fault(doing, error))
    }

    async fn fetch(&mut self, statement: BoundStatement<'_>) -> Result<Vec<SqliteRow>, Fault> {
        let doing = statement.sql.doing;
        let rows = bound(statement).fetch_all(&mut *self.0).await;
        rows.map_err(|error| fault(doing, error))
    }

    async fn commit(self) -> Result<(), Fault> {
        match self.0.commit().await {
            Ok(()) => Ok(()),
            Err(error) if is_busy(&error) => Err(fault("commit", error)),
            Err(error) => Err(StoreError::Unknown(error.into()).into()),
        }
    }
}

fn bound(
    BoundStatement { sql, values }: BoundStatement<'_>,
) -> Query<'static, Sqlite, SqliteArguments> {
    values.into_iter().fold(sqlx::query(sql.text), |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Bool(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value.map(Vec::from)),
        Value::Uuid(value) => query.bind(value),
        Value::Decimal(value) => query.bind(value.normalize().to_string()),
    })
}
