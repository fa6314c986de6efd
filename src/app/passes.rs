//! What runs in the background of a process, and the alarm that it has ended.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Parts, StartError, readiness::Readiness};
use crate::{
    background::{self, Expiry, Heartbeats},
    config::Config,
    health::Health,
    runtime::Task,
    service::{Guard, Payer, Waker},
};

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
        Box::pin(Readiness::new(parts, health.clone()).run(stop.clone())),
    ])
}
