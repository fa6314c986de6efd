//! Periodic background jobs: each is a [`Job`] over stored state. Any run may be the first or the second,
//! and running it twice is as good as once.
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

/// Why a run did not do its work. It is logged, once, and the job is run again soon.
pub type JobError = Box<dyn std::error::Error + Send + Sync>;

/// Work that a process does by itself, again and again.
#[async_trait]
pub trait Job: Send + Sync {
    /// Its name in logs.
    fn name(&self) -> &'static str;

    /// How long it rests after a run that succeeded.
    fn every(&self) -> Millis;

    /// What ends its rest early, if anything does.
    fn notifier(&self) -> Option<&Notifier> {
        None
    }

    /// Does what is due now. It is never cut short by a stop.
    async fn run_once(&self) -> Result<(), JobError>;
}
