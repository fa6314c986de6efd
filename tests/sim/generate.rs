//! Draws a history from a seed. Each history has faults of some kinds only, so that rare ones meet
//! in some of them, and none of those that the contract excludes.

use withdrawd::domain::{State, payment::RecordState};

use super::{
    history::History,
    rng::Rng,
    schedule::fits,
    step::{End, How, Kind, Step},
    world::{Parked, REPLICAS},
};

/// Whose clock may be wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nobody,
    Replicas,
    Database,
}

/// What may happen in one history.
#[expect(clippy::struct_excessive_bools, reason = "kinds of faults, each given or not")]
pub struct Profile {
    replicas: usize,
    withdraws: usize,
    steps: usize,
    /// How often an actor runs on, in percent.
    hurry: usize,
    crashes: bool,
    store_faults: bool,
    answers_lost: bool,
    slow_sends: bool,
    refusals: bool,
    stalls: bool,
    loses_results: bool,
    unreachable: bool,
    lies: bool,
    doubles: bool,
    foreign: bool,
    forgets: bool,
    wipes: bool,
    switches: bool,
    halts: bool,
    pauses: bool,
    wrong_clock: Wrong,
    /// A standby that lags is promoted: from which step on, and after how many more.
    loses_commits: Option<(usize, usize)>,
}

impl Profile {
    pub fn draw(rng: &mut Rng) -> Self {
        let often = 60;
        let seldom = 15;
        Self {
            replicas: 1 + rng.below(REPLICAS),
            withdraws: 1 + rng.below(3),
            steps: 40 + rng.below(110),
            hurry: rng.pick(&[5, 20, 40]),
            crashes: rng.chance(often),
            store_faults: rng.chance(often),
            answers_lost: rng.chance(often),
            slow_sends: rng.chance(often),
            refusals: rng.chance(40),
            stalls: rng.chance(25),
            loses_results: rng.chance(seldom),
            unreachable: rng.chance(30),
            lies: rng.chance(seldom),
            doubles: rng.chance(seldom),
            foreign: rng.chance(25),
            forgets: rng.chance(30),
            wipes: rng.chance(seldom),
            switches: rng.chance(seldom),
            halts: rng.chance(seldom),
            pauses: rng.chance(30),
            wrong_clock: match rng.below(8) {
                0 => Wrong::Replicas,
                1 => Wrong::Database,
                _ => Wrong::Nobody,
            },
            loses_commits: rng.chance(10).then(|| (rng.below(60), 1 + rng.below(30))),
        }
    }
}

/// Draws one step after the other and makes it.
pub fn run(history: &mut History, rng: &mut Rng) {
    let profile = Profile::draw(rng);
    // In most histories the processes have started well.
    if rng.chance(80) {
        history.apply(Step::Drain);
    }
    for _ in 0..profile.withdraws {
        history.apply(Step::Create { replica: 0 });
    }
    if !profile.store_faults {
        history.apply(Step::Drain);
    }
    if profile.foreign && rng.chance(70) {
        // Other software has tried before, in vain.
        history.apply(Step::Tap { replica: 0, withdraw: 9, invoice: 0 });
        history.apply(Step::Foreign { invoice: 0 });
        history.apply(Step::Finish { invoice: 0, end: End::NoRoute });
        history.apply(Step::Advance { ms: 12_000 });
        history.apply(Step::Tap { replica: 0, withdraw: 0, invoice: 0 });
    }
    for number in 0..profile.steps {
        if history.is_broken() {
            return;
        }
        if let Some((from, more)) = profile.loses_commits {
            match number {
                _ if number == from => history.apply(Step::KeepDatabase),
                _ if number == from + more => history.apply(Step::FailOver),
                _ => {}
            }
        }
        let step = draw(history, &profile, rng);
        history.apply(step);
    }
}

fn draw(history: &History, profile: &Profile, rng: &mut Rng) -> Step {
    if rng.chance(65)
        && let Some(step) = somebody_runs(history, profile, rng)
    {
        return step;
    }
    let mut from = Weighted::default();
    people(history, profile, rng, &mut from);
    the_network(history, profile, rng, &mut from);
    the_machines(history, profile, rng, &mut from);
    from.pick(rng)
}

