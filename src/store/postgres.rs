//! Postgres: checks durability on every connection, and holds the statements that differ from SQLite's.
//!
//! It uses only what Postgres-compatible databases offer: no LISTEN, no user-defined function, no state that
//! outlives a transaction. So a connection pooler may sit in between (see [`session`]). Operators' commands
//! take a table lock (see [`exclusive`]).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, PgPool, Postgres, Row,
    postgres::{PgArguments, PgConnectOptions, PgRow},
    query::Query,
};

use super::{
    driver::{Driver, Fault, Tx, database_error},
    observed::Observed,
    sql::{Database, Dialect, Marks, SqlStore},
    statement::{BoundStatement, Value},
};
use crate::{
    domain::Timestamp,
    ports::{BoxError, Connections, StoreError},
};

mod cells;
mod connect;
mod dialect;
mod exclusive;
mod place;
mod session;

use connect::Connected;
use dialect::{CLOCK, DIALECT, TIMELINE};
use place::Place;
use session::Session;

/// How long to wait for an answer after the server's own statement timeout has passed.
const ANSWER_GRACE: Duration = Duration::from_secs(2);

/// How to connect.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://…`; the password in it is never logged.
    pub connect: PgConnectOptions,
    /// The maximum number of connections of this process; two of them are reserved for operators' commands.
    pub max_connections: u32,
    /// How long to wait for a free connection.
    pub acquire_timeout: Duration,
    /// How long one statement may take.
    pub statement_timeout: Duration,
    /// Accepts a server with `fsync` or `synchronous_commit` off. A crash of the database can then lose
    /// acknowledged commits, and a request may be paid twice.
    pub allow_losing_commits_in_a_crash: bool,
    /// Runs pending migrations when connecting.
    pub migrate: bool,
}

/// Omits the connect options, which hold a password.
impl std::fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresOptions").finish_non_exhaustive()
    }
}

impl PostgresOptions {
    /// Names the database for people, without user and password.
    pub fn place(&self) -> String {
        let connect = &self.connect;
        let database = connect.get_database().unwrap_or_else(|| connect.get_username());
        match connect.get_socket() {
            Some(socket) => format!("Postgres {database} at {}", socket.display()),
            None => {
                format!("Postgres {database} at {}:{}", connect.get_host(), connect.get_port())
            }
        }
    }
}

/// The store on Postgres.
pub type PostgresStore = SqlStore<Observed<PostgresDriver>>;

/// The driver of [`PostgresStore`].
#[derive(Debug)]
pub struct PostgresDriver {
    pool: PgPool,
    /// Reserved for operators' commands, so that claims cannot exhaust them.
    operators: PgPool,
    session: Session,
    place: Place,
    /// The SQL that begins a transaction on a shared session.
    begin: Arc<str>,
    /// The client-side timeout: the server's own does not help when the server is unreachable.
    answer_timeout: Duration,
}

impl PostgresStore {
    /// Connects, checks durability, and migrates the schema (or checks that it is current).
    pub async fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        // Boxed, since the futures of connecting are large and would sit on every caller's stack.
        let marks = Marks::of_a_new_writer();
        let Connected { pool, operators, session, place } =
            Box::pin(connect::open(&options, &marks)).await?;
        let answer_timeout = options.statement_timeout + ANSWER_GRACE;
        let begin = session::begin(&options);
        let driver = PostgresDriver { pool, operators, session, place, begin, answer_timeout };
        Ok(Self::over(Observed::new(driver, "postgresql"), marks))
    }
}

#[async_trait]
impl Driver for PostgresDriver {
    type Row = PgRow;
    type Tx = PostgresTx;

    async fn begin(&self) -> Result<PostgresTx, Fault> {
        self.begin_on(&self.pool).await
    }

    async fn begin_for_operator(&self) -> Result<PostgresTx, Fault> {
        exclusive::begin(self).await
    }

    async fn fetch(&self, statement: BoundStatement<'_>) -> Result<Vec<PgRow>, StoreError> {
        self.fetch_on(&self.pool, statement).await
    }

    async fn fetch_for_operator(
        &self,
        statement: BoundStatement<'_>,
    ) -> Result<Vec<PgRow>, StoreError> {
        self.fetch_on(&self.operators, statement).await
    }

    fn schema(&self) -> i64 {
        super::migrations::POSTGRES.iter().map(|migration| migration.version).max().unwrap_or(0)
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let rows = self.fetch(CLOCK.bind(())).await?;
        let now_ms = rows.first().and_then(|row| row.try_get::<i64, _>("now_ms").ok());
        now_ms.map(Timestamp::from_ms).ok_or_else(|| StoreError::Failed {
            doing: CLOCK.sql.doing,
            source: "no answer".into(),
        })
    }

    async fn timeline(&self) -> Option<i64> {
        let rows = self.fetch(TIMELINE.bind(())).await.ok()?;
        rows.first()?.try_get("timeline").ok()
    }

    fn refuses_writes(&self, error: &StoreError) -> bool {
        // Read-only (a standby, or a setting), disk full, I/O error.
        matches!(database_error(error).and_then(code).as_deref(), Some("25006" | "53100" | "58030"))
    }

