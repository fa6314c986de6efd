//! Draws a history from a seed. Each history has only some kinds of faults, so that rare ones coincide in
//! some histories. Faults that the node's contract excludes are never drawn.

use withdrawd::domain::{State, payment::RecordState};

use super::{
    history::History,
    rng::Rng,
    schedule::fits,
    step::{CallKind, Completion, End, Step},
    world::{Parked, REPLICAS},
};

/// Whose clock may be wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WrongClock {
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
    /// The probability, in percent, that the actor that ran last runs on.
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
    wrong_clock: WrongClock,
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
                0 => WrongClock::Replicas,
                1 => WrongClock::Database,
                _ => WrongClock::Nobody,
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
        history.apply(Step::Claim { replica: 0, withdraw: 9, invoice: 0 });
        history.apply(Step::PayFromElsewhere { invoice: 0 });
        history.apply(Step::EndPayment { invoice: 0, end: End::NoRoute });
        history.apply(Step::Advance { ms: 12_000 });
        history.apply(Step::Claim { replica: 0, withdraw: 0, invoice: 0 });
    }
    for number in 0..profile.steps {
        if history.is_broken() {
            return;
        }
        if let Some((from, more)) = profile.loses_commits {
            match number {
                _ if number == from => history.apply(Step::DetachStandby),
                _ if number == from + more => history.apply(Step::PromoteStandby),
                _ => {}
            }
        }
        let step = draw(history, &profile, rng);
        history.apply(step);
    }
}

fn draw(history: &History, profile: &Profile, rng: &mut Rng) -> Step {
    if rng.chance(65)
        && let Some(step) = next_call(history, profile, rng)
    {
        return step;
    }
    let mut from = Weighted::default();
    client_steps(history, profile, rng, &mut from);
    network_steps(history, profile, rng, &mut from);
    process_steps(history, profile, rng, &mut from);
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
fn next_call(history: &History, profile: &Profile, rng: &mut Rng) -> Option<Step> {
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
    let how = inner.parked.get(&actor).map_or(Completion::Done, |parked| how(parked, profile, rng));
    Some(Step::Run { actor, how })
}

fn how(parked: &Parked, profile: &Profile, rng: &mut Rng) -> Completion {
    let kind = parked.call.kind;
    let mut may = vec![(70, Completion::Done), (6, Completion::Late)];
    if profile.crashes {
        may.push((2, Completion::Die));
    }
    match kind {
        CallKind::Read | CallKind::Write if profile.store_faults => {
            may.extend([
                (3, Completion::NotDone),
                (3, Completion::LostBefore),
                (5, Completion::LostAfter),
            ]);
        }
        CallKind::Ask if profile.answers_lost => {
            may.extend([(4, Completion::NotDone), (4, Completion::LostAfter)]);
        }
        CallKind::Send if profile.answers_lost => {
            may.extend([(12, Completion::NotDone), (12, Completion::LostAfter)]);
        }
        _ => {}
    }
    if kind == CallKind::Send && profile.slow_sends {
        may.extend([(30, Completion::OnItsWay), (50, Completion::OnItsWayButLost)]);
    }
    if kind == CallKind::Ask {
        may.push((3, Completion::FailedAsInFlight));
        if profile.lies {
            may.extend([(4, Completion::ZeroPreimage), (3, Completion::OtherAmount)]);
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
    Completion::Done
}

fn client_steps(history: &History, profile: &Profile, rng: &mut Rng, from: &mut Weighted) {
    let replica = rng.below(profile.replicas);
    let created = history.created.lock().unwrap().len();
    let inner = history.world.lock();
    let invoices = inner.node.invoices.len();
    let withdraw = rng.below(created);
    // A new invoice, or one that was seen before: a re-tap, a race, or a thief's copy.
    let invoice = if invoices > 0 && rng.chance(35) { rng.below(invoices) } else { invoices };
    let busy = inner.parked.len() > 4;
    let free = inner.mirror.withdraws.values().any(|withdraw| withdraw.claimable);
    let open: Vec<_> = inner.mirror.payments.values().map(|payment| payment.state).collect();
    let open = open.iter().any(State::is_open);
    from.add(if free && !busy { 14 } else { 2 }, Step::Claim { replica, withdraw, invoice });
    from.add(1, Step::Offer { replica, withdraw });
    from.add(1, Step::Deactivate { replica, withdraw });
    from.add(if open && !busy { 22 } else { 1 }, Step::RunPayer { replica });
    from.add(1, Step::MarkExpired { replica });
    from.add(1, Step::Heartbeat { replica });
    from.add(1, Step::VerifyDatabase { replica });
    if profile.halts {
        from.add(2, Step::SwitchInstance { replica, on: rng.chance(50) });
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
        from.add(2, Step::DelayNextReading { ms: rng.pick(&[900, 20_000, 90_000, 7_200_000]) });
    }
}

fn network_steps(history: &History, profile: &Profile, rng: &mut Rng, from: &mut Weighted) {
    let inner = history.world.lock();
    for (request, asked) in inner.node.requests.iter().enumerate() {
        if profile.doubles && !asked.copy {
            from.add(1, Step::Duplicate { request });
        }
        if asked.over {
            continue;
        }
        if asked.checked_ms.is_some() {
            from.add(6, Step::StoreRequest { request });
            continue;
        }
        from.add(8, Step::DeliverRequest { request, slow: rng.chance(30) });
        from.add(1, Step::LoseRequest { request });
        if profile.refusals {
            from.add(3, Step::RefuseRequest { request });
        }
    }
    for (number, stream) in inner.node.streams.iter().enumerate().filter(|(_, stream)| stream.open)
    {
        if !stream.on_its_way.is_empty() {
            from.add(12, Step::DeliverStreamItem { stream: number });
        }
        if profile.answers_lost {
            from.add(2, Step::CutStream { stream: number, error: rng.chance(50) });
        }
    }
    for invoice in 0..inner.node.invoices.len() {
        if inner.is_pending(invoice) {
            let end = rng.pick(&[End::Settled, End::Settled, End::NoRoute, End::Refused]);
            from.add(8, Step::EndPayment { invoice, end });
            if profile.loses_results {
                let end = rng.pick(&[End::SettledAndLost, End::FailedAndLost]);
                from.add(3, Step::EndPayment { invoice, end });
            }
        }
        if profile.foreign && rng.chance(20) {
            from.add(1, Step::PayFromElsewhere { invoice });
        }
        let entry = inner.node.records[inner.node.endpoint].get(&invoice);
        let failed =
            entry.is_some_and(|entry| matches!(entry.record.state, RecordState::Failed(_)));
        if profile.forgets && failed {
            from.add(3, Step::DeleteRecord { invoice });
        }
    }
}

fn process_steps(history: &History, profile: &Profile, rng: &mut Rng, from: &mut Weighted) {
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
        from.add(2, Step::StallNode { on: false });
    } else if profile.stalls {
        from.add(4, Step::StallNode { on: true });
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
        WrongClock::Nobody => {}
        WrongClock::Replicas => {
            from.add(3, Step::SetClock { replica: rng.below(profile.replicas), ms });
        }
        WrongClock::Database => from.add(3, Step::SetDatabaseClock { ms }),
    }
}