#[derive(Default)]
struct Weighted(Vec<(usize, Step)>);

impl Weighted {
    fn add(&mut self, weight: usize, step: Step) {
        self.0.push((weight, step));
    }

    fn pick(&self, rng: &mut Rng) -> Step {
        let mut at = rng.below(self.0.iter().map(|(weight, _)| weight).sum());
        for (weight, step) in &self.0 {
            if at < *weight {
                return *step;
            }
            at -= weight;
        }
        Step::Drain
    }
}

/// A call is made, an answer arrives, or a sleeper wakes.
fn somebody_runs(history: &History, profile: &Profile, rng: &mut Rng) -> Option<Step> {
    let inner = history.world.lock();
    let rested = inner.sleeping.keys().copied().filter(|actor| inner.is_rested(*actor));
    let able: Vec<_> = inner.parked.keys().copied().chain(rested).collect();
    if able.is_empty() {
        return None;
    }
    // Mostly one goes on for a while: histories get somewhere.
    let same = able.contains(&history.last) && rng.chance(55);
    let actor = if same { history.last } else { rng.pick(&able) };
    if rng.chance(profile.hurry) && inner.parked.contains_key(&actor) {
        return Some(Step::RunOn { actor });
    }
    let how = inner.parked.get(&actor).map_or(How::Done, |parked| how(parked, profile, rng));
    Some(Step::Run { actor, how })
}

fn how(parked: &Parked, profile: &Profile, rng: &mut Rng) -> How {
    let kind = parked.call.kind;
    let mut may = vec![(70, How::Done), (6, How::Late)];
    if profile.crashes {
        may.push((2, How::Die));
    }
    match kind {
        Kind::Read | Kind::Write if profile.store_faults => {
            may.extend([(3, How::NotDone), (3, How::LostBefore), (5, How::LostAfter)]);
        }
        Kind::Ask if profile.answers_lost => may.extend([(4, How::NotDone), (4, How::LostAfter)]),
        Kind::Send if profile.answers_lost => {
            may.extend([(12, How::NotDone), (12, How::LostAfter)]);
        }
        _ => {}
    }
    if kind == Kind::Send && profile.slow_sends {
        may.extend([(30, How::OnItsWay), (50, How::Adrift)]);
    }
    if kind == Kind::Ask {
        may.push((3, How::Flap));
        if profile.lies {
            may.extend([(4, How::Zeros), (3, How::OtherAmount)]);
        }
    }
    may.retain(|(_, how)| fits(*how, kind));
    let mut at = rng.below(may.iter().map(|(weight, _)| weight).sum());
    for (weight, how) in may {
        if at < weight {
            return how;
        }
        at -= weight;
    }
    How::Done
}

fn people(history: &History, profile: &Profile, rng: &mut Rng, from: &mut Weighted) {
    let replica = rng.below(profile.replicas);
    let created = history.created.lock().unwrap().len();
    let inner = history.world.lock();
    let invoices = inner.node.invoices.len();
    let withdraw = rng.below(created);
    // A new invoice, or one that was seen before: a re-tap, a race, or a thief's copy.
    let invoice = if invoices > 0 && rng.chance(35) { rng.below(invoices) } else { invoices };
    let busy = inner.parked.len() > 4;
    let free = inner.books.withdraws.values().any(|withdraw| withdraw.claimable);
    let open: Vec<_> = inner.books.payments.values().map(|payment| payment.state).collect();
    let open = open.iter().any(State::is_open);
    from.add(if free && !busy { 14 } else { 2 }, Step::Tap { replica, withdraw, invoice });
    from.add(1, Step::Offer { replica, withdraw });
    from.add(1, Step::Deactivate { replica, withdraw });
    from.add(if open && !busy { 22 } else { 1 }, Step::Pass { replica });
    from.add(1, Step::Expire { replica });
    from.add(1, Step::Beat { replica });
    from.add(1, Step::VerifyDatabase { replica });
    if profile.halts {
        from.add(2, Step::Halt { replica, on: rng.chance(50) });
    }
    // While a request is on its way, the next seconds matter most.
    let soon = rng.chance(60) && inner.node.requests.iter().any(|request| !request.over);
    let spans: &[i64] = if soon {
        &[700, 700, 2_000, 6_000]
    } else {
        &[700, 700, 700, 2_000, 6_000, 16_000, 31_000, 61_000, 90_000, 100_000]
    };
    from.add(if open { 10 } else { 2 }, Step::Advance { ms: rng.pick(spans) });
    if rng.chance(30) {
        from.add(1, Step::Advance { ms: rng.pick(&[600_000, 3_700_000, 90_000_000]) });
    }
    if profile.pauses {
        from.add(2, Step::Pause { ms: rng.pick(&[900, 20_000, 90_000, 7_200_000]) });
    }
}

