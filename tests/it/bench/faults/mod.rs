//! Wraps both ports: counts their calls, crashes at one of them, loses answers.

mod node;
mod store;

use std::{
    future::pending,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;
use withdrawd::ports::StoreError;

pub use node::FaultyNode;
pub use store::FaultyStore;

/// What happens to the next write of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LostAnswer {
    /// It is written, and the answer is lost.
    AfterCommit,
    /// It is not written, and the caller does not learn so.
    BeforeCommit,
}

/// The plan of what goes wrong, shared by the wrappers of both ports.
#[derive(Default)]
pub struct Faults {
    calls: AtomicUsize,
    /// Crash at this call (counted from 1), before or after its effect.
    crash_at: Mutex<Option<(usize, bool)>>,
    /// Crash at the next write by this method, before or after its effect.
    crash_in: Mutex<Option<(&'static str, bool)>>,
    crashed: Notify,
    lose: Mutex<Vec<(&'static str, LostAnswer)>>,
    /// What wallets need to know of the instance is not answered, as behind a flood of their calls.
    pub wallets_wait: AtomicBool,
}

impl Faults {
    pub fn crash_at(&self, call: usize, after: bool) {
        self.calls.store(0, Ordering::SeqCst);
        *self.crash_at.lock().unwrap() = Some((call, after));
    }

    /// The same at the next write by this method, however many calls other work of the process makes first.
    pub fn crash_in(&self, method: &'static str, after: bool) {
        *self.crash_in.lock().unwrap() = Some((method, after));
    }

    /// Waits until the crash.
    pub async fn crashed(&self) {
        self.crashed.notified().await;
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    pub fn reset(&self) {
        self.calls.store(0, Ordering::SeqCst);
        *self.crash_at.lock().unwrap() = None;
        *self.crash_in.lock().unwrap() = None;
    }

    /// The next call of this method loses its answer.
    pub fn lose(&self, method: &'static str, lost: LostAnswer) {
        self.lose.lock().unwrap().push((method, lost));
    }

    /// Whether every answer that was to be lost was.
    pub fn has_lost_all(&self) -> bool {
        self.lose.lock().unwrap().is_empty()
    }

    fn to_lose(&self, method: &'static str) -> Option<LostAnswer> {
        let mut lose = self.lose.lock().unwrap();
        let index = lose.iter().position(|(name, _)| *name == method)?;
        Some(lose.remove(index).1)
    }

    async fn gate<T>(&self, work: impl Future<Output = T>) -> T {
        let call = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        let plan = *self.crash_at.lock().unwrap();
        match plan {
            Some((at, false)) if call >= at => self.crash().await,
            Some((at, true)) if call == at => {
                work.await;
                self.crash().await
            }
            Some((at, true)) if call > at => self.crash().await,
            _ => work.await,
        }
    }

    /// From here on nothing of this process has any effect.
    async fn crash<T>(&self) -> T {
        self.crashed.notify_one();
        pending().await
    }

    async fn write<T>(
        &self,
        method: &'static str,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let lost = || StoreError::Unknown("the answer was lost on purpose".into());
        let planned = self.crash_in.lock().unwrap().take_if(|(name, _)| *name == method);
        if let Some((_, after)) = planned {
            if after {
                work.await?;
            }
            *self.crash_at.lock().unwrap() = Some((0, false));
            return self.crash().await;
        }
        match self.to_lose(method) {
            None => self.gate(work).await,
            Some(LostAnswer::BeforeCommit) => Err(lost()),
            Some(LostAnswer::AfterCommit) => {
                self.gate(work).await?;
                Err(lost())
            }
        }
    }
}
