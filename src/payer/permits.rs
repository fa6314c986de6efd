//! The semaphore permits of a worker.

use tokio::sync::OwnedSemaphorePermit;

/// Dropped, and so released, as soon as the payment is in flight or the answer to its send is overdue.
#[derive(Debug, Default)]
pub(super) struct Permits(Vec<OwnedSemaphorePermit>);

impl Permits {
    pub(super) fn of(permit: Option<OwnedSemaphorePermit>) -> Self {
        Self(permit.into_iter().collect())
    }

    pub(super) fn and(mut self, permit: OwnedSemaphorePermit) -> Self {
        self.0.push(permit);
        self
    }
}
