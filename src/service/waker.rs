//! Wakes the payer of the same process at once. Other processes find the work by polling.

use std::sync::Arc;

use tokio::sync::Notify;

/// A bell. Ringing it while nobody waits is remembered, once.
#[derive(Clone, Debug, Default)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// There is something to pay.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits until there is.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}
