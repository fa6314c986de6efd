//! Every circumstance that the table looks at, by name: when each holds, and ([`names`]) how it is printed.

mod names;
mod product;

use super::*;
use crate::domain::payment::{StreamEvidence, StreamReport, decide_on_stream};

/// The state of an attempt, without its facts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttemptState {
    Reserved,
    Sending,
    InFlight,
    Paid,
    Failed,
    NeedsOperator,
}

/// What the node reports, without its facts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report {
    NotFound,
    InFlight,
    Succeeded,
    Failed,
    Refused,
    WrongProof,
    ResultLost,
    AnotherPayment,
    AlreadyExists,
    Error,
}

/// A condition beside state and report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Condition {
    /// Heard on a send's own stream, not by a lookup.
    Stream,
    BeforeWithdraw,
    NotBeforeWithdraw,
    BeforeAttempt,
    SinceAttempt,
    Settled,
    Unsettled,
    NotPassed,
    Passed,
    Over,
    Unwitnessed,
    WitnessInTime,
    NoTimeForWitness,
    TooLate,
    InTime,
    MaySend,
    MayNotSend,
    Halted,
    NotHalted,
    Noted,
    NotNoted,
    NeverSent,
    Sent,
    OneSend,
    SeveralSends,
    OnlyAnswer,
    NotOnlyAnswer,
    MayRepeat,
    MayNotRepeat,
    SomeRefusals,
    NoRefusals,
    Foreign,
    NotForeign,
    Free,
    NotFree,
    Marked,
    NotMarked,
    OtherNode,
    Forgetful,
}

/// An attempt and what is learned of it.
#[derive(Clone, Debug)]
pub struct Circumstance {
    pub state: AttemptState,
    pub payment: Payment,
    pub beside: RequestFacts,
    pub source: Source,
}

#[derive(Clone, Debug)]
pub enum Source {
    LookUp(LookupEvidence),
    Stream(StreamEvidence),
}

impl Condition {
    pub fn holds(self, of: &Circumstance) -> bool {
        let sends = &of.payment.sends;
        let age = of.age();
        let doubt = match of.payment.state {
            State::NeedsOperator { reason, .. } => Some(reason),
            _ => None,
        };
        let free = of.beside.active && !of.beside.open_or_paid;
        let marked = matches!(of.payment.state, State::Failed { late: Some(_), .. });
        let looked = |test: fn(&LookupEvidence) -> bool| match &of.source {
            Source::LookUp(look) => test(look),
            Source::Stream(_) => false,
        };
        let refusals = sends.iter().filter(|send| send.answer == Some(Answer::Refused)).count();
        let may_send = looked(|look| !look.too_late) && !of.beside.paid_late;
        let repeats = may_send && looked(|look| look.node_dedupes) && refusals < 3;
        let answered = sends.count() == 1 && sends.last().unwrap().answer == Some(Answer::Final);
        let only = match &of.source {
            Source::Stream(on) => answered && on.settled && !on.carried_over,
            Source::LookUp(_) => false,
        };
        let passed = looked(|look| {
            look.settled && matches!(look.pending, Pending::Over | Pending::Unwitnessed)
        });
        match self {
            Self::Stream => !looked(|_| true),
            Self::BeforeWithdraw => age == Some(Age::BeforeWithdraw),
            Self::NotBeforeWithdraw => age.is_some_and(|age| age != Age::BeforeWithdraw),
            Self::BeforeAttempt => age.is_some_and(|age| age != Age::Since),
            Self::SinceAttempt => age == Some(Age::Since),
            Self::Settled => looked(|look| look.settled),
            Self::Unsettled => looked(|look| !look.settled),
            Self::NotPassed => looked(|_| true) && !passed,
            Self::Passed => passed,
            Self::Over => passed && looked(|look| look.pending == Pending::Over),
            Self::Unwitnessed => passed && looked(|look| look.pending == Pending::Unwitnessed),
            Self::WitnessInTime => looked(|look| !look.too_late_for_a_witness),
            Self::NoTimeForWitness => looked(|look| look.too_late_for_a_witness),
            Self::TooLate => looked(|look| look.too_late),
            Self::InTime => looked(|look| !look.too_late),
            Self::MaySend => may_send,
            Self::MayNotSend => looked(|_| true) && !may_send,
            Self::Halted => looked(|look| look.halted),
            Self::NotHalted => looked(|look| !look.halted),
            Self::Noted => of.payment.noted.is_some(),
            Self::NotNoted => of.payment.noted.is_none(),
            Self::NeverSent => sends.count() == 0,
            Self::Sent => sends.count() > 0,
            Self::OneSend => sends.count() == 1,
            Self::SeveralSends => sends.count() > 1,
            Self::OnlyAnswer => only,
            Self::NotOnlyAnswer => !only,
            Self::MayRepeat => repeats,
            Self::MayNotRepeat => looked(|_| true) && !repeats,
            Self::SomeRefusals => refusals > 0,
            Self::NoRefusals => refusals == 0,
            Self::Foreign => doubt == Some(OperatorReason::Foreign),
            Self::NotForeign => doubt.is_some_and(|why| why != OperatorReason::Foreign),
            Self::Free => free,
            Self::NotFree => !free,
            Self::Marked => marked,
            Self::NotMarked => !marked,
            Self::OtherNode => looked(|look| look.trust == Trust::OtherNode),
            Self::Forgetful => looked(|look| look.trust == Trust::Forgetful),
        }
    }
}

impl Circumstance {
    pub fn next(&self) -> Next {
        match &self.source {
            Source::LookUp(look) => decide_on_lookup(&self.payment, look, self.beside),
            Source::Stream(on) => decide_on_stream(&self.payment, on, self.beside),
        }
    }

    pub fn word(&self) -> Option<NodeReport> {
        match &self.source {
            Source::LookUp(look) => Some(look.report),
            Source::Stream(on) => match on.report {
                StreamReport::NodeReport(word) => Some(word),
                StreamReport::AlreadyExists | StreamReport::Nothing => None,
            },
        }
    }

    pub fn says(&self) -> Report {
        match self.word() {
            Some(NodeReport::NotFound) => Report::NotFound,
            Some(NodeReport::InFlight(_)) => Report::InFlight,
            Some(NodeReport::Succeeded { .. }) => Report::Succeeded,
            Some(NodeReport::Failed(FailureReason::IncorrectPaymentDetails, _)) => Report::Refused,
            Some(NodeReport::Failed(..)) => Report::Failed,
            Some(NodeReport::Contradiction(OperatorReason::WrongPreimage, _)) => Report::WrongProof,
            Some(NodeReport::Contradiction(OperatorReason::ResultLost, _)) => Report::ResultLost,
            Some(NodeReport::Contradiction(..)) => Report::AnotherPayment,
            None => match &self.source {
                Source::Stream(StreamEvidence { report: StreamReport::Nothing, .. }) => {
                    Report::Error
                }
                Source::Stream(_) | Source::LookUp(_) => Report::AlreadyExists,
            },
        }
    }

    fn age(&self) -> Option<Age> {
        match self.word()? {
            NodeReport::NotFound => None,
            NodeReport::InFlight(age)
            | NodeReport::Succeeded { age, .. }
            | NodeReport::Failed(_, age)
            | NodeReport::Contradiction(_, age) => Some(age),
        }
    }
}

/// The reason of a failure that was noted: no word here has it.
pub const NOTED: FailureReason = FailureReason::Canceled;

pub use product::all;
