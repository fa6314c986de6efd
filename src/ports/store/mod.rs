//! The store: what the service remembers. One trait for what the public side needs, and a few for the rest,
//! joined as [`Store`].
//!
//! A method takes one fact made by the domain that holds every row of its transaction, and writes
//! all of it or nothing. Each write names the version that was read. What a method returns is
//! durable: a COMMIT whose answer was lost is [`StoreError::Unknown`], never success nor failure.

mod instance;
mod integrity;
mod payments;
mod public;
mod upkeep;
mod withdraws;

use crate::domain::Halt;

pub use instance::Instance;
pub use integrity::{Inherited, Integrity, KnownFrom, LostCommits, SeenServer, Server};
pub use payments::{Lane, Leased, NewWitness, OpenPayments, OverdueSends, Payments};
pub use public::{ClaimOutcome, PublicStore};
pub use upkeep::{Connections, Schema, Upkeep, WriteProof};
pub use withdraws::{CreateOutcome, Withdraws};

/// All of it.
pub trait Store: PublicStore + Withdraws + Payments + Instance + Integrity + Upkeep {}

impl<S: PublicStore + Withdraws + Payments + Instance + Integrity + Upkeep> Store for S {}

/// What a driver said. It reaches the log and never the wire.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The row has moved since it was read. Nothing was written.
    #[error("the row has changed since it was read")]
    Stale,
    /// The instance is paused, fenced, or over a database that is not verified or has lost a commit. Nothing
    /// was written. Of `advance`, `create`, `change`, `restore` and `turn`.
    #[error("the instance is halted: {}", .0.name())]
    Halted(Halt),
    /// The answer to COMMIT was lost: it may or may not have been written. Read it back.
    #[error("it is not known whether the change was committed")]
    Unknown(#[source] BoxError),
    /// The database cannot be reached, has no connection to spare, or could not serve this now (statement or
    /// lock time-out, cancelled, shutting down, out of resources, read-only). Nothing was written.
    #[error("the database is unavailable: could not {doing}")]
    Unavailable {
        /// What was tried.
        doing: &'static str,
        /// Why it did not work.
        #[source]
        source: BoxError,
    },
    /// The database answered with an error, or a row makes no sense. Nothing was written.
    #[error("the database failed: could not {doing}")]
    Failed {
        /// What was tried.
        doing: &'static str,
        /// Why it did not work.
        #[source]
        source: BoxError,
    },
}
