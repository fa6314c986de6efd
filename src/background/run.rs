//! Runs the passes: at once when woken, and every so often anyway.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Expiry;
use crate::{
    domain::Millis,
    ports::StoreError,
    runtime::Runtime,
    service::{Payer, Waker},
};

/// How long a pass that failed makes the next one wait.
const AFTER_AN_ERROR: Millis = Millis::from_secs(1);

/// How often the passes run.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// How often other processes' claims are looked for.
    pub payer_poll: Millis,
    /// How often expiries are marked.
    pub expiry: Millis,
}

/// Pays until `stop`: woken by claims of this process, and by polling for those of others.
pub async fn run_payer(
    payer: Arc<Payer>,
    runtime: Runtime,
    waker: Waker,
    poll: Millis,
    stop: CancellationToken,
) {
    loop {
        let wait = match payer.run_once().await {
            Ok(_) => poll,
            Err(error) => report("payer", &error),
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
    loop {
        let wait = match expiry.run_once().await {
            Ok(_) => every,
            Err(error) => report("expiry", &error),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = runtime.clock.sleep(wait) => {}
        }
    }
}

fn report(pass: &str, error: &StoreError) -> Millis {
    tracing::warn!(pass, error = %crate::service::chain(error), "a background pass failed");
    AFTER_AN_ERROR
}
