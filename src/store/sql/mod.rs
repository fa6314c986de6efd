//! The store, written once for both databases. Each noun has a folder or file with its statements, their
//! parameters and the functions that read their rows. All decisions are made in the domain.

mod claims;
mod dialect;
mod events;
mod instance;
mod integrity;
pub(super) mod marks;
mod nodes;
mod payments;
mod reader;
mod retry;
mod tallies;
mod upkeep;
mod withdraws;
mod witnesses;

use std::sync::Arc;

use super::{
    driver::{Fault, Tx},
    statement::BoundStatement,
};

use integrity::memory::Memory;

pub(super) use dialect::{Database, Dialect};
pub(super) use marks::{Marks, OfWriter, marks_dialect, read_marks};
pub(super) use payments::{
    LEASED_POSTGRES, LEASED_SENDS_POSTGRES, LEASED_SENDS_SQLITE, LEASED_SQLITE, Lease,
};
pub(super) use withdraws::OfVersion;

pub use payments::payment_list_statements;
pub use withdraws::list_statements;

/// The store on one of the databases.
#[derive(Debug)]
pub struct SqlStore<D> {
    driver: Arc<D>,
    marks: Arc<Marks>,
    memory: Memory,
}

impl<D: Database> SqlStore<D> {
    pub(super) fn over(driver: D, marks: Arc<Marks>) -> Self {
        Self { driver: Arc::new(driver), marks, memory: Memory::default() }
    }

    /// The same database as another process would see it, with marks and memory of its own. For tests that
    /// simulate several processes over one set of connections.
    #[must_use]
    pub fn of_another_process(&self) -> Self {
        let (driver, marks) = (Arc::clone(&self.driver), Marks::of_a_new_writer());
        Self { driver, marks, memory: Memory::default() }
    }

    pub(super) fn driver(&self) -> &D {
        &self.driver
    }

    /// Runs one statement in a transaction of its own.
    async fn write(&self, statement: BoundStatement<'_>) -> Result<u64, Fault> {
        let mut tx = self.driver().begin().await?;
        let written = tx.execute(statement).await?;
        tx.commit().await?;
        Ok(written)
    }
}

/// The texts of the statements that read the instance, for tests of their query plans.
pub const fn instance_statements() -> [&'static str; 8] {
    [
        instance::STATUS.sql.text,
        tallies::SPENT_SINCE.sql.text,
        tallies::ANY_OLD_OUT.sql.text,
        integrity::KNOWN_FROM.sql.text,
        integrity::HASH_EXISTS.sql.text,
        integrity::TO_WITHHOLD.sql.text,
        integrity::WITHHELD.sql.text,
        payments::OPEN_BY_STATE.sql.text,
    ]
}
