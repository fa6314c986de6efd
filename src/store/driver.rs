//! The interface that [`super::sql`] requires of a database.

use async_trait::async_trait;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::statement::BoundStatement;
use crate::{
    domain::Timestamp,
    ports::{Connections, StoreError},
};

/// A row whose cells are read by column name.
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

/// Why a statement failed, and whether to retry its transaction.
#[derive(Debug)]
pub enum Fault {
    /// A conflict with another transaction (40001, 40P01, busy): nothing was written, retry.
    Contended(StoreError),
    /// Any other error: a retry would not help.
    Final(StoreError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

impl Fault {
    /// Maps the error and keeps whether to retry.
    #[must_use]
    pub fn map(self, change: impl FnOnce(StoreError) -> StoreError) -> Self {
        match self {
            Self::Contended(error) => Self::Contended(change(error)),
            Self::Final(error) => Self::Final(change(error)),
        }
    }

    /// The error alone.
    pub fn into_error(self) -> StoreError {
        match self {
            Self::Contended(error) | Self::Final(error) => error,
        }
    }
}

/// The first database error in the source chain, if there is one.
pub fn database_error(error: &StoreError) -> Option<&sqlx::Error> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// A transaction that writes. Dropping it without [`Tx::commit`] rolls it back.
#[async_trait]
pub trait Tx: Send {
    /// The type of its rows.
    type Row: Cells + Send + Sync;

    /// Runs a statement and returns the number of rows that it wrote.
    async fn execute(&mut self, statement: BoundStatement<'_>) -> Result<u64, Fault>;

    /// Runs a statement that returns rows.
    async fn fetch(&mut self, statement: BoundStatement<'_>) -> Result<Vec<Self::Row>, Fault>;

    /// Commits durably. If the answer to COMMIT is lost, fails with [`StoreError::Unknown`].
    async fn commit(self) -> Result<(), Fault>;
}

/// A database.
#[async_trait]
pub trait Driver: Send + Sync + 'static {
    /// The type of its rows.
    type Row: Cells + Send + Sync;
    /// The type of its transactions.
    type Tx: Tx<Row = Self::Row>;

    /// Begins a transaction that writes.
    async fn begin(&self) -> Result<Self::Tx, Fault>;

    /// Begins an operator's transaction that locks the instance exclusively: every transaction that has read
    /// the switches (pause and fence) has ended, and later ones wait. It does not queue behind claims, and
    /// begins or fails with [`StoreError::Unavailable`] within a second.
    async fn begin_for_operator(&self) -> Result<Self::Tx, Fault>;

    /// Reads outside of a transaction, for an operator, without queuing behind claims.
    async fn fetch_for_operator(
        &self,
        statement: BoundStatement<'_>,
    ) -> Result<Vec<Self::Row>, StoreError>;

    /// Reads outside of a transaction.
    async fn fetch(&self, statement: BoundStatement<'_>) -> Result<Vec<Self::Row>, StoreError>;

    /// The version of the newest migration in this program.
    fn schema(&self) -> i64;

    /// The database's own clock.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// The timeline of the server's write-ahead log, if the database has one and permits reading it.
    async fn timeline(&self) -> Option<i64>;

    /// Whether the error means that the database refuses all writes.
    fn refuses_writes(&self, error: &StoreError) -> bool;

    /// How many connections are open, idle and allowed.
    fn connections(&self) -> Connections;

    /// Closes all connections.
    async fn close(&self);
}