    fn connections(&self) -> Connections {
        let pool = &self.pool;
        Connections::of(pool.size(), pool.num_idle(), pool.options().get_max_connections())
    }

    async fn close(&self) {
        self.pool.close().await;
        self.operators.close().await;
    }
}

impl Database for PostgresDriver {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }
}

impl PostgresDriver {
    async fn begin_on(&self, pool: &PgPool) -> Result<PostgresTx, Fault> {
        let begun = async {
            match self.session {
                Session::Own => pool.begin().await,
                Session::Shared => pool.begin_with(AssertSqlSafe(Arc::clone(&self.begin))).await,
            }
        };
        let tx = within(self.answer_timeout, "begin", Box::pin(begun)).await;
        let tx = tx.map_err(|fault| fault.map(|error| self.place.locate_error(error)))?;
        Ok(PostgresTx { tx, session: self.session, answer_timeout: self.answer_timeout })
    }

    async fn fetch_on(
        &self,
        pool: &PgPool,
        statement: BoundStatement<'_>,
    ) -> Result<Vec<PgRow>, StoreError> {
        let doing = statement.sql.doing;
        if self.session == Session::Shared {
            // It only reads, so dropping it (a rollback) is enough.
            let mut tx = self.begin_on(pool).await.map_err(Fault::into_error)?;
            return tx.fetch(statement).await.map_err(Fault::into_error);
        }
        let rows = bound(statement, Session::Own).fetch_all(pool);
        let rows = within(self.answer_timeout, doing, rows).await;
        rows.map_err(|fault| self.place.locate_error(fault.into_error()))
    }
}

/// A transaction on Postgres.
#[derive(Debug)]
pub struct PostgresTx {
    tx: sqlx::Transaction<'static, Postgres>,
    session: Session,
    answer_timeout: Duration,
}

#[async_trait]
impl Tx for PostgresTx {
    type Row = PgRow;

    async fn execute(&mut self, statement: BoundStatement<'_>) -> Result<u64, Fault> {
        let doing = statement.sql.doing;
        let done = bound(statement, self.session).execute(&mut *self.tx);
        within(self.answer_timeout, doing, done).await.map(|done| done.rows_affected())
    }

    async fn fetch(&mut self, statement: BoundStatement<'_>) -> Result<Vec<PgRow>, Fault> {
        let doing = statement.sql.doing;
        let rows = bound(statement, self.session).fetch_all(&mut *self.tx);
        within(self.answer_timeout, doing, rows).await
    }

    async fn commit(self) -> Result<(), Fault> {
        let unknown = |why: BoxError| Err(StoreError::Unknown(why).into());
        match tokio::time::timeout(self.answer_timeout, self.tx.commit()).await {
            Ok(Ok(())) => Ok(()),
            // The server itself reports that it rolled the transaction back.
            Ok(Err(error)) if is_contended(&error) => Err(fault("commit", error)),
            Ok(Err(error)) => unknown(error.into()),
            Err(_) => unknown("Postgres does not answer".into()),
        }
    }
}

/// Fails with [`StoreError::Unavailable`] if no answer comes in time, and drops the connection.
async fn within<T>(
    answer_timeout: Duration,
    doing: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Fault> {
    let Ok(answer) = tokio::time::timeout(answer_timeout, work).await else {
        let source = "Postgres does not answer".into();
        return Err(Fault::Final(StoreError::Unavailable { doing, source }));
    };
    answer.map_err(|error| fault(doing, error))
}

fn bound(
    BoundStatement { sql, values }: BoundStatement<'_>,
    session: Session,
) -> Query<'static, Postgres, PgArguments> {
    // Only a session of our own keeps named prepared statements.
    let query = sqlx::query(sql.text).persistent(session == Session::Own);
    values.into_iter().fold(query, |query, value| match value {
        Value::Int(value) => query.bind(value),
        Value::Bool(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
        Value::Uuid(value) => query.bind(value),
        Value::Decimal(value) => query.bind(value),
    })
}

fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(Into::into)
}

/// `serialization_failure` and `deadlock_detected`.
fn is_contended(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01"))
}

/// Errors of the server's state, not of the statement, after which nothing was written: connection lost
/// (08), insufficient resources (53), operator intervention (57: shutdown; 57014: timeout or cancel), lock
/// timeout (55P03), transaction idle or running for too long (25P03, 25P04), read-only after a failover
/// (25006).
fn is_temporary(code: &str) -> bool {
    let class = code.get(..2).unwrap_or_default();
    matches!(class, "08" | "53" | "57") || matches!(code, "55P03" | "25P03" | "25P04" | "25006")
}

/// Classifies an error: contended (retry), temporarily unavailable, or failed.
fn fault(doing: &'static str, error: sqlx::Error) -> Fault {
    let contended = is_contended(&error);
    let unavailable = match code(&error).as_deref() {
        Some(code) => is_temporary(code),
        None => matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
        ),
    };
    let source = BoxError::from(error);
    if contended {
        Fault::Contended(StoreError::Unavailable { doing, source })
    } else if unavailable {
        Fault::Final(StoreError::Unavailable { doing, source })
    } else {
        Fault::Final(StoreError::Failed { doing, source })
    }
}
