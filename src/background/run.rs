//! Runs the passes: at once when woken, and every so often anyway.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Expiry, Heartbeats};
use crate::{
    domain::Millis,
    report::chain,
    runtime::Runtime,
    service::{Guard, Payer, Waker},
};

/// How long a pass that failed makes the next one wait.
const AFTER_AN_ERROR: Millis = Millis::from_secs(1);

/// How often the guard asks which server answers. Until it has made sure of a new one nothing is
/// claimed.
const GUARD_EVERY: Millis = Millis::from_ms(500);

/// How often the passes run.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// How often other processes' claims are looked for.
    pub payer_poll: Millis,
    /// How often expiries are marked.
    pub expiry: Millis,
    /// How often the node is asked what it can pay.
    pub heartbeat: Millis,
    /// No plan for an open attempt reaches further into the future.
    pub reach: Millis,
}

/// Pays until `stop`: woken by claims of this process, and by polling for those of others.
pub async fn run_payer(
    payer: Arc<Payer>,
    runtime: Runtime,
    waker: Waker,
    poll: Millis,
    stop: CancellationToken,
) {
    let mut last = String::new();
    loop {
        let wait = match payer.run_once().await {
            Ok(_) => {
                last.clear();
                poll
            }
            Err(error) => report("payer", &error, &mut last),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = waker.woken() => {}
            () = runtime.clock.sleep(wait) => {}
        }
    }
}

/// Marks expiries until `stop`.
pub async fn run_expiry(expiry: Expiry, runtime: Runtime, every: Millis, stop: CancellationToken) {
    let mut last = String::new();
    loop {
        let wait = match expiry.run_once().await {
            Ok(_) => {
                last.clear();
                every
            }
            Err(error) => report("expiry", &error, &mut last),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = runtime.clock.sleep(wait) => {}
        }
    }
}

/// Writes heartbeats until `stop`.
pub async fn run_heartbeats(
    heartbeats: Arc<Heartbeats>,
    runtime: Runtime,
    every: Millis,
    stop: CancellationToken,
) {
    let mut last = String::new();
    loop {
        let wait = match heartbeats.run_once().await {
            Ok(()) => {
                last.clear();
                every
            }
            Err(error) => report("heartbeat", &error, &mut last),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = runtime.clock.sleep(wait) => {}
        }
    }
}

/// Makes sure of the database until `stop`, whenever another server answers.
pub async fn run_guard(guard: Arc<Guard>, runtime: Runtime, stop: CancellationToken) {
    let mut last = String::new();
    loop {
        let wait = match guard.run_once().await {
            Ok(()) => {
                last.clear();
                GUARD_EVERY
            }
            Err(error) => report("guard", &error, &mut last),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = runtime.clock.sleep(wait) => {}
        }
    }
}

/// Tells of an error once, not every second for as long as a node is away.
fn report(pass: &str, error: &dyn std::error::Error, last: &mut String) -> Millis {
    let text = chain(error);
    if *last != text {
        tracing::warn!(pass, error = text, "a background pass failed; it is tried again");
        *last = text;
    }
    AFTER_AN_ERROR
}
