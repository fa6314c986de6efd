//! Wakes the payer of the same process at once. Other processes find the work by polling.

use std::sync::Arc;

use tokio::sync::Notify;

/// Notifies one waiter. A notification while nobody waits is remembered, once.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Arc<Notify>);

impl Notifier {
    /// There is something to pay.
    pub fn notify(&self) {
        self.0.notify_one();
    }

    /// Waits for a notification.
    pub async fn notified(&self) {
        self.0.notified().await;
    }
}
