//! One history: steps in, effects one after the other, invariants after each.

use std::sync::{Arc, Mutex};

use withdrawd::{domain::WithdrawId, runtime::Task};

use super::{
    actors::Actors,
    database::Database,
    mutation::Mutation,
    replica::Replica,
    rng::Rng,
    step::{ActorId, Completion, Step},
    world::{REPLICAS, World},
};

/// Clocks are within the contract while any two differ by less than this.
const SKEW_MS: usize = 5000;
const MIDDLE_MS: i64 = 2500;
/// What each withdraw request is for.
pub(super) const SAT: u64 = 10;

/// A request as its creator, and then a wallet, knows it.
pub type Created = Option<(WithdrawId, String)>;

pub struct History {
    pub world: Arc<World>,
    pub actors: Actors,
    pub replicas: [Option<Replica>; REPLICAS],
    pub created: Arc<Mutex<Vec<Created>>>,
    /// All that was asked of it, for a replay.
    pub steps: Vec<Step>,
    /// A crash at this call, counted from 1, before or after its effect.
    pub crash_at: Option<(u64, bool)>,
    /// How the next calls go when everything runs on.
    pub(super) armed: Vec<(&'static str, Completion)>,
    pub(super) database: Arc<Database>,
    pub(super) mutation: Option<Mutation>,
    pub(super) seed: u64,
    /// Who went on last.
    pub(super) last: ActorId,
}

impl History {
    /// A new world over an emptied database, with two processes whose clocks differ a little.
    pub fn new(
        database: &Arc<Database>,
        seed: u64,
        mutation: Option<Mutation>,
        logged: bool,
    ) -> Self {
        database.empty();
        let world = World::new(seed, logged);
        let mut rng = Rng::new(seed ^ 0xc10c);
        let mut off = || i64::try_from(rng.below(SKEW_MS)).unwrap() - MIDDLE_MS;
        {
            let mut inner = world.lock();
            inner.database_offset_ms = off();
            inner.node.offset_ms = off();
            for clocks in &mut inner.clocks {
                clocks.offset_ms = off();
            }
        }
        let start = |replica| Some(Replica::start(&world, database, mutation, replica));
        let mut history = Self {
            actors: Actors::default(),
            replicas: [start(0), start(1)],
            created: Arc::default(),
            steps: Vec::new(),
            crash_at: None,
            armed: Vec::new(),
            database: Arc::clone(database),
            mutation,
            seed,
            last: 0,
            world,
        };
        for replica in 0..REPLICAS {
            history.begin_process_checks(replica);
        }
        history
    }

    pub fn is_broken(&self) -> bool {
        self.world.lock().broken.is_some()
    }

    /// Makes a step, if it can be made, and remembers it.
    pub fn apply(&mut self, step: Step) {
        let number = self.steps.len() + 1;
        self.world.lock().note(|| format!("{number:4}. {step:?}"));
        self.steps.push(step);
        if !self.make(step) {
            self.world.lock().note(|| "      (cannot be)".into());
        }
        self.actors.settle(&self.world);
    }

    fn make(&mut self, step: Step) -> bool {
        match step {
            Step::Create { replica } => self.create(replica),
            Step::Claim { replica, withdraw, invoice } => self.claim(replica, withdraw, invoice),
            Step::Offer { replica, withdraw } => self.offer(replica, withdraw),
            Step::Deactivate { replica, withdraw } => self.deactivate(replica, withdraw),
            Step::RunPayer { replica } => self.run_payer(replica),
            Step::MarkExpired { replica } => self.expire(replica),
            Step::Run { actor, how } => self.run(actor, how),
            Step::Heartbeat { replica } => self.beat(replica),
            Step::VerifyDatabase { replica } => self.verify_database(replica),
            Step::SwitchInstance { replica, on } => self.switch_instance(replica, on),
            Step::RunOn { actor } => self.run_on(actor),
            Step::Drain => self.drain(),
            Step::ScriptNextCall { call, how } => {
                self.armed.push((call, how));
                true
            }
            Step::DetachStandby => self.detach_standby(),
            Step::PromoteStandby => self.promote_standby(),
            Step::Crash { replica } => self.crash(replica),
            Step::Start { replica } => self.start(replica),
            Step::SetClock { replica, ms } => {
                self.world.lock().clocks[replica].offset_ms += ms;
                true
            }
            world => self.world.lock().make(world),
        }
    }

    pub(super) fn begin(&mut self, replica: usize, task: Task) -> bool {
        self.actors.start(&self.world, replica, task);
        true
    }

    pub(super) fn crash(&mut self, replica: usize) -> bool {
        let lived = self.replicas[replica].take().is_some();
        self.world.lock().end_process(replica);
        self.actors.kill(&self.world, replica);
        lived
    }

    fn start(&mut self, replica: usize) -> bool {
        if self.replicas[replica].is_some() {
            return false;
        }
        let mut inner = self.world.lock();
        inner.clocks[replica].started_ms = inner.now_ms;
        drop(inner);
        let process = Replica::start(&self.world, &self.database, self.mutation, replica);
        self.replicas[replica] = Some(process);
        self.begin_process_checks(replica)
    }

    /// What every process does first: make sure of its database, and hear of its node.
    fn begin_process_checks(&mut self, replica: usize) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let (verifier, heartbeats) =
            (Arc::clone(&process.verifier), Arc::clone(&process.heartbeats));
        let task = async move {
            if verifier.run_once().await.is_ok() {
                drop(heartbeats.beat().await);
            }
        };
        self.begin(replica, Box::pin(task))
    }

    fn detach_standby(&mut self) -> bool {
        let keeps = !self.has_lost() && self.database.keep();
        if keeps {
            self.world.lock().mirror.begin_to_lag();
        }
        keeps
    }

    fn promote_standby(&mut self) -> bool {
        let can = !self.has_lost() && self.world.lock().mirror.lags();
        if can {
            self.database.promote_standby();
            self.world.lock().lose();
        }
        can
    }

    /// Whether the database has lost commits.
    pub fn has_lost(&self) -> bool {
        self.world.lock().mirror.loss.is_some()
    }
}
