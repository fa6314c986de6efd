//! What this process remembers of its database: the server that it has made sure of, and the sends that
//! it was told are durable.
//!
//! A server that lost commits (restored, or promoted without the last of them) is another server: it
//! started at another time, or its tables were made anew. The sends are the mark that is read back on
//! it. They are written anyway, so the mark costs nothing; and since commits are lost from the end, a
//! lost one takes one of the last with it.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use crate::{
    domain::{PaymentId, Timestamp},
    ports::Inherited,
};

/// More than are ever committed at a time: the last commit of all is among them.
const SENDS: usize = 1024;

/// A send that was told to be durable.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub payment: PaymentId,
    pub number: i64,
    pub epoch: i64,
    pub sent_at: Timestamp,
}

#[derive(Debug, Default)]
pub struct Memory {
    /// 0: none yet.
    trusted: AtomicI64,
    /// Another server has answered last.
    suspect: AtomicBool,
    /// The server that was met last, and what it came with.
    met: Mutex<Option<(i64, Option<Inherited>)>>,
    sends: Mutex<VecDeque<Kept>>,
    /// The last write that was made to see whether it is taken was not.
    read_only: AtomicBool,
}

impl Memory {
    /// From here on this server may claim and send.
    pub fn trust(&self, server: i64) {
        self.trusted.store(server, Ordering::SeqCst);
        self.suspect.store(false, Ordering::SeqCst);
    }

    /// The server that was met last, and what it came with.
    pub fn met(&self) -> Option<(i64, Option<Inherited>)> {
        *locked(&self.met)
    }

    /// Whether `server`, which answers now, is the trusted one.
    pub fn trusts(&self, server: i64) -> bool {
        let trusts = self.trusted.load(Ordering::SeqCst) == server;
        // Either way: the trusted one may come back, and then nobody looks at it again.
        self.suspect.store(!trusts, Ordering::SeqCst);
        trusts
    }

    /// Whether a server is trusted, as far as was heard.
    pub fn is_verified(&self) -> bool {
        self.trusted.load(Ordering::SeqCst) != 0 && !self.suspect.load(Ordering::SeqCst)
    }

    /// Whether the database takes writes, as was just seen.
    pub fn takes_writes(&self, it_does: bool) {
        self.read_only.store(!it_does, Ordering::SeqCst);
    }

    /// Whether it does, as far as was seen.
    pub fn is_writable(&self) -> bool {
        !self.read_only.load(Ordering::SeqCst)
    }

    /// From here on this server may close.
    pub fn meet(&self, server: i64, inherited: Option<Inherited>) {
        *locked(&self.met) = Some((server, inherited));
    }

    /// Whether it was met last.
    pub fn has_met(&self, server: i64) -> bool {
        locked(&self.met).is_some_and(|(met, _)| met == server)
    }

    /// A send was told to be durable.
    pub fn keep(&self, send: Kept) {
        let mut sends = locked(&self.sends);
        if sends.len() == SENDS {
            sends.pop_front();
        }
        sends.push_back(send);
    }

    /// The last ones. What was lost before an operator acknowledged a loss is no news.
    pub fn kept_since(&self, acknowledged: Option<Timestamp>) -> Vec<Kept> {
        let sends = locked(&self.sends);
        sends.iter().filter(|send| Some(send.sent_at) >= acknowledged).copied().collect()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection to the server of before, say, answers once more.
    #[test]
    fn the_trusted_server_is_believed_when_it_comes_back() {
        let memory = Memory::default();
        assert!(!memory.is_verified());
        memory.trust(1);
        assert!(!memory.trusts(2) && !memory.is_verified());
        assert!(memory.trusts(1) && memory.is_verified());
    }
}
