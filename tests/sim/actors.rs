//! Our own executor: actors are polled by hand, one at a time, in an order that the scheduler picks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use withdrawd::runtime::Task;

use super::{
    step::{ActorId, Completion},
    world::World,
};

/// Set when something within the actor's process wakes it, such as a semaphore or a channel.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Actor {
    replica: usize,
    task: Task,
    flag: Arc<Flag>,
}

#[derive(Default)]
pub struct Actors {
    living: BTreeMap<ActorId, Actor>,
    started: ActorId,
}

impl Actors {
    /// Begins an actor; it runs as far as its first gate.
    pub fn start(&mut self, world: &World, replica: usize, task: Task) -> ActorId {
        let id = self.add(replica, task);
        self.poll(world, id);
        self.settle(world);
        id
    }

    /// Lets a parked or rested actor go on, as far as its next gate.
    pub fn go(&mut self, world: &World, id: ActorId, how: Completion) {
        world.lock().grant(id, how);
        self.poll(world, id);
        self.settle(world);
    }

    /// Polls whoever was woken from within a process, until nobody is.
    pub fn settle(&mut self, world: &World) {
        loop {
            let spawned = std::mem::take(&mut world.lock().spawned);
            for (replica, parent, task) in spawned {
                let id = self.add(replica, task);
                if let Some(parent) = parent {
                    world.lock().parents.insert(id, parent);
                }
                self.poll(world, id);
            }
            let woken = self.living.iter().find(|(_, actor)| actor.flag.0.load(Ordering::SeqCst));
            match woken.map(|(id, _)| *id) {
                Some(id) => self.poll(world, id),
                None if world.lock().spawned.is_empty() => return,
                None => {}
            }
        }
    }

    /// Ends a process: all of its actors are dropped where they stand.
    pub fn kill(&mut self, world: &World, replica: usize) {
        let dead: Vec<ActorId> = self.of(replica).collect();
        for id in dead {
            self.living.remove(&id);
            forget(world, id);
        }
        world.lock().spawned.retain(|(of, ..)| *of != replica);
    }

    pub fn of(&self, replica: usize) -> impl Iterator<Item = ActorId> {
        let of = self.living.iter().filter(move |(_, actor)| actor.replica == replica);
        of.map(|(id, _)| *id)
    }

    pub fn replica_of(&self, id: ActorId) -> Option<usize> {
        self.living.get(&id).map(|actor| actor.replica)
    }

    fn add(&mut self, replica: usize, task: Task) -> ActorId {
        self.started += 1;
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        self.living.insert(self.started, Actor { replica, task, flag });
        self.started
    }

    fn poll(&mut self, world: &World, id: ActorId) {
        let Some(actor) = self.living.get_mut(&id) else { return };
        actor.flag.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&actor.flag));
        world.lock().current = Some(id);
        let done = actor.task.as_mut().poll(&mut Context::from_waker(&waker));
        world.lock().current = None;
        if done == Poll::Ready(()) {
            self.living.remove(&id);
            forget(world, id);
        }
    }
}

fn forget(world: &World, id: ActorId) {
    let mut inner = world.lock();
    inner.parked.remove(&id);
    inner.sleeping.remove(&id);
}
