//! What the statements of [`super::sql`] ask of a database.

use async_trait::async_trait;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{sql::Dialect, statement::BoundStatement};
use crate::{
    domain::Timestamp,
    ports::{Connections, StoreError},
};

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
    async fn execute(&mut self, statement: BoundStatement<'_>) -> Result<u64, Fault>;

    /// Runs a statement that returns rows.
    async fn fetch(&mut self, statement: BoundStatement<'_>) -> Result<Vec<Self::Row>, Fault>;

    /// Makes it durable. An answer that was lost is [`StoreError::Unknown`].
    async fn commit(self) -> Result<(), Fault>;
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
        statement: BoundStatement<'_>,
    ) -> Result<Vec<Self::Row>, StoreError>;

    /// Reads outside of a transaction.
    async fn fetch(&self, statement: BoundStatement<'_>) -> Result<Vec<Self::Row>, StoreError>;

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
