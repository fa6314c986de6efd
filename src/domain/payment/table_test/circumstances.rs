//! Every circumstance that the table looks at, and words for them: each word says in one place what it
//! means and how it is printed.

mod names;
mod product;

use super::*;
use crate::domain::payment::{Heard, OnStream, heard};

/// Where an attempt stands, without its facts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum From {
    Reserved,
    Sending,
    InFlight,
    Paid,
    Failed,
    NeedsOperator,
}

/// What is said, without its facts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Says {
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

/// A condition beside state and word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// Heard on a send's own stream, not by a look-up.
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

/// An attempt and what is heard of it.
#[derive(Clone, Debug)]
pub struct Circumstance {
    pub from: From,
    pub payment: Payment,
    pub beside: Beside,
    pub hears: Hears,
}

#[derive(Clone, Debug)]
pub enum Hears {
    LookUp(LookedUp),
    Stream(OnStream),
}

impl When {
    pub fn holds(self, of: &Circumstance) -> bool {
        let sends = &of.payment.sends;
        let age = of.age();
        let doubt = match of.payment.state {
            State::NeedsOperator { reason, .. } => Some(reason),
            _ => None,
        };
        let free = of.beside.active && !of.beside.open_or_paid;
        let marked = matches!(of.payment.state, State::Failed { late: Some(_), .. });
        let looked = |test: fn(&LookedUp) -> bool| match &of.hears {
            Hears::LookUp(look) => test(look),
            Hears::Stream(_) => false,
        };
        let refusals = sends.iter().filter(|send| send.answer == Some(Answer::Refused)).count();
        let may_send = looked(|look| !look.too_late) && !of.beside.paid_late;
        let repeats = may_send && looked(|look| look.node_dedupes) && refusals < 3;
        let answered = sends.count() == 1 && sends.last().unwrap().answer == Some(Answer::Final);
        let only = match &of.hears {
            Hears::Stream(on) => answered && on.settled && !on.carried_over,
            Hears::LookUp(_) => false,
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
        match &self.hears {
            Hears::LookUp(look) => looked_up(&self.payment, look, self.beside),
            Hears::Stream(on) => heard(&self.payment, on, self.beside),
        }
    }

    pub fn word(&self) -> Option<Word> {
        match &self.hears {
            Hears::LookUp(look) => Some(look.word),
            Hears::Stream(on) => match on.heard {
                Heard::Word(word) => Some(word),
                Heard::AlreadyExists | Heard::Nothing => None,
            },
        }
    }

    pub fn says(&self) -> Says {
        match self.word() {
            Some(Word::NotFound) => Says::NotFound,
            Some(Word::InFlight(_)) => Says::InFlight,
            Some(Word::Succeeded { .. }) => Says::Succeeded,
            Some(Word::Failed(FailureReason::IncorrectPaymentDetails, _)) => Says::Refused,
            Some(Word::Failed(..)) => Says::Failed,
            Some(Word::Contradiction(OperatorReason::WrongPreimage, _)) => Says::WrongProof,
            Some(Word::Contradiction(OperatorReason::ResultLost, _)) => Says::ResultLost,
            Some(Word::Contradiction(..)) => Says::AnotherPayment,
            None => match &self.hears {
                Hears::Stream(OnStream { heard: Heard::Nothing, .. }) => Says::Error,
                Hears::Stream(_) | Hears::LookUp(_) => Says::AlreadyExists,
            },
        }
    }

    fn age(&self) -> Option<Age> {
        match self.word()? {
            Word::NotFound => None,
            Word::InFlight(age)
            | Word::Succeeded { age, .. }
            | Word::Failed(_, age)
            | Word::Contradiction(_, age) => Some(age),
        }
    }
}

/// The reason of a failure that was noted: no word here has it.
pub const NOTED: FailureReason = FailureReason::Canceled;

pub use product::all;
