//! Whether this process can work with its database: what probes are told, and the proof that claims rest on.
//!
//! One loop per process asks, however many probes come. That the database answers and has our schema is read
//! every second. That it takes writes is proven by one, of a few bytes in a row that nothing else waits for:
//! every few seconds, and every second while it was refused, so that the end is seen soon.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::{
    domain::{Keyring, Millis},
    health::{Health, NotReady},
    ports::{Schema, Store, StoreError, WriteProof},
    report::chain,
    runtime::Runtime,
};

/// How often readiness is looked at.
const LOOK_EVERY: Millis = Millis::from_secs(1);
/// How long a write that was taken proves that the next one will be.
const PROOF_LASTS: Millis = Millis::from_secs(5);

/// The pass that keeps [`Health`] true.
pub struct Readiness {
    store: Arc<dyn Store>,
    keyring: Keyring,
    health: Health,
    runtime: Runtime,
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
            proven: None,
        }
    }

    /// Looks until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut was = Ok(());
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.runtime.clock.sleep(LOOK_EVERY) => {}
            }
            let ready = self.look(was.is_ok()).await;
            match ready {
                Err(why) if ready != was => tracing::warn!("not ready: {why}"),
                Ok(()) if ready != was => tracing::info!("ready again"),
                Ok(()) | Err(_) => {}
            }
            was = ready;
            self.health.ready(ready).await;
        }
    }

    async fn look(&mut self, was_ready: bool) -> Result<(), NotReady> {
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
        if self.proven.is_some_and(|at| now.as_ms() - at.as_ms() < PROOF_LASTS.as_ms()) {
            return Ok(());
        }
        self.proven = None;
        let proof = self.store.prove_write(self.runtime.clock.now()).await.map_err(silent)?;
        if let WriteProof::Refused(error) = proof {
            if was_ready {
                tracing::error!(error = %chain(&error), "the database takes no writes");
            }
            return Err(NotReady::StoreReadOnly);
        }
        let deriving = self.store.deriving_key().await.map_err(silent)?;
        if deriving.is_some_and(|key| !self.keyring.holds(&key)) {
            return Err(NotReady::KeyMissing);
        }
        self.proven = Some(now);
        Ok(())
    }
}
