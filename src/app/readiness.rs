//! Whether this process can work with its database: what probes are told, and the proof that claims rest on.
//!
//! One loop per process asks, however many probes come. That the database answers and has our schema is read
//! every second. That it takes writes is proven by one, of a few bytes in a row that nothing else waits for:
//! every few seconds, and every second while it was refused, so that the end is seen soon.

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

/// How often readiness is looked at.
const LOOK_EVERY: Millis = Millis::from_secs(1);
/// How long a write that was taken proves that the next one will be.
const PROOF_LASTS: Millis = Millis::from_secs(5);

/// The job that keeps [`Health`] true.
pub struct Readiness {
    store: Arc<dyn Store>,
    /// None where no role of the process shows LNURLs.
    keyring: Option<Keyring>,
    health: Health,
    runtime: Runtime,
    seen: Mutex<Seen>,
}

struct Seen {
    /// What was told last.
    ready: Result<(), NotReady>,
    /// When all was last proven, on the monotonic clock.
    proven: Option<Millis>,
}

impl Readiness {
    /// Of these parts.
    pub fn new(parts: &Parts, health: Health) -> Self {
        Self {
            store: Arc::clone(&parts.store),
            keyring: parts.keyring.clone(),
            health,
            runtime: parts.runtime.clone(),
            seen: Mutex::new(Seen { ready: Ok(()), proven: None }),
        }
    }

    async fn look(&self, seen: &mut Seen) -> Result<(), NotReady> {
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
        if seen.proven.is_some_and(|at| now.as_ms() - at.as_ms() < PROOF_LASTS.as_ms()) {
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
        LOOK_EVERY
    }

    async fn run_once(&self) -> Result<(), JobError> {
        let mut seen = self.seen.lock().await;
        let ready = self.look(&mut seen).await;
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
