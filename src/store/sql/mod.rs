//! The store, written once for both databases: one file per noun, every decision the domain's.

#[macro_use]
pub(super) mod statements;

mod claims;
mod events;
mod instance;
mod integrity;
mod marks;
mod nodes;
mod payment_lists;
mod payments;
mod reader;
mod retry;
mod tallies;
mod upkeep;
mod withdraws;
mod witnesses;

use std::sync::Arc;

use super::driver::{Driver, Sql, Value};

use integrity::memory::Memory;

pub(super) use marks::{Marks, marks_dialect};
pub(super) use reader::marks::found as marks_found;

pub use instance::instance_statements;
pub use payment_lists::payment_list_statements;
pub use withdraws::list_statements;

/// The store over one of the databases.
#[derive(Debug)]
pub struct SqlStore<D> {
    driver: Arc<D>,
    marks: Arc<Marks>,
    memory: Memory,
}

impl<D: Driver> SqlStore<D> {
    pub(super) fn over(driver: D, marks: Arc<Marks>) -> Self {
        Self { driver: Arc::new(driver), marks, memory: Memory::default() }
    }

    /// The same database as another process has it: with marks and a memory of its own. For those who
    /// simulate several processes over the connections of one.
    #[must_use]
    pub fn of_another_process(&self) -> Self {
        let (driver, marks) = (Arc::clone(&self.driver), Marks::of_a_new_writer());
        Self { driver, marks, memory: Memory::default() }
    }

    pub(super) fn driver(&self) -> &D {
        &self.driver
    }
}

// Short forms for the lists of parameters.

fn int(value: i64) -> Value {
    Value::Int(Some(value))
}

fn text(value: &str) -> Value {
    Value::Text(Some(value.to_owned()))
}

fn opt_text(value: Option<&str>) -> Value {
    Value::Text(value.map(str::to_owned))
}

fn bytes(value: &[u8; 32]) -> Value {
    Value::Bytes(Some(value.to_vec()))
}

fn opt_bytes(value: Option<&[u8; 32]>) -> Value {
    Value::Bytes(value.map(|bytes| bytes.to_vec()))
}

const fn uuid(value: uuid::Uuid) -> Value {
    Value::Uuid(Some(value))
}

/// A statement from its purpose and its text.
const fn sql(doing: &'static str, text: &'static str) -> Sql {
    Sql { doing, text }
}
