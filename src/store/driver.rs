//! What the statements of [`super::sql`] ask of a database.

use async_trait::async_trait;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::{
    domain::Timestamp,
    ports::{Connections, StoreError},
};

/// A statement: constant text that begins with its name in a comment, and what it is there for.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    /// For errors: "could not …".
    pub doing: &'static str,
    /// `$1`, `$2`, … in both databases.
    pub text: &'static str,
}

impl Sql {
    /// The first line of the text, without the `-- `.
    pub fn name(self) -> &'static str {
        let line = self.text.lines().next().unwrap_or_default();
        line.trim_start_matches("--").trim()
    }
}

/// A parameter. Each kind is bound as the column's own type.
#[derive(Clone, Debug)]
pub enum Value {
    /// bigint
    Int(Option<i64>),
    /// boolean
    Bool(bool),
    /// text
    Text(Option<String>),
    /// bytea
    Bytes(Option<Vec<u8>>),
    /// uuid
    Uuid(Option<Uuid>),
    /// numeric (text on SQLite)
    Decimal(Decimal),
}

/// A row, read by the names of its columns.
pub trait Cells {
    /// bigint
    fn int(&self, column: &str) -> Result<Option<i64>, sqlx::Error>;
    /// boolean
    fn bool(&self, column: &str) -> Result<bool, sqlx::Error>;
    /// text
    fn text(&self, column: &str) -> Result<Option<String>, sqlx::Error>;
    /// bytea
    fn bytes(&self, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error>;
    /// uuid
    fn uuid(&self, column: &str) -> Result<Option<Uuid>, sqlx::Error>;
    /// numeric
    fn decimal(&self, column: &str) -> Result<Decimal, sqlx::Error>;
}

/// Why a statement failed, as far as trying again is concerned.
#[derive(Debug)]
pub enum Fault {
    /// Another transaction was in the way (40001, 40P01, busy): nothing was written, try again.
    Contended(StoreError),
    /// Anything else.
    Final(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

impl Fault {
    /// The same advice about another error.
    #[must_use]
    pub fn map(self, change: impl FnOnce(StoreError) -> StoreError) -> Self {
        match self {
            Self::Contended(error) => Self::Contended(change(error)),
            Self::Final(error) => Self::Final(change(error)),
        }
    }

    /// The error without the advice.
    pub fn into_error(self) -> StoreError {
        match self {
            Self::Contended(error) | Self::Final(error) => error,
        }
    }
}

/// What the database itself said, if an error comes from one.
pub fn said(error: &StoreError) -> Option<&sqlx::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// A transaction that writes. Dropped without [`Tx::commit`], it never happened.
#[async_trait]
pub trait Tx: Send {
    /// Its rows.
    type Row: Cells + Send + Sync;

    /// Runs a statement; tells how many rows it wrote.
    async fn execute(&mut self, sql: Sql, values: Vec<Value>) -> Result<u64, Fault>;

    /// Runs a statement that returns rows.
    async fn fetch(&mut self, sql: Sql, values: Vec<Value>) -> Result<Vec<Self::Row>, Fault>;

    /// Makes it durable. An answer that was lost is [`StoreError::Unknown`].
    async fn commit(self) -> Result<(), Fault>;
}

/// The statements that the two databases spell differently.
#[derive(Debug)]
pub struct Dialect {
    /// Leases RESERVED attempts.
    pub lease_fresh: Sql,
    /// Leases all others that are due.
    pub lease_follow: Sql,
    /// Reads what was leased, with the requests.
    pub leased: Sql,
    /// Reads its sends.
    pub leased_sends: Sql,
    /// Reads a request of a version, and keeps it so until the transaction ends.
    pub hold_withdraw: Sql,
    /// Reads the instance's switches, and keeps them so until the transaction ends.
    pub hold_instance: Sql,
    /// Reads them alone.
    pub see_instance: Sql,
    /// Reads the newest attempt, and what bounds the time of its id, which a process's clock has made.
    pub newest_written: Sql,
    /// Waits for whoever counts what a limit leaves, until the transaction ends.
    pub pass_limit: Sql,
    /// What writers' marks need.
    pub marks: MarksDialect,
}

/// The statements about marks: they name the server that answers, and the database's clock.
#[derive(Debug)]
pub struct MarksDialect {
    /// Moves a lane's mark, unless it is older than it was told to be.
    pub advance: Sql,
    /// Moves the mark of a lane that was told nothing yet.
    pub begin: Sql,
    /// Reads a writer's marks: one row at least, which names the server.
    pub read: Sql,
    /// Makes the writer known.
    pub introduce: Sql,
    /// Writes that the writer has found all of its marks on this server.
    pub found_all: Sql,
    /// Counts other writers that were here lately and have not looked at this server.
    pub yet_to_read: Sql,
    /// Removes writers that have been silent for long.
    pub forget: Sql,
    /// Writes that this server is verified, if it is the one that answers.
    pub verify: Sql,
}

/// A database.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// Its rows.
    type Row: Cells + Send + Sync;
    /// Its transactions.
    type Tx: Tx<Row = Self::Row>;

    /// How it spells what differs.
    fn dialect(&self) -> &'static Dialect;

    /// Begins a transaction that writes.
    async fn begin(&self) -> Result<Self::Tx, Fault>;

    /// Begins an operator's transaction, with the instance for itself: whoever has read the switches has
    /// ended by then, and whoever comes later waits. It does not queue behind claims, and within a second
    /// it has begun or fails with [`StoreError::Unavailable`].
    async fn begin_for_operator(&self) -> Result<Self::Tx, Fault>;

    /// Reads outside of a transaction, for an operator: does not queue behind claims.
    async fn fetch_for_operator(
        &self,
        sql: Sql,
        values: Vec<Value>,
    ) -> Result<Vec<Self::Row>, StoreError>;

    /// Reads outside of a transaction.
    async fn fetch(&self, sql: Sql, values: Vec<Value>) -> Result<Vec<Self::Row>, StoreError>;

    /// The newest migration that this program knows.
    fn schema(&self) -> i64;

    /// The database's own clock.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// The timeline of the server's log, where the database has one and lets it be read.
    async fn timeline(&self) -> Option<i64>;

    /// Whether an error says that the database takes no writes.
    fn refuses_writes(&self, error: &StoreError) -> bool;

    /// How the connections stand.
    fn connections(&self) -> Connections;

    /// Ends all connections.
    async fn close(&self);
}
