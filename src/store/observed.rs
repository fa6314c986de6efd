//! A span for each statement, named as the statement is. Values never stand in one: among them are
//! invoices and hashes of secrets.
//!
//! Only within another span: what looks for work twenty times a second is nobody's story.

use async_trait::async_trait;
use tracing::{Instrument, field::Empty};

use super::{
    driver::{Driver, Fault, Tx},
    sql::Dialect,
    statement::BoundStatement,
};
use crate::{
    domain::Timestamp,
    ports::{Connections, StoreError},
    trace,
};

/// A database that is watched.
#[derive(Debug)]
pub struct Observed<D> {
    inner: D,
    /// As OpenTelemetry calls it.
    system: &'static str,
}

impl<D> Observed<D> {
    /// Watches `inner`.
    pub const fn new(inner: D, system: &'static str) -> Self {
        Self { inner, system }
    }
}

/// One of its transactions.
#[derive(Debug)]
pub struct ObservedTx<T> {
    inner: T,
    system: &'static str,
}

#[async_trait]
impl<D: Driver> Driver for Observed<D> {
    type Row = D::Row;
    type Tx = ObservedTx<D::Tx>;

    fn dialect(&self) -> &'static Dialect {
        self.inner.dialect()
    }

    fn schema(&self) -> i64 {
        self.inner.schema()
    }

    async fn begin(&self) -> Result<Self::Tx, Fault> {
        let inner = watched(self.system, "begin", kind, self.inner.begin()).await?;
        Ok(ObservedTx { inner, system: self.system })
    }

    async fn begin_for_operator(&self) -> Result<Self::Tx, Fault> {
        let inner =
            watched(self.system, "begin_for_operator", kind, self.inner.begin_for_operator())
                .await?;
        Ok(ObservedTx { inner, system: self.system })
    }

    async fn fetch(&self, statement: BoundStatement<'_>) -> Result<Vec<D::Row>, StoreError> {
        watched(self.system, statement.sql.name, kind_of_error, self.inner.fetch(statement)).await
    }

    async fn fetch_for_operator(
        &self,
        statement: BoundStatement<'_>,
    ) -> Result<Vec<D::Row>, StoreError> {
        watched(
            self.system,
            statement.sql.name,
            kind_of_error,
            self.inner.fetch_for_operator(statement),
        )
        .await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        watched(self.system, "clock", kind_of_error, self.inner.now()).await
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

#[async_trait]
impl<T: Tx> Tx for ObservedTx<T> {
    type Row = T::Row;

    async fn execute(&mut self, statement: BoundStatement<'_>) -> Result<u64, Fault> {
        watched(self.system, statement.sql.name, kind, self.inner.execute(statement)).await
    }

    async fn fetch(&mut self, statement: BoundStatement<'_>) -> Result<Vec<T::Row>, Fault> {
        watched(self.system, statement.sql.name, kind, self.inner.fetch(statement)).await
    }

    async fn commit(self) -> Result<(), Fault> {
        watched(self.system, "commit", kind, self.inner.commit()).await
    }
}

async fn watched<T, E>(
    system: &'static str,
    name: &'static str,
    kind: fn(&E) -> &'static str,
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
        // Why stands in the log: a database repeats in its errors what it was given.
        span.record("otel.status_code", "ERROR");
        span.record("error.type", kind(error));
    }
    done
}

const fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Contended(_) => "contended",
        Fault::Final(error) => kind_of_error(error),
    }
}

const fn kind_of_error(error: &StoreError) -> &'static str {
    match error {
        StoreError::Stale => "stale",
        StoreError::Halted(_) => "halted",
        StoreError::Unknown(_) => "unknown",
        StoreError::Unavailable { .. } => "unavailable",
        StoreError::Failed { .. } => "failed",
    }
}
