//! Retries transactions that conflict with another one, a limited number of times.

use std::future::Future;

use crate::{ports::StoreError, store::driver::Fault};

/// The maximum number of attempts: more conflicts in a row are not chance.
const MAX_TRIES: usize = 10;

/// Runs `once` until its outcome is not [`Fault::Contended`], at most [`MAX_TRIES`] times.
///
/// There is no delay in between: the other transaction has already committed when this one fails.
pub async fn retrying<T, F, Fut>(mut once: F) -> Result<T, StoreError>
where
    F: FnMut() -> Fut + Send,
    Fut: Future<Output = Result<T, Fault>> + Send,
{
    let mut tried = 1;
    loop {
        match once().await {
            Ok(value) => return Ok(value),
            Err(Fault::Contended(_)) if tried < MAX_TRIES => tried += 1,
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
    async fn a_contended_transaction_is_retried() {
        let mut tries = 0;
        let done = retrying(|| {
            tries += 1;
            let outcome = if tries < 4 { Err(Fault::Contended(unavailable())) } else { Ok(tries) };
            async move { outcome }
        });
        assert_eq!(done.await.unwrap(), 4);
    }

    #[tokio::test]
    async fn retries_are_bounded_and_other_errors_are_final() {
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
        assert_eq!((contended, failed), (MAX_TRIES, 1));
    }
}
