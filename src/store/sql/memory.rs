//! What this process remembers of its database: the server that it has made sure of, and the sends that
//! it was told are durable.
//!
//! A server that lost commits (restored, or promoted without the last of them) is another server: it
//! started at another time. The sends are the mark that is read back on it. They are written anyway, so
//! the mark costs nothing; and since commits are lost from the end, a lost one takes one of the last
//! with it.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use crate::domain::PaymentId;

/// More than are ever committed at a time: the last commit of all is among them.
const SENDS: usize = 1024;

/// A send that was told to be durable: payment, number, epoch.
pub type Kept = (PaymentId, i64, i64);

#[derive(Debug, Default)]
pub struct Memory {
    /// 0: none yet.
    trusted: AtomicI64,
    /// Another server has answered last.
    suspect: AtomicBool,
    sends: Mutex<VecDeque<Kept>>,
    /// Those of them that the server which answers now does not have.
    lost: Mutex<Vec<Kept>>,
}

impl Memory {
    /// From here on this server may claim and send. What was found lost was told, and is no mark any
    /// more: the next server would be fenced for it again.
    pub fn trust(&self, server: i64) {
        let lost = std::mem::take(&mut *locked(&self.lost));
        if !lost.is_empty() {
            locked(&self.sends).retain(|send| !lost.contains(send));
        }
        self.trusted.store(server, Ordering::SeqCst);
        self.suspect.store(false, Ordering::SeqCst);
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

    /// A send was told to be durable.
    pub fn keep(&self, send: Kept) {
        let mut sends = locked(&self.sends);
        if sends.len() == SENDS {
            sends.pop_front();
        }
        sends.push_back(send);
    }

    /// The last ones.
    pub fn kept(&self) -> Vec<Kept> {
        locked(&self.sends).iter().copied().collect()
    }

    /// These are not there any more.
    pub fn miss(&self, lost: Vec<Kept>) {
        *locked(&self.lost) = lost;
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
