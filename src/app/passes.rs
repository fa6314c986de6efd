//! What runs in the background of a process, and the alarm that it has ended.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Parts, StartError};
use crate::{
    background::{self, Expiry, Heartbeats},
    config::Config,
    domain::Millis,
    health::{Health, NotReady},
    ports::{Schema, Store},
    report::chain,
    runtime::{Runtime, Task},
    service::{Guard, Payer, Waker},
};

/// How often readiness is looked at.
const READINESS_EVERY: Millis = Millis::from_secs(1);

/// Rings when a pass ends, by a panic say, though nobody stopped it: a service that accepts claims
/// and pays nothing must not look alive.
pub struct Alarm {
    pub halting: CancellationToken,
    pub broken: CancellationToken,
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if !self.halting.is_cancelled() {
            self.broken.cancel();
        }
    }
}

/// All of them, until `stop`.
pub fn all(
    config: &Config,
    parts: &Parts,
    (payer, heartbeats, guard): (Arc<Payer>, Arc<Heartbeats>, Arc<Guard>),
    waker: &Waker,
    health: &Health,
    stop: &CancellationToken,
) -> Result<[Task; 5], StartError> {
    let schedule = config.schedule()?;
    let runtime = || parts.runtime.clone();
    let expiry = Expiry::new(Arc::clone(&parts.store), runtime(), schedule.reach);
    Ok([
        Box::pin(background::run_payer(
            payer,
            runtime(),
            waker.clone(),
            schedule.payer_poll,
            stop.clone(),
        )),
        Box::pin(background::run_expiry(expiry, runtime(), schedule.expiry, stop.clone())),
        Box::pin(background::run_guard(guard, runtime(), stop.clone())),
        Box::pin(background::run_heartbeats(
            heartbeats,
            runtime(),
            schedule.heartbeat,
            stop.clone(),
        )),
        Box::pin(watch_readiness(
            Arc::clone(&parts.store),
            health.clone(),
            runtime(),
            stop.clone(),
        )),
    ])
}

/// Ready while the database answers, with this program's schema.
async fn watch_readiness(
    store: Arc<dyn Store>,
    health: Health,
    runtime: Runtime,
    stop: CancellationToken,
) {
    let mut was = Ok(());
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = runtime.clock.sleep(READINESS_EVERY) => {}
        }
        let ready = match store.ping().await {
            Ok(Schema::Fits) => Ok(()),
            Ok(Schema::Older) => Err(NotReady::SchemaOlder),
            Ok(Schema::Newer) => Err(NotReady::SchemaNewer),
            Err(error) => {
                tracing::debug!(error = %chain(&error), "the database does not answer");
                Err(NotReady::DatabaseSilent)
            }
        };
        match ready {
            Err(why) if ready != was => tracing::warn!("not ready: {why}"),
            Ok(()) if ready != was => tracing::info!("ready again"),
            Ok(()) | Err(_) => {}
        }
        was = ready;
        health.ready(ready).await;
    }
}
