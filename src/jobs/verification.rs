//! Verifies that the database lost no commits, whenever another server may have taken over.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Job, JobError};
use crate::{domain::Millis, integrity::DatabaseVerifier};

/// How often to check which server answers. Until a new one is verified, nothing is claimed.
const EVERY: Millis = Millis::from_ms(500);

/// The verification job.
pub struct Verification(pub Arc<DatabaseVerifier>);

#[async_trait]
impl Job for Verification {
    fn name(&self) -> &'static str {
        "verification"
    }

    fn every(&self) -> Millis {
        EVERY
    }

    async fn run_once(&self) -> Result<(), JobError> {
        self.0.run_once().await?;
        Ok(())
    }
}
