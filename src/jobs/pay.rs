//! Runs the payer: at once when this process accepts a claim, and periodically for claims of other
//! processes.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Job, JobError};
use crate::{domain::Millis, payer::Payer, service::Notifier};

/// The payer job.
pub struct Pay {
    /// Follows the attempts that are due.
    pub payer: Arc<Payer>,
    /// Notified by each claim that this process accepts.
    pub claimed: Notifier,
    /// How often to poll for claims of other processes.
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
