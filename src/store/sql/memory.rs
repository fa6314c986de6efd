//! What this process has heard of its database's server, and what that server came with. Which server may
//! be relied on stands in the database; what the process was told is durable, in its marks.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    domain::{Timestamp, payment::Advance},
    ports::Inherited,
};

#[derive(Debug, Default)]
pub struct Memory {
    /// The server that answered last is verified.
    verified: AtomicBool,
    /// The server that was met last, and what it came with.
    met: Mutex<Option<(i64, Option<Inherited>)>>,
}

impl Memory {
    /// Whether the server that answers now is verified. For offers: claims and sends ask for themselves.
    pub fn hear(&self, verified: bool) {
        self.verified.store(verified, Ordering::SeqCst);
    }

    /// Whether the last one was.
    pub fn is_verified(&self) -> bool {
        self.verified.load(Ordering::SeqCst)
    }

    /// What the server came with that was met last.
    pub fn inherited(&self) -> Option<Inherited> {
        locked(&self.met).and_then(|(_, inherited)| inherited)
    }

    /// Whether `server` may not close an attempt now.
    pub fn forbids_closing(&self, server: i64, advance: &Advance, at: Timestamp) -> bool {
        match *locked(&self.met) {
            Some((met, inherited)) if met == server => {
                inherited.is_some_and(|inherited| inherited.forbids(advance, at))
            }
            Some(_) | None => true,
        }
    }

    /// From here on this server may close.
    pub fn meet(&self, server: i64, inherited: Option<Inherited>) {
        *locked(&self.met) = Some((server, inherited));
    }

    /// Whether it was met last.
    pub fn has_met(&self, server: i64) -> bool {
        locked(&self.met).is_some_and(|(met, _)| met == server)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
