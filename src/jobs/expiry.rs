//! Marks what has expired, and what reopens, so that lists stay served by indexes; and pulls in what a
//! clock that went far ahead has put off.
//!
//! No claim rests on the mark: a claim compares the times themselves.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Job, JobError};
use crate::{
    domain::{Change, Millis, Withdraw},
    ports::{Store, StoreError},
    runtime::Runtime,
};

/// Rows of one pass; what is left waits for the next one.
const BATCH: i64 = 500;

/// The expiry pass.
pub struct Expiry {
    store: Arc<dyn Store>,
    runtime: Runtime,
    options: ExpiryOptions,
}

/// How often it runs, and how far it looks.
#[derive(Clone, Copy, Debug)]
pub struct ExpiryOptions {
    /// No plan for an open attempt reaches further into the future.
    pub reach: Millis,
    /// How often it runs.
    pub every: Millis,
}

impl Expiry {
    /// Over this store.
    pub fn new(store: Arc<dyn Store>, runtime: Runtime, options: ExpiryOptions) -> Self {
        Self { store, runtime, options }
    }

    /// Marks what is due, a batch of it. Returns how many requests it marked.
    pub async fn mark_due(&self) -> Result<usize, StoreError> {
        let now = self.runtime.clock.now();
        let far = self.store.pull_far(now.plus(self.options.reach), now).await?;
        if far > 0 {
            tracing::error!(far, "a clock was far ahead: payments that it had put off are due now");
        }
        let due = self.store.due_to_tick(now, BATCH).await?;
        let changes: Vec<Change> = due.into_iter().filter_map(|w| Withdraw::tick(w, now)).collect();
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
