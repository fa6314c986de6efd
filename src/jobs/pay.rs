//! Starts the payer: notified by claims of this process, and by polling for those of others.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Job, JobError};
use crate::{domain::Millis, payer::Payer, service::Notifier};

/// The job.
pub struct Pay {
    /// Follows the attempts that are due.
    pub payer: Arc<Payer>,
    /// Notified by each claim that this process accepts.
    pub claimed: Notifier,
    /// How often other processes' claims are looked for.
    pub every: Millis,
}

#[async_trait]
impl Job for Pay {
    fn name(&self) -> &'static str {
        "pay"
    }

    fn every(&self) -> Millis {
        self.every
    }

    fn notifier(&self) -> Option<&Notifier> {
        Some(&self.claimed)
    }

    async fn run_once(&self) -> Result<(), JobError> {
        self.payer.run_once().await?;
        Ok(())
    }
}
