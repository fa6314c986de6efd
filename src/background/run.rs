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
    repeat("payer", || payer.run_once(), &waker, poll, &runtime, &stop).await;
}

/// Marks expiries until `stop`.
pub async fn run_expiry(expiry: Expiry, runtime: Runtime, every: Millis, stop: CancellationToken) {
    repeat("expiry", || expiry.run_once(), &nobody_wakes(), every, &runtime, &stop).await;
}

/// Writes heartbeats until `stop`.
pub async fn run_heartbeats(
    heartbeats: Arc<Heartbeats>,
    runtime: Runtime,
    every: Millis,
    stop: CancellationToken,
) {
    repeat("heartbeat", || heartbeats.run_once(), &nobody_wakes(), every, &runtime, &stop).await;
}

/// Makes sure of the database until `stop`, whenever another server answers.
pub async fn run_guard(guard: Arc<Guard>, runtime: Runtime, stop: CancellationToken) {
    repeat("guard", || guard.run_once(), &nobody_wakes(), GUARD_EVERY, &runtime, &stop).await;
}

fn nobody_wakes() -> Waker {
    Waker::default()
}

/// The loop of every pass. A pass is never cut short by `stop`.
async fn repeat<T, E, F>(
    pass: &'static str,
    mut run_once: impl FnMut() -> F,
    waker: &Waker,
    every: Millis,
    runtime: &Runtime,
    stop: &CancellationToken,
) where
    F: Future<Output = Result<T, E>>,
    E: std::error::Error,
{
    let mut last = String::new();
    loop {
        let wait = match run_once().await {
            Ok(_) => {
                last.clear();
                every
            }
            Err(error) => report(pass, &error, &mut last),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = waker.woken() => {}
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
