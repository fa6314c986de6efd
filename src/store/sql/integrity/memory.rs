//! What this process remembers about the current database server: whether it is verified, whether it takes
//! writes, and which attempts it already held when this process first saw it (see [`Inherited`]).

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::ports::Inherited;

#[derive(Debug, Default)]
pub struct Memory {
    /// Whether the server that answered last is verified.
    verified: AtomicBool,
    /// The server on which this process may close attempts, and those that it inherited.
    registered: Mutex<Option<(i64, Option<Inherited>)>>,
    /// Whether the last test write was refused.
    read_only: AtomicBool,
}

impl Memory {
    /// Records whether the current server is verified. Only offers rely on it: claims and sends check for
    /// themselves, in their transactions.
    pub fn set_verified(&self, verified: bool) {
        self.verified.store(verified, Ordering::SeqCst);
    }

    /// Whether the server that answered last was verified.
    pub fn is_verified(&self) -> bool {
        self.verified.load(Ordering::SeqCst)
    }

    /// The server on which this process may close attempts, and those that it inherited.
    pub fn registered_server(&self) -> Option<(i64, Option<Inherited>)> {
        *self.registered.lock()
    }

    /// Records whether the database accepted a test write.
    pub fn set_writable(&self, writable: bool) {
        self.read_only.store(!writable, Ordering::SeqCst);
    }

    /// Whether the last test write was accepted; true before the first.
    pub fn is_writable(&self) -> bool {
        !self.read_only.load(Ordering::SeqCst)
    }

    /// Allows this process to close attempts on this server from now on.
    pub fn register_server(&self, server: i64, inherited: Option<Inherited>) {
        *self.registered.lock() = Some((server, inherited));
    }

    /// Whether this process may close attempts on this server.
    pub fn is_registered(&self, server: i64) -> bool {
        self.registered.lock().is_some_and(|(registered, _)| registered == server)
    }
}
