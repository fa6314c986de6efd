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

#[cfg(test)]
mod tests {
    use super::*;

    fn unavailable() -> StoreError {
        StoreError::Unavailable { doing: "test", source: "in the way".into() }
    }

    #[tokio::test]
    async fn what_met_another_transaction_is_tried_again() {
        let mut tries = 0;
        let done = retrying(|| {
            tries += 1;
            let outcome = if tries < 4 { Err(Fault::Contended(unavailable())) } else { Ok(tries) };
            async move { outcome }
        });
        assert_eq!(done.await.unwrap(), 4);
    }

    #[tokio::test]
    async fn tries_are_bounded_and_other_errors_are_final() {
        let (mut contended, mut failed) = (0, 0);
        let lost = retrying(|| {
            contended += 1;
            async { Err::<(), _>(Fault::Contended(unavailable())) }
        });
        assert!(matches!(lost.await, Err(StoreError::Unavailable { .. })));
        let stale = retrying(|| {
            failed += 1;
            async { Err::<(), _>(Fault::Final(StoreError::Stale)) }
        });
        assert!(matches!(stale.await, Err(StoreError::Stale)));
        assert_eq!((contended, failed), (TRIES, 1));
    }
}
