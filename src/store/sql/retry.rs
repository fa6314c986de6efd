//! Transactions that met another one are tried again, a few times.

use std::future::Future;

use crate::{ports::StoreError, store::driver::Fault};

/// A transaction that loses so often is not unlucky any more.
const TRIES: usize = 10;

/// Runs `once` until it is not [`Fault::Contended`], at most [`TRIES`] times.
///
/// There is no wait in between: the winner has committed by the time that the loser hears of it.
pub async fn retrying<T, F, Fut>(mut once: F) -> Result<T, StoreError>
where
    F: FnMut() -> Fut + Send,
    Fut: Future<Output = Result<T, Fault>> + Send,
{
    let mut tried = 1;
    loop {
        match once().await {
            Ok(value) => return Ok(value),
            Err(Fault::Contended(_)) if tried < TRIES => tried += 1,
            Err(fault) => return Err(fault.into_error()),
        }
    }
}
