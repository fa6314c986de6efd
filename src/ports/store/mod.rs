//! The store: all durable state. One trait covers what the public side needs, others the rest;
//! [`Store`] joins them.
//!
//! A write takes one value made by the domain, which holds every row of its transaction, and writes all
//! of it or nothing. It names the version that was read. What a method returns is durable: a COMMIT
//! whose answer was lost is [`StoreError::Unknown`], neither success nor failure.

mod instance;
mod integrity;
mod payments;
mod public;
mod upkeep;
mod withdraws;

use crate::domain::HaltReason;

pub use instance::Instance;
pub use integrity::{Inherited, Integrity, KnownFrom, LostCommits, SeenServer, Server};
pub use payments::{Lane, Leased, NewWitness, OpenPayments, OverdueSends, Payments};
pub use public::{ClaimOutcome, PublicStore};
pub use upkeep::{Connections, Schema, Upkeep, WriteProof};
pub use withdraws::{CreateOutcome, Withdraws};

/// The whole store.
pub trait Store: PublicStore + Withdraws + Payments + Instance + Integrity + Upkeep {}

impl<S: PublicStore + Withdraws + Payments + Instance + Integrity + Upkeep> Store for S {}

/// A driver's error. It is logged and never leaves the process otherwise.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why a call to the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The row has changed since it was read. Nothing was written.
    #[error("the row has changed since it was read")]
    Stale,
    /// The instance is paused or fenced, or its database is not verified or has lost a commit. Nothing was
    /// written. Returned by `advance`, `create`, `change`, `confirm_version`, `restore` and
    /// `execute_command`.
    #[error("the instance refuses this now: {}", .0.name())]
    Halted(HaltReason),
    /// The answer to COMMIT was lost: the change may or may not have been written. Read it back.
    #[error("it is not known whether the change was committed")]
    Unknown(#[source] BoxError),
    /// The database cannot be reached, has no free connection, or could not serve this now (statement
    /// or lock timeout, cancelled, shutting down, out of resources, read-only). Nothing was written.
    #[error("the database is unavailable: could not {doing}")]
    Unavailable {
        /// What was attempted.
        doing: &'static str,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The database answered with an error, or a row is invalid. Nothing was written.
    #[error("the database failed: could not {doing}")]
    Failed {
        /// What was attempted.
        doing: &'static str,
        /// The cause.
        #[source]
        source: BoxError,
    },
}
