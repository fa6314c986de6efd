//! The places that a worker takes among those that work at a time.

use tokio::sync::OwnedSemaphorePermit;

/// Free again when dropped: as soon as a payment is in flight, or its answer is overdue.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<OwnedSemaphorePermit>);

impl Places {
    pub(super) fn of(place: Option<OwnedSemaphorePermit>) -> Self {
        Self(place.into_iter().collect())
    }

    pub(super) fn and(mut self, place: OwnedSemaphorePermit) -> Self {
        self.0.push(place);
        self
    }
}
