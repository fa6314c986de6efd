//! What must hold in every state and in every step.

use std::fmt;

use withdrawd::domain::Status;

use super::state::{Attempt, PaidBy, Record, RequestHold, Stage, State};

/// What must never be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Invariant {
    PaidTwice,
    FailedYetPaid,
    PaidNotPaid,
    OnePaymentTwice,
    TwoOpen,
    RowsDisagree,
    PaidChanged,
    ReleasedTooEarly,
    PaidNotActive,
    PaidByOlder,
    SentUncommitted,
    AskedTwice,
    NoEnd,
}

impl Invariant {
    pub const ALL: [Self; 13] = [
        Self::PaidTwice,
        Self::FailedYetPaid,
        Self::PaidNotPaid,
        Self::OnePaymentTwice,
        Self::TwoOpen,
        Self::RowsDisagree,
        Self::PaidChanged,
        Self::ReleasedTooEarly,
        Self::PaidNotActive,
        Self::PaidByOlder,
        Self::SentUncommitted,
        Self::AskedTwice,
        Self::NoEnd,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PaidTwice => "both payees of one request were paid by us",
            Self::FailedYetPaid => "FAILED, yet our send paid",
            Self::PaidNotPaid => "PAID, and the payee has nothing",
            Self::OnePaymentTwice => "one payment counts for two attempts",
            Self::TwoOpen => "two attempts are open or PAID",
            Self::RowsDisagree => "the request and its attempts tell different stories",
            Self::PaidChanged => "PAID changed",
            Self::ReleasedTooEarly => "the request was let go while our payment may still happen",
            Self::PaidNotActive => "a request was paid that was not ACTIVE",
            Self::PaidByOlder => "PAID by a payment that is older than the request",
            Self::SentUncommitted => "the node was asked before the send was committed",
            Self::AskedTwice => "the node was asked to pay what it already pays for us",
            Self::NoEnd => "an attempt can never end",
        })
    }
}

/// A set of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Violations(u16);

impl Violations {
    pub fn add(&mut self, invariant: Invariant, is_broken: bool) {
        self.0 |= u16::from(is_broken) << invariant as u16;
    }

    pub fn when(invariant: Invariant, is_broken: bool) -> Self {
        let mut broken = Self::default();
        broken.add(invariant, is_broken);
        broken
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn has(self, invariant: Invariant) -> bool {
        self.0 & (1 << invariant as u16) != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// What a step into `to` breaks.
pub fn broken(from: &State, to: &State) -> Violations {
    let mut broken = Violations::default();
    in_state(to, &mut broken);
    // What a restore takes back has happened all the same; only what follows counts.
    if from.budget.restores == to.budget.restores {
        for a in 0..2 {
            in_step(from, to, a, &mut broken);
        }
    }
    broken
}

fn in_state(state: &State, broken: &mut Violations) {
    let ours = state.records.iter().filter(|record| PaidBy::OURS.contains(&record.paid));
    broken.add(Invariant::PaidTwice, ours.count() > 1);
    for (a, attempt) in state.attempts.iter().enumerate() {
        let paid = record(state, attempt).paid;
        let failed = attempt.stage.is_failed();
        broken.add(Invariant::FailedYetPaid, failed && paid == PaidBy::OURS[a]);
        let is_paid = attempt.stage == Stage::Paid;
        broken.add(Invariant::PaidNotPaid, is_paid && paid == PaidBy::ByNobody);
        let counts = is_paid || attempt.stage == Stage::LateSuccess;
        broken.add(Invariant::OnePaymentTwice, counts && paid == PaidBy::OURS[1 - a]);
    }
    let holds = |attempt: &Attempt| attempt.stage.is_open() || attempt.stage == Stage::Paid;
    broken.add(Invariant::TwoOpen, state.attempts.iter().all(holds));
    broken.add(Invariant::RowsDisagree, !rows_agree(state));
}

fn record(state: &State, attempt: &Attempt) -> Record {
    state.records[usize::from(attempt.invoice)]
}

fn rows_agree(state: &State) -> bool {
    let request = &state.request;
    let held_by = |a: u8| match state.attempts[usize::from(a)].stage {
        at if at.is_followed() => RequestHold::Open,
        at if at.is_in_doubt() => RequestHold::InDoubt,
        Stage::Unclaimed => RequestHold::Never,
        _ => RequestHold::Released,
    };
    let mut agree = request.held == held_by(request.attempt);
    agree &= matches!(held_by(1 - request.attempt), RequestHold::Never | RequestHold::Released);
    let paid = state.attempts.iter().any(|attempt| attempt.stage == Stage::Paid);
    agree && paid == (request.status == Status::Paid)
}

fn in_step(from: &State, to: &State, a: usize, broken: &mut Violations) {
    let (before, after) = (&from.attempts[a], &to.attempts[a]);
    let (was, now) = (before.stage, after.stage);
    broken.add(Invariant::PaidChanged, was == Stage::Paid && now != Stage::Paid);

    let record = record(to, after);
    let moves = record.node_state.is_moving() && usize::from(record.owner / 4) == a;
    let may_happen = moves || after.sends.iter().any(|send| send.may_arrive());
    let released = was.is_open() && now.is_failed();
    broken.add(Invariant::ReleasedTooEarly, released && may_happen);

    let settled = from.records[usize::from(after.invoice)].paid != record.paid;
    let pays = settled && record.paid == PaidBy::OURS[a] || was != now && now == Stage::Paid;
    broken.add(Invariant::PaidNotActive, pays && from.request.status != Status::Active);
}
