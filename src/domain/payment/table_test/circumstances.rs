//! Every circumstance that the table looks at, and words for them: each word says in one place what it
//! means and how it is printed.

use strum::VariantArray;

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
            Self::ResultLost => "failed, an HTLC's result lost",
            Self::AnotherPayment => "about another hash or amount",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Error => "error, end of stream",
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
            Self::Settled => "clocks agree, the database server was met",
            Self::Unsettled => "clocks disagree, or the database server was not met",
            Self::NotPassed => "the time of a send not passed before the look-up",
            Self::Passed => "the time of every send passed before the look-up",
            Self::Over => "every send over before the look-up",
            Self::Unwitnessed => "a send unanswered, and no witness before the look-up",
            Self::WitnessInTime => "a witness waited for",
            Self::NoTimeForWitness => "a witness waited for too long",
            Self::TooLate => "no send allowed any more",
            Self::InTime => "a send still allowed",
            Self::MaySend => "a send still allowed, the request not paid late",
            Self::MayNotSend => "no send allowed any more, or the request paid late",
            Self::Halted => "nothing is sent now",
            Self::NotHalted => "sends go out",
            Self::Noted => "a failure noted",
            Self::NotNoted => "no failure noted",
            Self::NeverSent => "never sent",
            Self::Sent => "sent",
            Self::OneSend => "one send",
            Self::SeveralSends => "several sends",
            Self::OnlyAnswer => {
                "its only send answered by this; clocks agree, no send lost with another database server"
            }
            Self::NotOnlyAnswer => "otherwise",
            Self::MayRepeat => {
                "a send still allowed, the request not paid late, fewer than 3 refused, the node dedupes"
            }
            Self::MayNotRepeat => {
                "too late, or 3 refused, or paid late, or the node does not dedupe"
            }
            Self::SomeRefusals => "some send refused",
            Self::NoRefusals => "no send refused",
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
    for reason in OperatorReason::VARIANTS.iter().copied() {
        all.extend(few().map(|answers| (From::NeedsOperator, in_doubt(reason), answers)));
    }
    all
}

fn besides(from: From) -> Vec<Beside> {
    let all = BOTH.into_iter().flat_map(|active| {
        BOTH.into_iter().flat_map(move |open_or_paid| {
            BOTH.map(|paid_late| Beside { active, open_or_paid, paid_late })
        })
    });
    // Only a closed attempt asks for the first two, only one that may be sent for the third.
    let sendable = matches!(from, From::Reserved | From::Sending);
    let asked = |beside: &Beside| {
        (from == From::Failed || beside.active && !beside.open_or_paid)
            && (sendable || !beside.paid_late)
    };
    all.filter(asked).collect()
}

fn hearings(from: From, was_sent: bool) -> Vec<Hears> {
    let mut all = Vec::new();
    for word in words() {
        all.extend(looks(from, word).into_iter().map(Hears::LookUp));
    }
    // A stream belongs to a send, and a status on it is about some payment.
    if was_sent {
        let on_stream = words().into_iter().filter(|word| *word != Word::NotFound);
        let heard = on_stream.map(Heard::Word).chain([Heard::AlreadyExists, Heard::Nothing]);
        for heard in heard {
            for (settled, carried_over) in [(true, false), (false, false), (true, true)] {
                all.push(Hears::Stream(OnStream { heard, settled, carried_over }));
            }
        }
    }
    all
}

/// A look-up with this word, in all circumstances that the state may ask for.
fn looks(from: From, word: Word) -> Vec<LookedUp> {
    let mut all = Vec::new();
    for trust in [Trust::OtherNode, Trust::Forgetful] {
        for (settled, too_late) in BOTH.into_iter().flat_map(|a| BOTH.map(|b| (a, b))) {
            all.push(LookedUp { settled, too_late, trust, ..look(word) });
        }
    }
    let until = Pending::Until(at(10_000));
    let pendings = [
        (Pending::Over, true),
        (Pending::Over, false),
        (until, true),
        (until, false),
        (Pending::Unsettled, false),
        (Pending::Unwitnessed, true),
        (Pending::Unwitnessed, false),
    ];
    let tells_nothing = matches!(word, Word::NotFound | Word::Failed(..));
    let sends = tells_nothing && matches!(from, From::Reserved | From::Sending);
    for (pending, settled) in pendings {
        for (too_late, too_late_for_a_witness) in
            BOTH.into_iter().flat_map(|a| BOTH.map(|b| (a, b)))
        {
            for (halted, node_dedupes) in BOTH.into_iter().flat_map(|a| BOTH.map(|b| (a, b))) {
                // Only who may send asks for these.
                if sends || !halted && node_dedupes {
                    all.push(LookedUp {
                        pending,
                        settled,
                        too_late,
                        too_late_for_a_witness,
                        halted,
                        node_dedupes,
                        ..look(word)
                    });
                }
            }
        }
    }
    all
}

fn words() -> Vec<Word> {
    use FailureReason::{InsufficientBalance, NodeError, Timeout};
    let more = [Timeout, InsufficientBalance, NodeError].map(|why| Word::Failed(why, Age::Since));
    all_words().into_iter().chain(more).collect()
}
