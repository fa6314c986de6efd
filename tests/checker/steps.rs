//! Every step that can be taken from a state. A step is one atomic effect: a transaction, a message
//! that arrives, a clock that moves on, a payer that dies.

use std::fmt;

use withdrawd::domain::payment::Next;

use super::{
    faults::{Fault, Faults, Mutation},
    inputs::{AttemptRows, Tampering, Written},
    invariants::{self, Violations},
    real::Real,
    state::{Decision, State, Worker},
};

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub faults: Faults,
    /// The most sends of each attempt: a bound of the search.
    pub sends: [u8; 2],
    pub mutation: Option<Mutation>,
}

impl Setting {
    pub fn has(self, fault: Fault) -> bool {
        self.faults.has(fault)
    }

    pub fn does(self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub fn tampering(self) -> Tampering {
        self.mutation.map_or(Tampering::No, Mutation::tampering)
    }
}

/// A step, described.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// With `{a}` for the attempt and `{n}` for the send.
    pub what: &'static str,
    pub a: u8,
    pub n: u8,
    pub next: Option<Next>,
    /// Whether it is a fault, which no path to an end may rely on.
    pub fault: bool,
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.what.replace("{a}", ["A", "B"][usize::from(self.a & 1)]);
        f.write_str(&what.replace("{n}", &(self.n + 1).to_string()))?;
        match self.next {
            None => Ok(()),
            Some(Next::Stay) => f.write_str(" → nothing"),
            Some(Next::Send) => f.write_str(" → send"),
            Some(Next::Witness) => f.write_str(" → make a witness"),
            Some(Next::Note(why)) => write!(f, " → note {}", why.name()),
            Some(Next::InFlight) => f.write_str(" → IN_FLIGHT"),
            Some(Next::Pay { .. }) => f.write_str(" → PAID"),
            Some(Next::Fail(why)) => write!(f, " → FAILED {}", why.name()),
            Some(Next::Doubt(why)) => write!(f, " → NEEDS_OPERATOR {}", why.name()),
            Some(Next::LateSuccess { .. }) => f.write_str(" → LATE_SUCCESS"),
        }
    }
}

/// Where a step leads, and what it breaks.
#[derive(Clone, Copy, Debug)]
pub struct Successor {
    pub to: State,
    pub label: Label,
    pub broken: Violations,
}

/// Collects steps.
pub struct Steps<'a> {
    pub setting: Setting,
    pub real: &'a Real,
    pub from: State,
    list: &'a mut Vec<Successor>,
}

/// Fills `list` with all steps from a state.
pub fn all(setting: Setting, real: &Real, from: State, list: &mut Vec<Successor>) {
    list.clear();
    let mut steps = Steps { setting, real, from, list };
    steps.wallets_and_people();
    steps.time();
    steps.nodes();
    for worker in 0..steps.from.workers.len() {
        // Two payers in the same place would do the same.
        if worker == 0 || from.workers[worker] != from.workers[worker - 1] {
            steps.worker(worker);
        }
    }
}

impl Steps<'_> {
    pub fn add(&mut self, what: &'static str, (a, n): (u8, u8), to: State) {
        self.push(Label { what, a, n, next: None, fault: false }, to, Violations::default());
    }

    pub fn fault(&mut self, what: &'static str, (a, n): (u8, u8), to: State) {
        self.push(Label { what, a, n, next: None, fault: true }, to, Violations::default());
    }

    /// A step that may break an invariant by itself.
    pub fn push(&mut self, label: Label, to: State, broken: Violations) {
        let broken = broken.and(invariants::broken(&self.from, &to));
        self.list.push(Successor { to: to.canonical(), label, broken });
    }

    pub fn pair(&self, a: u8) -> AttemptRows {
        AttemptRows::new(a, self.from.attempts[usize::from(a)], self.from.request)
    }
}

impl State {
    /// Writes the rows of attempt `a` and of its request. A payer that has read them and is about to write
    /// them is too late, and becomes idle.
    #[must_use]
    pub fn write(mut self, a: u8, written: Written) -> Self {
        let rpcs = self.attempts[usize::from(a)].sends;
        let attempt = &mut self.attempts[usize::from(a)];
        *attempt = written.attempt;
        for (send, rpc) in attempt.sends.iter_mut().zip(rpcs) {
            (send.on_its_way, send.accepted) = (rpc.on_its_way, rpc.accepted);
        }
        self.outdate(|of, _| of == a);
        match written.request {
            Some(request) => self.write_request(request),
            None => self,
        }
    }

    #[must_use]
    pub fn write_request(mut self, request: super::state::Request) -> Self {
        self.request = request;
        // These write nothing but the attempt.
        self.outdate(|_, decision| !matches!(decision, Decision::Note | Decision::InFlight));
        self
    }

    fn outdate(&mut self, is_outdated: impl Fn(u8, Decision) -> bool) {
        for worker in &mut self.workers {
            if let Worker::Decided { a, decision } = *worker
                && is_outdated(a, decision)
            {
                *worker = Worker::Idle;
            }
        }
    }

    #[must_use]
    pub fn with(mut self, worker: usize, becomes: Worker) -> Self {
        self.workers[worker] = becomes;
        self
    }
}
