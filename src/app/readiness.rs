//! Whether this process can work with its database: the readiness that probes see, and the write proof that
//! claims rely on.
//!
//! One job per process checks it, however many probes come. Every second it reads whether the database
//! answers and has our schema. Every few seconds, and every second while writes are refused, it writes a few
//! bytes to a row that no other transaction locks.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::Parts;
use crate::{
    domain::{Keyring, Millis},
    health::{Health, NotReady},
    jobs::{Job, JobError},
    ports::{Schema, Store, StoreError, WriteProof},
    report::chain,
    runtime::Runtime,
};

/// How often readiness is checked.
const CHECK_EVERY: Millis = Millis::from_secs(1);
/// How long one successful test write counts; after that the next check writes again.
const WRITE_PROOF_VALID_FOR: Millis = Millis::from_secs(5);

/// The job that keeps [`Health`] up to date.
pub struct Readiness {
    store: Arc<dyn Store>,
    /// None if no role of this process makes LNURLs.
    keyring: Option<Keyring>,
    health: Health,
    runtime: Runtime,
    seen: Mutex<Seen>,
}

struct Seen {
    /// What was published last.
    ready: Result<(), NotReady>,
    /// When everything was last proven, on the monotonic clock.
    proven: Option<Millis>,
}

impl Readiness {
    /// For these parts.
    pub fn new(parts: &Parts, health: Health) -> Self {
        Self {
            store: Arc::clone(&parts.store),
            keyring: parts.keyring.clone(),
            health,
            runtime: parts.runtime.clone(),
            seen: Mutex::new(Seen { ready: Ok(()), proven: None }),
        }
    }

    async fn check(&self, seen: &mut Seen) -> Result<(), NotReady> {
        let silent = |error: StoreError| {
            tracing::debug!(error = %chain(&error), "the database does not answer");
            NotReady::DatabaseSilent
        };
        match self.store.ping().await.map_err(silent)? {
            Schema::Fits => {}
            Schema::Older => return Err(NotReady::SchemaOlder),
            Schema::Newer => return Err(NotReady::SchemaNewer),
        }
        let now = self.runtime.clock.monotonic();
        if seen.proven.is_some_and(|at| now.as_ms() - at.as_ms() < WRITE_PROOF_VALID_FOR.as_ms()) {
            return Ok(());
        }
        seen.proven = None;
        let proof = self.store.prove_write(self.runtime.clock.now()).await.map_err(silent)?;
        if let WriteProof::Refused(error) = proof {
            if seen.ready.is_ok() {
                tracing::error!(error = %chain(&error), "the database takes no writes");
            }
            return Err(NotReady::StoreReadOnly);
        }
        let deriving = self.store.deriving_key().await.map_err(silent)?;
        if let (Some(key), Some(keyring)) = (deriving, &self.keyring)
            && !keyring.holds(&key)
        {
            return Err(NotReady::KeyMissing);
        }
        seen.proven = Some(now);
        Ok(())
    }
}

#[async_trait]
impl Job for Readiness {
    fn name(&self) -> &'static str {
        "readiness"
    }

    fn every(&self) -> Millis {
        CHECK_EVERY
    }

    async fn run_once(&self) -> Result<(), JobError> {
        let mut seen = self.seen.lock().await;
        let ready = self.check(&mut seen).await;
        match ready {
            Err(why) if ready != seen.ready => tracing::warn!("not ready: {why}"),
            Ok(()) if ready != seen.ready => tracing::info!("ready again"),
            Ok(()) | Err(_) => {}
        }
        seen.ready = ready;
        self.health.ready(ready).await;
        Ok(())
    }
}
