//! The two databases behind the store port.
//!
//! Everything common to both is written once, in [`sql`], over a small [`driver`] interface: the same
//! statements (named parameters, see [`statement`]; `on conflict … do nothing`, `returning`) run on
//! Postgres and on SQLite. The differences (connecting, durability, `for update skip locked`, binding and
//! reading columns) are in [`postgres`] and [`sqlite`]. One contract test suite runs on both.

#[macro_use]
mod statement;

mod driver;
mod migrations;
mod observed;
mod postgres;
mod sql;
mod sqlite;

pub use postgres::{PostgresOptions, PostgresStore};
pub use sql::{instance_statements, list_statements, payment_list_statements};
pub use sqlite::{SqliteOptions, SqliteStore};
