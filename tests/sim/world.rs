//! What all actors of one history share: gates, clocks, the node's truth, and the mirror of the store.
//!
//! One thread drives it. The mutex is there because the ports ask for `Send + Sync`; it is never
//! held while an actor is polled.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
};

use withdrawd::{
    domain::{Millis, Timestamp},
    runtime::Task,
};

use super::{
    lost_commits::AFTER_A_LOSS,
    mirror::Mirror,
    node::Node,
    rng::Rng,
    step::{ActorId, Call, Completion},
};

/// When histories begin.
pub const BEGIN: Timestamp = Timestamp::from_ms(1_800_000_000_000);
/// How many processes there are at most.
pub const REPLICAS: usize = 2;

/// A fault that happened. A payment that ends in doubt must be explained by one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Doubled,
    Foreign,
    ZeroPreimage,
    OtherAmount,
    Forgotten,
    Switched,
    Wiped,
    /// Writes stalled, or the answer to a write witness was lost.
    Stalled,
    /// The node lost an HTLC's result.
    ResultLost,
}

/// One life of a process: its replica, and how often that replica was started before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation {
    pub replica: usize,
    pub number: u64,
}

/// A process's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clocks {
    /// How far its wall clock is off.
    pub offset_ms: i64,
    /// When its monotonic clock began.
    pub started_ms: i64,
}

/// An actor before, or after, a call.
#[derive(Clone, Copy, Debug)]
pub struct Parked {
    pub call: Call,
    /// The call is made; its answer is still to come.
    pub answered: bool,
    how: Option<Completion>,
}

pub struct Inner {
    /// True time since [`BEGIN`].
    pub now_ms: i64,
    pub clocks: [Clocks; REPLICAS],
    /// The life that each replica is in, while it runs.
    pub running: [Option<Incarnation>; REPLICAS],
    /// How many there have been.
    pub started: u64,
    pub database_offset_ms: i64,
    /// Time that passes at the next reading of a clock.
    pub pause_ms: Option<i64>,
    /// Who runs now.
    pub current: Option<ActorId>,
    /// Whoever started an actor.
    pub parents: BTreeMap<ActorId, ActorId>,
    pub parked: BTreeMap<ActorId, Parked>,
    /// Sleepers, by the monotonic time of their replica.
    pub sleeping: BTreeMap<ActorId, (usize, Millis)>,
    /// Tasks that were handed to a replica's spawner.
    pub spawned: Vec<(usize, Option<ActorId>, Task)>,
    pub entropy: Rng,
    pub node: Node,
    pub mirror: Mirror,
    pub faults: BTreeSet<Fault>,
    /// Whether faults that the contract excludes may happen from now on.
    pub outside: bool,
    /// Calls that were made so far.
    pub calls: u64,
    /// The first invariant that broke.
    pub broken: Option<String>,
    /// What happened, for people; none where nobody reads it.
    pub log: Option<Vec<String>>,
}

pub struct World(Mutex<Inner>);

impl World {
    pub fn new(seed: u64, logged: bool) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner {
            now_ms: 0,
            clocks: [Clocks::default(); REPLICAS],
            running: [None; REPLICAS],
            started: 0,
            database_offset_ms: 0,
            pause_ms: None,
            current: None,
            parents: BTreeMap::new(),
            parked: BTreeMap::new(),
            sleeping: BTreeMap::new(),
            spawned: Vec::new(),
            entropy: Rng::new(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)),
            node: Node::new(),
            mirror: Mirror::default(),
            faults: BTreeSet::new(),
            outside: false,
            calls: 0,
            broken: None,
            log: logged.then(Vec::new),
        })))
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Parks the actor before `call` until the scheduler chooses it. Returns how the call is to go.
    pub async fn wait_at_gate(self: &Arc<Self>, call: Call) -> Completion {
        let how = Gate { world: self, call, answered: false }.await;
        let mut inner = self.lock();
        inner.calls += 1;
        let (actor, name) = (inner.current, call.name);
        inner.note(|| format!("      actor {}: {name}: {how:?}", actor.unwrap_or(0)));
        how
    }

    /// After a call's effect: the answer may be late, or never arrive.
    pub async fn answer(self: &Arc<Self>, call: Call, how: Completion) {
        match how {
            Completion::Late => {
                Gate { world: self, call, answered: true }.await;
            }
            Completion::Die => pending::<()>().await,
            _ => {}
        }
    }
}

struct Gate<'a> {
    world: &'a World,
    call: Call,
    answered: bool,
}

impl Future for Gate<'_> {
    type Output = Completion;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Completion> {
        let mut inner = self.world.lock();
        let me = inner.current.expect("calls are made by actors");
        match inner.parked.get(&me).copied() {
            Some(Parked { how: Some(how), .. }) => {
                inner.parked.remove(&me);
                Poll::Ready(how)
            }
            Some(_) => Poll::Pending,
            None => {
                let Self { call, answered, .. } = *self;
                inner.parked.insert(me, Parked { call, answered, how: None });
                Poll::Pending
            }
        }
    }
}

impl Inner {
    /// Lets a parked actor go when it is polled next.
    pub fn grant(&mut self, actor: ActorId, how: Completion) {
        if let Some(parked) = self.parked.get_mut(&actor) {
            parked.how = Some(how);
        }
    }

    /// A process starts.
    pub fn start_process(&mut self, replica: usize) -> Incarnation {
        self.started += 1;
        let incarnation = Incarnation { replica, number: self.started };
        self.running[replica] = Some(incarnation);
        incarnation
    }

    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(text());
        }
    }

    /// Remembers the first invariant that broke.
    pub fn broke(&mut self, invariant: &str, detail: &str) {
        // The mirror keeps what was before the loss, on purpose: only some invariants hold across it.
        let counts = self.mirror.loss.is_none() || AFTER_A_LOSS.contains(&invariant);
        if counts && self.broken.is_none() {
            let at = self.now_ms;
            self.note(|| format!("!!!!! {invariant} ({detail})"));
            self.broken = Some(format!("{invariant} ({detail}, at {at} ms)"));
        }
    }

    pub fn wall(&self, replica: usize) -> Timestamp {
        BEGIN.plus(Millis::from_ms(self.now_ms + self.clocks[replica].offset_ms))
    }

    pub fn monotonic(&self, replica: usize) -> Millis {
        Millis::from_ms(self.now_ms - self.clocks[replica].started_ms)
    }

    pub fn database_now(&self) -> Timestamp {
        BEGIN.plus(Millis::from_ms(self.now_ms + self.database_offset_ms))
    }

    /// Time passes. What the node had promised to store by then is stored.
    pub fn advance(&mut self, ms: i64) {
        self.now_ms += ms;
        self.node_reaches_now();
    }

    /// Whether a sleeper's time is over.
    pub fn is_rested(&self, actor: ActorId) -> bool {
        self.sleeping.get(&actor).is_some_and(|(replica, until)| self.monotonic(*replica) >= *until)
    }
}
