//! How a model node is asked: about what, in which order, and by how many at a time.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::sync::watch;
use withdrawd::domain::PaymentHash;

/// Counts the questions.
pub struct Asked {
    looked: Mutex<Vec<PaymentHash>>,
    open: Arc<Open>,
    /// Look-ups that are not answered as long as this stands.
    silent_about: watch::Sender<fn(PaymentHash) -> bool>,
}

#[derive(Default)]
struct Open {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A question that is not answered yet.
pub struct Asking(Arc<Open>);

impl Default for Asked {
    fn default() -> Self {
        Self {
            looked: Mutex::default(),
            open: Arc::default(),
            silent_about: watch::Sender::new(|_| false),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}

impl Asked {
    fn asking(&self) -> Asking {
        let now = self.open.now.fetch_add(1, SeqCst) + 1;
        self.open.most.fetch_max(now, SeqCst);
        Asking(Arc::clone(&self.open))
    }

    /// A look-up.
    pub async fn about(&self, hash: PaymentHash) -> Asking {
        let asking = self.asking();
        self.looked.lock().unwrap().push(hash);
        let mut silent_about = self.silent_about.subscribe();
        // The node outlives those who ask.
        let _ = silent_about.wait_for(|silent| !silent(hash)).await;
        asking
    }

    /// A send, open until its stream is dropped.
    pub fn to_pay(&self) -> Asking {
        self.asking()
    }

    /// From now on no look-up of these is answered.
    pub fn be_silent_about(&self, hashes: fn(PaymentHash) -> bool) {
        self.silent_about.send_replace(hashes);
    }

    /// Look-ups so far, in order.
    pub fn looked(&self) -> Vec<PaymentHash> {
        self.looked.lock().unwrap().clone()
    }

    /// Questions without an answer.
    pub fn now(&self) -> usize {
        self.open.now.load(SeqCst)
    }

    /// The most that there were at a time.
    pub fn most(&self) -> usize {
        self.open.most.load(SeqCst)
    }
}
