//! A span for each statement, with the statement's name. Spans carry no parameter values, since these
//! include invoices and hashes of secrets.
//!
//! Spans exist only under a parent span, so polling for work (twenty times a second) creates none.

use async_trait::async_trait;
use tracing::{Instrument, field::Empty};

use super::{
    driver::{Driver, Fault, Tx},
    sql::{Database, Dialect},
    statement::BoundStatement,
};
use crate::{
    domain::Timestamp,
    ports::{Connections, StoreError},
    trace,
};

/// A driver that records a span for each statement.
#[derive(Debug)]
pub struct Observed<D> {
    inner: D,
    /// OpenTelemetry's name for the database (`db.system.name`).
    system: &'static str,
}

impl<D> Observed<D> {
    /// Wraps `inner`.
    pub const fn new(inner: D, system: &'static str) -> Self {
        Self { inner, system }
    }
}

/// A transaction that records a span for each statement.
#[derive(Debug)]
pub struct ObservedTx<T> {
    inner: T,
    system: &'static str,
}

#[async_trait]
impl<D: Driver> Driver for Observed<D> {
    type Row = D::Row;
    type Tx = ObservedTx<D::Tx>;

    fn schema(&self) -> i64 {
        self.inner.schema()
    }

    async fn begin(&self) -> Result<Self::Tx, Fault> {
        let inner = traced(self.system, "begin", fault_type, self.inner.begin()).await?;
        Ok(ObservedTx { inner, system: self.system })
    }

    async fn begin_for_operator(&self) -> Result<Self::Tx, Fault> {
        let inner =
            traced(self.system, "begin_for_operator", fault_type, self.inner.begin_for_operator())
                .await?;
        Ok(ObservedTx { inner, system: self.system })
    }

    async fn fetch(&self, statement: BoundStatement<'_>) -> Result<Vec<D::Row>, StoreError> {
        traced(self.system, statement.sql.name, store_error_type, self.inner.fetch(statement)).await
    }

    async fn fetch_for_operator(
        &self,
        statement: BoundStatement<'_>,
    ) -> Result<Vec<D::Row>, StoreError> {
        traced(
            self.system,
            statement.sql.name,
            store_error_type,
            self.inner.fetch_for_operator(statement),
        )
        .await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        traced(self.system, "clock", store_error_type, self.inner.now()).await
    }

    async fn timeline(&self) -> Option<i64> {
        self.inner.timeline().await
    }

    fn refuses_writes(&self, error: &StoreError) -> bool {
        self.inner.refuses_writes(error)
    }

    fn connections(&self) -> Connections {
        self.inner.connections()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl<D: Database> Database for Observed<D> {
    fn dialect(&self) -> &'static Dialect {
        self.inner.dialect()
    }
}

#[async_trait]
impl<T: Tx> Tx for ObservedTx<T> {
    type Row = T::Row;

    async fn execute(&mut self, statement: BoundStatement<'_>) -> Result<u64, Fault> {
        traced(self.system, statement.sql.name, fault_type, self.inner.execute(statement)).await
    }

    async fn fetch(&mut self, statement: BoundStatement<'_>) -> Result<Vec<T::Row>, Fault> {
        traced(self.system, statement.sql.name, fault_type, self.inner.fetch(statement)).await
    }

    async fn commit(self) -> Result<(), Fault> {
        traced(self.system, "commit", fault_type, self.inner.commit()).await
    }
}

async fn traced<T, E>(
    system: &'static str,
    name: &'static str,
    error_type: fn(&E) -> &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    if trace::current().is_none() {
        return work.await;
    }
    let span = tracing::info_span!(
        "statement",
        otel.name = name,
        otel.kind = "client",
        otel.status_code = Empty,
        db.system.name = system,
        db.query.summary = name,
        "error.type" = Empty,
    );
    let done = work.instrument(span.clone()).await;
    if let Err(error) = &done {
        // Only the kind of error: a database's error text may repeat parameter values. The log has the text.
        span.record("otel.status_code", "ERROR");
        span.record("error.type", error_type(error));
    }
    done
}

const fn fault_type(fault: &Fault) -> &'static str {
    match fault {
        Fault::Contended(_) => "contended",
        Fault::Final(error) => store_error_type(error),
    }
}

const fn store_error_type(error: &StoreError) -> &'static str {
    match error {
        StoreError::Stale => "stale",
        StoreError::Halted(_) => "halted",
        StoreError::Unknown(_) => "unknown",
        StoreError::Unavailable { .. } => "unavailable",
        StoreError::Failed { .. } => "failed",
    }
}
