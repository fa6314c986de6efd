//! Periodic background jobs: each is a [`Job`] over stored state. Any run may be the first or a repeat, and
//! running a job twice does the same as running it once.
//!
//! A new job is a file here, and a line in `app/jobs.rs`.

mod expiry;
mod heartbeat;
mod pay;
mod runner;
mod verification;

use async_trait::async_trait;

use crate::{domain::Millis, service::Notifier};

pub use expiry::{Expiry, ExpiryOptions};
pub use heartbeat::{HeartbeatOptions, Heartbeats};
pub use pay::Pay;
pub use runner::run;
pub use verification::Verification;

/// Why a run failed. It is logged once, and the job runs again soon.
pub type JobError = Box<dyn std::error::Error + Send + Sync>;

/// Work that a process repeats in the background.
#[async_trait]
pub trait Job: Send + Sync {
    /// Its name in logs.
    fn name(&self) -> &'static str;

    /// The pause after a successful run.
    fn every(&self) -> Millis;

    /// Ends the pause early when notified, if the job has one.
    fn notifier(&self) -> Option<&Notifier> {
        None
    }

    /// Does what is due now. A shutdown does not interrupt it.
    async fn run_once(&self) -> Result<(), JobError>;
}
