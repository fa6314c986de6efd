//! What this process has heard of its database's server, and what that server came with. Which server may
//! be relied on stands in the database; what the process was told is durable, in its marks.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::ports::Inherited;

#[derive(Debug, Default)]
pub struct Memory {
    /// The server that answered last is verified.
    verified: AtomicBool,
    /// The server that was met last, and what it came with.
    met: Mutex<Option<(i64, Option<Inherited>)>>,
    /// The last write that was made to see whether it is taken was not.
    read_only: AtomicBool,
}

impl Memory {
    /// Whether the server that answers now is verified. For offers: claims and sends ask for themselves.
    pub fn set_verified(&self, verified: bool) {
        self.verified.store(verified, Ordering::SeqCst);
    }

    /// Whether the last one was.
    pub fn is_verified(&self) -> bool {
        self.verified.load(Ordering::SeqCst)
    }

    /// The server that was met last, and what it came with.
    pub fn met(&self) -> Option<(i64, Option<Inherited>)> {
        *self.met.lock()
    }

    /// Whether the database takes writes, as was just seen.
    pub fn set_writable(&self, writable: bool) {
        self.read_only.store(!writable, Ordering::SeqCst);
    }

    /// Whether it does, as far as was seen.
    pub fn is_writable(&self) -> bool {
        !self.read_only.load(Ordering::SeqCst)
    }

    /// From here on this process may close attempts on this server.
    pub fn meet(&self, server: i64, inherited: Option<Inherited>) {
        *self.met.lock() = Some((server, inherited));
    }

    /// Whether it was met last.
    pub fn has_met(&self, server: i64) -> bool {
        self.met.lock().is_some_and(|(met, _)| met == server)
    }
}
