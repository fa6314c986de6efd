//! Wakes the payer of the same process at once. Other processes find the work by polling.

use std::sync::Arc;

use tokio::sync::Notify;

/// A bell. Ringing it while nobody waits is remembered, once.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Arc<Notify>);

impl Notifier {
    /// There is something to pay.
    pub fn notify(&self) {
        self.0.notify_one();
    }

    /// Waits until there is.
    pub async fn notified(&self) {
        self.0.notified().await;
    }
}
