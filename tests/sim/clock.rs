//! Time, randomness and tasks of a simulated process.

use std::{future::poll_fn, sync::Arc, task::Poll};

use async_trait::async_trait;
use withdrawd::{
    domain::{Millis, Timestamp},
    runtime::{Clock, Entropy, Runtime, Spawner, Task},
};

use super::world::World;

struct Process {
    world: Arc<World>,
    replica: usize,
}

/// The runtime of a process.
pub fn runtime(world: &Arc<World>, replica: usize) -> Runtime {
    let process = || Process { world: Arc::clone(world), replica };
    Runtime {
        clock: Arc::new(process()),
        entropy: Arc::new(process()),
        spawner: Arc::new(process()),
    }
}

#[async_trait]
impl Clock for Process {
    /// The process may have been paused just before.
    fn now(&self) -> Timestamp {
        let mut inner = self.world.lock();
        if let Some(ms) = inner.pause_ms.take() {
            inner.note(|| format!("      paused for {ms} ms at a reading of the clock"));
            inner.advance(ms);
        }
        inner.wall(self.replica)
    }

    fn monotonic(&self) -> Millis {
        self.world.lock().monotonic(self.replica)
    }

    async fn sleep(&self, span: Millis) {
        let until = self.monotonic().plus(span);
        poll_fn(|_| {
            let mut inner = self.world.lock();
            let me = inner.current.expect("actors sleep");
            if inner.monotonic(self.replica) >= until {
                inner.sleeping.remove(&me);
                return Poll::Ready(());
            }
            inner.sleeping.insert(me, (self.replica, until));
            Poll::Pending
        })
        .await;
    }
}

impl Entropy for Process {
    fn fill(&self, bytes: &mut [u8]) {
        self.world.lock().entropy.fill(bytes);
    }
}

impl Spawner for Process {
    fn spawn(&self, task: Task) {
        let mut inner = self.world.lock();
        let parent = inner.current;
        inner.spawned.push((self.replica, parent, task));
    }
}
