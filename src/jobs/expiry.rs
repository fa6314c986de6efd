//! Updates the `claimable` column of requests that have expired or reopened, so that lists can use an index.
//! Also brings forward payments that a process with a clock far ahead has scheduled too late.
//!
//! No claim relies on the column: a claim compares the times themselves.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Job, JobError};
use crate::{
    domain::{Change, Millis, Withdraw},
    ports::{Store, StoreError},
    runtime::Runtime,
};

/// Rows per run. The rest waits for the next one.
const BATCH: i64 = 500;

/// The expiry job.
pub struct Expiry {
    store: Arc<dyn Store>,
    runtime: Runtime,
    options: ExpiryOptions,
}

/// How often it runs, and how far ahead an attempt may be scheduled.
#[derive(Clone, Copy, Debug)]
pub struct ExpiryOptions {
    /// The furthest ahead that the lookup of an open attempt is scheduled. A later one is an error of a
    /// clock.
    pub reach: Millis,
    /// How often it runs.
    pub every: Millis,
}

impl Expiry {
    /// For this store.
    pub fn new(store: Arc<dyn Store>, runtime: Runtime, options: ExpiryOptions) -> Self {
        Self { store, runtime, options }
    }

    /// Updates one batch of requests. Returns how many it changed.
    pub async fn mark_due(&self) -> Result<usize, StoreError> {
        let now = self.runtime.clock.now();
        let brought_forward = self.store.bring_forward(now.plus(self.options.reach), now).await?;
        if brought_forward > 0 {
            tracing::error!(
                brought_forward,
                "lookups were scheduled too far in the future by a clock that was ahead; they are due now"
            );
        }
        let due = self.store.due_for_refresh(now, BATCH).await?;
        let changes: Vec<Change> =
            due.into_iter().filter_map(|w| Withdraw::refresh_claimable(w, now)).collect();
        if changes.is_empty() {
            return Ok(0);
        }
        let written = self.store.change(&changes).await?;
        Ok(written.into_iter().filter(|written| *written).count())
    }
}

#[async_trait]
impl Job for Expiry {
    fn name(&self) -> &'static str {
        "expiry"
    }

    fn every(&self) -> Millis {
        self.options.every
    }

    async fn run_once(&self) -> Result<(), JobError> {
        self.mark_due().await?;
        Ok(())
    }
}
