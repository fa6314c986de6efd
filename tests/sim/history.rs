//! One history: steps in, effects one after the other, invariants after each.

use std::sync::{Arc, Mutex};

use withdrawd::{
    domain::{Act, Actor, Draft, DraftTtl, Millis, Principal, Turn, WithdrawId},
    runtime::Task,
    service::ClaimError,
};

use super::{
    actors::Actors,
    books::Told,
    database::Database,
    mutation::Mutation,
    replica::Replica,
    rng::Rng,
    step::{ActorId, How, Kind, Step},
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
    pub(super) armed: Vec<(&'static str, How)>,
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
            history.look_around(replica);
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
            Step::Tap { replica, withdraw, invoice } => self.tap(replica, withdraw, invoice),
            Step::Offer { replica, withdraw } => self.offer(replica, withdraw),
            Step::Deactivate { replica, withdraw } => self.deactivate(replica, withdraw),
            Step::Pass { replica } => self.pass(replica),
            Step::Expire { replica } => self.expire(replica),
            Step::Run { actor, how } => self.run(actor, how),
            Step::Beat { replica } => self.beat(replica),
            Step::VerifyDatabase { replica } => self.verify_database(replica),
            Step::Halt { replica, on } => self.halt(replica, on),
            Step::RunOn { actor } => self.run_on(actor),
            Step::Drain => self.drain(),
            Step::Arm { call, how } => {
                self.armed.push((call, how));
                true
            }
            Step::KeepDatabase => self.keep_database(),
            Step::FailOver => self.fail_over(),
            Step::Crash { replica } => self.crash(replica),
            Step::Start { replica } => self.start(replica),
            Step::Jump { replica, ms } => {
                self.world.lock().clocks[replica].offset_ms += ms;
                true
            }
            world => self.world.lock().make(world),
        }
    }

    fn begin(&mut self, replica: usize, task: Task) -> bool {
        self.actors.start(&self.world, replica, task);
        true
    }

    fn create(&mut self, replica: usize) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let (service, created) = (process.withdraws.clone(), Arc::clone(&self.created));
        let place = {
            let mut created = created.lock().unwrap();
            created.push(None);
            created.len() - 1
        };
        let draft = Draft {
            max_amount: SAT.to_string(),
            ttl: Some(DraftTtl { seconds: 1200, nanos: 0 }),
            ..Draft::default()
        };
        let task = async move {
            if let Ok(shown) = service.create(Principal::Unnamed, draft).await {
                let secret = shown.links.unwrap().secret.expose().to_owned();
                created.lock().unwrap()[place] = Some((shown.view.withdraw.id, secret));
            }
        };
        self.begin(replica, Box::pin(task))
    }

    fn known(&self, withdraw: usize) -> Created {
        self.created.lock().unwrap().get(withdraw).cloned().flatten()
    }

    fn tap(&mut self, replica: usize, withdraw: usize, invoice: usize) -> bool {
        let text = self.invoice(invoice);
        let Some((id, secret)) = self.known(withdraw) else { return false };
        let Some(process) = &self.replicas[replica] else { return false };
        let (claims, world) = (process.claims.clone(), Arc::clone(&self.world));
        let task = async move {
            let told = match claims.claim(&secret, &text).await {
                Ok(()) => Told::Ok,
                Err(ClaimError::Refused(refusal)) => Told::Refused(refusal.to_string()),
                Err(error) => Told::Error(error.to_string()),
            };
            let mut inner = world.lock();
            let me = inner.current.unwrap();
            inner.note(|| format!("      the wallet with invoice {invoice} is told {told:?}"));
            inner.check_told(me, id, invoice, &told);
        };
        self.begin(replica, Box::pin(task))
    }

    fn offer(&mut self, replica: usize, withdraw: usize) -> bool {
        let Some((_, secret)) = self.known(withdraw) else { return false };
        let Some(process) = &self.replicas[replica] else { return false };
        let claims = process.claims.clone();
        self.begin(replica, Box::pin(async move { drop(claims.offer(&secret).await) }))
    }

    fn deactivate(&mut self, replica: usize, withdraw: usize) -> bool {
        let Some((id, _)) = self.known(withdraw) else { return false };
        let Some(process) = &self.replicas[replica] else { return false };
        let (service, world) = (process.withdraws.clone(), Arc::clone(&self.world));
        let task = async move {
            let done = service.deactivate(Principal::Unnamed, &id.to_string()).await;
            let mut inner = world.lock();
            inner.note(|| format!("      deactivated: {}", done.is_ok()));
            inner.check_deactivated(id, done.is_ok());
        };
        self.begin(replica, Box::pin(task))
    }

    fn pass(&mut self, replica: usize) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let payer = Arc::clone(&process.payer);
        self.begin(replica, Box::pin(async move { drop(payer.run_once().await) }))
    }

    fn expire(&mut self, replica: usize) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let expiry = Arc::clone(&process.expiry);
        self.begin(replica, Box::pin(async move { drop(expiry.mark_due().await) }))
    }

    fn beat(&mut self, replica: usize) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let heartbeats = Arc::clone(&process.heartbeats);
        self.begin(replica, Box::pin(async move { drop(heartbeats.beat().await) }))
    }

    fn verify_database(&mut self, replica: usize) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let verifier = Arc::clone(&process.verifier);
        self.begin(replica, Box::pin(async move { drop(verifier.run_once().await) }))
    }

    fn halt(&mut self, replica: usize, on: bool) -> bool {
        let Some(process) = &self.replicas[replica] else { return false };
        let store = Arc::clone(&process.store);
        let at = self.world.lock().wall(replica);
        let act = Act { by: Actor::unnamed("ann", "a look"), at };
        let task = async move {
            if on {
                drop(store.turn(&Turn::Pause(act)).await);
            } else {
                drop(store.turn(&Turn::Resume(act.clone())).await);
                let standing = store.standing(Millis::ZERO, None).await;
                if let Some((fence, _)) = standing.ok().and_then(|standing| standing.fenced) {
                    drop(store.turn(&Turn::Acknowledge(fence, act)).await);
                }
            }
        };
        self.begin(replica, Box::pin(task))
    }

    fn crash(&mut self, replica: usize) -> bool {
        let lived = self.replicas[replica].take().is_some();
        self.world.lock().die(replica);
        self.actors.kill(&self.world, replica);
        lived
    }

    fn start(&mut self, replica: usize) -> bool {
        if self.replicas[replica].is_some() {
            return false;
        }
        let mut inner = self.world.lock();
        inner.clocks[replica].born_ms = inner.now_ms;
        drop(inner);
        let process = Replica::start(&self.world, &self.database, self.mutation, replica);
        self.replicas[replica] = Some(process);
        self.look_around(replica)
    }

    /// What every process does first: make sure of its database, and hear of its node.
    fn look_around(&mut self, replica: usize) -> bool {
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

    fn keep_database(&mut self) -> bool {
        let keeps = !self.has_lost() && self.database.keep();
        if keeps {
            self.world.lock().books.begin_to_lag();
        }
        keeps
    }

    fn fail_over(&mut self) -> bool {
        let can = !self.has_lost() && self.world.lock().books.lags();
        if can {
            self.database.fail_over();
            self.world.lock().lose();
        }
        can
    }

    /// Whether the database has lost commits.
    pub fn has_lost(&self) -> bool {
        self.world.lock().books.loss.is_some()
    }

    /// Lets one actor go on: its call is made, its late answer arrives, or it wakes.
    fn run(&mut self, actor: ActorId, how: How) -> bool {
        self.last = actor;
        let (parked, rested) = {
            let inner = self.world.lock();
            (inner.parked.get(&actor).copied(), inner.is_rested(actor))
        };
        let Some(replica) = self.actors.replica_of(actor) else { return false };
        let Some(parked) = parked else {
            if rested {
                self.actors.go(&self.world, actor, How::Done);
            }
            return rested;
        };
        let how = if parked.answered || !fits(how, parked.call.kind) { How::Done } else { how };
        let now = self.world.lock().calls + 1;
        let how = match self.crash_at {
            Some((at, after)) if at == now && !parked.answered => {
                if !after {
                    return self.crash(replica);
                }
                How::Die
            }
            _ => how,
        };
        self.actors.go(&self.world, actor, how);
        if how == How::Die {
            self.crash(replica);
        }
        true
    }

    /// One actor's calls, and those of whatever it starts, up to where it waits, or is about to ask
    /// the node to pay: that is a moment of its own.
    fn run_on(&mut self, actor: ActorId) -> bool {
        let mut ran = false;
        for made in 0..200 {
            let next = {
                let inner = self.world.lock();
                let theirs =
                    |other: &ActorId| *other == actor || inner.parents.get(other) == Some(&actor);
                let mut parked = inner.parked.iter().filter(|(other, _)| theirs(other));
                let next = parked.next().map(|(other, parked)| (*other, parked.call.kind));
                next.filter(|(_, kind)| made == 0 || *kind != Kind::Send).map(|(other, _)| other)
            };
            let Some(next) = next.filter(|_| !self.is_broken()) else { break };
            ran |= self.run(next, How::Done);
        }
        ran
    }

    /// Everything goes on in turn, until nothing can; what was told on streams is heard.
    fn drain(&mut self) -> bool {
        for _ in 0..3000 {
            if self.is_broken() {
                return true;
            }
            let Some(actor) = self.next_in_turn() else {
                if !self.hear_any() {
                    return true;
                }
                self.actors.settle(&self.world);
                continue;
            };
            let how = self.armed_for(actor);
            self.run(actor, how);
        }
        self.world.lock().broke("everything comes to rest", "3000 turns");
        true
    }

    fn next_in_turn(&self) -> Option<ActorId> {
        let inner = self.world.lock();
        let rested = inner.sleeping.keys().copied().filter(|actor| inner.is_rested(*actor));
        let mut all: Vec<ActorId> = inner.parked.keys().copied().chain(rested).collect();
        all.sort_unstable();
        all.iter().find(|actor| **actor > self.last).or(all.first()).copied()
    }

    fn hear_any(&self) -> bool {
        let mut inner = self.world.lock();
        (0..inner.node.wires.len()).any(|wire| inner.node.hear(wire))
    }

    fn armed_for(&mut self, actor: ActorId) -> How {
        let name = self.world.lock().parked.get(&actor).map(|parked| parked.call.name);
        let armed = self.armed.iter().position(|(call, _)| Some(*call) == name);
        armed.map_or(How::Done, |index| self.armed.remove(index).1)
    }
}

/// Whether a call of this kind can go so.
pub fn fits(how: How, kind: Kind) -> bool {
    match how {
        How::Done | How::Late | How::NotDone | How::Die => true,
        How::LostBefore => kind == Kind::Write,
        How::LostAfter => kind != Kind::Read,
        How::OnItsWay | How::Adrift => kind == Kind::Send,
        How::Zeros | How::OtherAmount | How::Flap => kind == Kind::Ask,
    }
}
