//! The calls of a model node: about what, in which order, and how many at a time.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tokio::sync::watch;
use withdrawd::domain::PaymentHash;

/// Records the calls.
pub struct CallLog {
    look_ups: Mutex<Vec<PaymentHash>>,
    open: Arc<OpenCalls>,
    /// Lookups that are not answered for now.
    held: watch::Sender<fn(PaymentHash) -> bool>,
}

#[derive(Default)]
struct OpenCalls {
    now: AtomicUsize,
    max: AtomicUsize,
}

/// A call that is not answered yet.
pub struct OpenCall(Arc<OpenCalls>);

impl Default for CallLog {
    fn default() -> Self {
        Self {
            look_ups: Mutex::default(),
            open: Arc::default(),
            held: watch::Sender::new(|_| false),
        }
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, SeqCst);
    }
}

impl CallLog {
    fn open_call(&self) -> OpenCall {
        let now = self.open.now.fetch_add(1, SeqCst) + 1;
        self.open.max.fetch_max(now, SeqCst);
        OpenCall(Arc::clone(&self.open))
    }

    /// A lookup.
    pub async fn look_up(&self, hash: PaymentHash) -> OpenCall {
        let open_call = self.open_call();
        self.look_ups.lock().unwrap().push(hash);
        let mut held = self.held.subscribe();
        // The node outlives those who ask.
        let _ = held.wait_for(|is_held| !is_held(hash)).await;
        open_call
    }

    /// A send, open until its stream is dropped.
    pub fn send(&self) -> OpenCall {
        self.open_call()
    }

    /// From now on no lookup of these is answered.
    pub fn hold_look_ups_of(&self, hashes: fn(PaymentHash) -> bool) {
        self.held.send_replace(hashes);
    }

    /// Lookups so far, in order.
    pub fn look_ups(&self) -> Vec<PaymentHash> {
        self.look_ups.lock().unwrap().clone()
    }

    /// Calls without an answer.
    pub fn open_now(&self) -> usize {
        self.open.now.load(SeqCst)
    }

    /// The most that there were at a time.
    pub fn most_open(&self) -> usize {
        self.open.max.load(SeqCst)
    }
}