fn the_network(history: &History, profile: &Profile, rng: &mut Rng, from: &mut Weighted) {
    let inner = history.world.lock();
    for (request, asked) in inner.node.requests.iter().enumerate() {
        if profile.doubles && !asked.copy {
            from.add(1, Step::Double { request });
        }
        if asked.over {
            continue;
        }
        if asked.checked_ms.is_some() {
            from.add(6, Step::Store { request });
            continue;
        }
        from.add(8, Step::Arrive { request, slow: rng.chance(30) });
        from.add(1, Step::Lose { request });
        if profile.refusals {
            from.add(3, Step::Refuse { request });
        }
    }
    for (stream, wire) in inner.node.wires.iter().enumerate().filter(|(_, wire)| wire.open) {
        if !wire.told.is_empty() {
            from.add(12, Step::Hear { stream });
        }
        if profile.answers_lost {
            from.add(2, Step::Cut { stream, error: rng.chance(50) });
        }
    }
    for invoice in 0..inner.node.invoices.len() {
        if inner.is_pending(invoice) {
            let end = rng.pick(&[End::Settled, End::Settled, End::NoRoute, End::Refused]);
            from.add(8, Step::Finish { invoice, end });
            if profile.loses_results {
                let end = rng.pick(&[End::SettledAndLost, End::FailedAndLost]);
                from.add(3, Step::Finish { invoice, end });
            }
        }
        if profile.foreign && rng.chance(20) {
            from.add(1, Step::Foreign { invoice });
        }
        let entry = inner.node.records[inner.node.endpoint].get(&invoice);
        let failed =
            entry.is_some_and(|entry| matches!(entry.record.state, RecordState::Failed(_)));
        if profile.forgets && failed {
            from.add(3, Step::Forget { invoice });
        }
    }
}

fn the_machines(history: &History, profile: &Profile, rng: &mut Rng, from: &mut Weighted) {
    for replica in 0..profile.replicas {
        if history.replicas[replica].is_none() {
            from.add(12, Step::Start { replica });
        } else if profile.crashes {
            from.add(2, Step::Crash { replica });
        }
    }
    from.add(1, Step::NodeRestart);
    let stalled = history.world.lock().node.stalled;
    if stalled {
        from.add(2, Step::Stall { on: false });
    } else if profile.stalls {
        from.add(4, Step::Stall { on: true });
    }
    let reachable = history.world.lock().node.reachable;
    if !reachable {
        from.add(8, Step::NodeReachable { reachable: true });
    } else if profile.unreachable {
        from.add(2, Step::NodeReachable { reachable: false });
    }
    if profile.switches {
        from.add(3, Step::NodeSwitch);
    }
    if profile.wipes {
        from.add(3, Step::NodeWipe);
    }
    let ms = rng.pick(&[-7_200_000, -90_000, -20_000, 20_000, 90_000, 7_200_000]);
    match profile.wrong_clock {
        Wrong::Nobody => {}
        Wrong::Replicas => {
            from.add(3, Step::Jump { replica: rng.below(profile.replicas), ms });
        }
        Wrong::Database => from.add(3, Step::JumpDatabase { ms }),
    }
}
