//! Every circumstance that the table looks at, and words for them: each word says in one place what it
//! means and how it is printed.

use super::*;
use crate::domain::payment::{Heard, heard};

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
    Over,
    NotOver,
    TooLate,
    InTime,
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
    SomeErrors,
    NoErrors,
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
    Stream(Heard),
}

impl From {
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserved => "RESERVED",
            Self::Sending => "SENDING",
            Self::InFlight => "IN_FLIGHT",
            Self::Paid => "PAID",
            Self::Failed => "FAILED",
            Self::NeedsOperator => "NEEDS_OPERATOR",
        }
    }
}

impl Says {
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::InFlight => "in flight",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refused => "failed with `INCORRECT_PAYMENT_DETAILS`",
            Self::WrongProof => "succeeded, the preimage does not fit",
            Self::AnotherPayment => "about another hash or amount",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Error => "error, timeout, end of stream",
        }
    }
}

impl When {
    pub fn name(self) -> &'static str {
        match self {
            Self::Stream => "on its stream",
            Self::BeforeWithdraw => "older than the withdraw",
            Self::NotBeforeWithdraw => "younger than the withdraw",
            Self::BeforeAttempt => "older than the attempt",
            Self::SinceAttempt => "younger than the attempt",
            Self::Over => "every send over before the look-up",
            Self::NotOver => "a send not over",
            Self::TooLate => "no send allowed any more",
            Self::InTime => "a send still allowed",
            Self::Noted => "a failure noted",
            Self::NotNoted => "no failure noted",
            Self::NeverSent => "never sent",
            Self::Sent => "sent",
            Self::OneSend => "one send",
            Self::SeveralSends => "several sends",
            Self::OnlyAnswer => "its only send answered by this",
            Self::NotOnlyAnswer => "another send, or none on record, is answered by this",
            Self::MayRepeat => "a send still allowed, fewer than 3 errors, the node dedupes",
            Self::MayNotRepeat => "too late, or 3 errors, or the node does not dedupe",
            Self::SomeErrors => "some send answered with an error",
            Self::NoErrors => "no send answered with an error",
            Self::Foreign => "reason `FOREIGN`",
            Self::NotForeign => "another reason than `FOREIGN`",
            Self::Free => "request ACTIVE, no other attempt open or PAID",
            Self::NotFree => "request not ACTIVE, or another attempt open or PAID",
            Self::Marked => "marked LATE_SUCCESS before",
            Self::NotMarked => "not marked before",
            Self::OtherNode => "from another node",
            Self::Forgetful => "from a node that lost its memory",
        }
    }

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
        let errors = sends.iter().filter(|send| send.answer == Some(Answer::Error)).count();
        let repeats = looked(|look| !look.too_late && look.node_dedupes) && errors < 3;
        let only = sends.count() == 1 && sends.last().unwrap().answer == Some(Answer::Final);
        match self {
            Self::Stream => !looked(|_| true),
            Self::BeforeWithdraw => age == Some(Age::BeforeWithdraw),
            Self::NotBeforeWithdraw => age.is_some_and(|age| age != Age::BeforeWithdraw),
            Self::BeforeAttempt => age.is_some_and(|age| age != Age::Since),
            Self::SinceAttempt => age == Some(Age::Since),
            Self::Over => looked(|look| look.over),
            Self::NotOver => looked(|look| !look.over),
            Self::TooLate => looked(|look| look.too_late),
            Self::InTime => looked(|look| !look.too_late),
            Self::Noted => of.payment.noted.is_some(),
            Self::NotNoted => of.payment.noted.is_none(),
            Self::NeverSent => sends.count() == 0,
            Self::Sent => sends.count() > 0,
            Self::OneSend => sends.count() == 1,
            Self::SeveralSends => sends.count() > 1,
            Self::OnlyAnswer => only,
            Self::NotOnlyAnswer => !only,
            Self::MayRepeat => repeats,
            Self::MayNotRepeat => !repeats,
            Self::SomeErrors => errors > 0,
            Self::NoErrors => errors == 0,
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
            Hears::Stream(says) => heard(&self.payment, *says, self.beside),
        }
    }

    pub fn word(&self) -> Option<Word> {
        match &self.hears {
            Hears::LookUp(look) => Some(look.word),
            Hears::Stream(Heard::Word(word)) => Some(*word),
            Hears::Stream(Heard::AlreadyExists | Heard::Nothing) => None,
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
            Some(Word::Contradiction(..)) => Says::AnotherPayment,
            None if matches!(self.hears, Hears::Stream(Heard::Nothing)) => Says::Error,
            None => Says::AlreadyExists,
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
const BOTH: [bool; 2] = [false, true];

/// All of them: what a state does not look at is varied as well, a little.
pub fn all() -> Vec<Circumstance> {
    let mut all = Vec::new();
    for (from, state, answers) in attempts() {
        for noted in BOTH {
            let noted = noted.then_some(NOTED);
            let payment = Payment { noted, ..sent(state, &answers) };
            for beside in besides(from) {
                for hears in hearings(from, !answers.is_empty()) {
                    all.push(Circumstance { from, payment: payment.clone(), beside, hears });
                }
            }
        }
    }
    all
}

fn attempts() -> Vec<(From, State, Vec<Option<Answer>>)> {
    let few = || answers_up_to(1).into_iter().chain([vec![None, None]]);
    let mut all = vec![(From::Reserved, State::Reserved, Vec::new())];
    let was_sent = |answers: &Vec<Option<Answer>>| !answers.is_empty();
    let sending = answers_up_to(3).into_iter().filter(was_sent);
    all.extend(sending.map(|answers| (From::Sending, State::Sending, answers)));
    let in_flight = answers_up_to(2).into_iter().filter(was_sent);
    all.extend(in_flight.map(|answers| (From::InFlight, State::InFlight, answers)));
    all.extend(few().map(|answers| (From::Paid, paid(), answers)));
    for mark in [None, Some(late())] {
        all.extend(few().map(|answers| (From::Failed, failed(mark), answers)));
    }
    for reason in OperatorReason::ALL {
        all.extend(few().map(|answers| (From::NeedsOperator, in_doubt(reason), answers)));
    }
    all
}

fn besides(from: From) -> Vec<Beside> {
    let all = BOTH
        .into_iter()
        .flat_map(|active| BOTH.map(|open_or_paid| Beside { active, open_or_paid }));
    // Only a closed attempt asks for it.
    all.filter(|beside| from == From::Failed || beside.active).collect()
}

fn hearings(from: From, was_sent: bool) -> Vec<Hears> {
    let mut all = Vec::new();
    let nodes = |word| {
        [Trust::Same, Trust::OtherNode, Trust::Forgetful]
            .map(|trust| LookedUp { trust, ..look(word) })
    };
    for look in words().into_iter().flat_map(nodes) {
        for (over, too_late) in BOTH.into_iter().flat_map(|a| BOTH.map(|b| (a, b))) {
            for node_dedupes in BOTH {
                // Only a repeat asks for it.
                if node_dedupes || from == From::Sending || from == From::Reserved {
                    all.push(Hears::LookUp(LookedUp { over, too_late, node_dedupes, ..look }));
                }
            }
        }
    }
    // A stream belongs to a send, and a status on it is about some payment.
    if was_sent {
        let on_stream = words().into_iter().filter(|word| *word != Word::NotFound);
        all.extend(on_stream.map(|word| Hears::Stream(Heard::Word(word))));
        all.push(Hears::Stream(Heard::AlreadyExists));
        all.push(Hears::Stream(Heard::Nothing));
    }
    all
}

fn words() -> Vec<Word> {
    use FailureReason::{InsufficientBalance, NodeError, Timeout};
    let more = [Timeout, InsufficientBalance, NodeError].map(|why| Word::Failed(why, Age::Since));
    all_words().into_iter().chain(more).collect()
}
