//! The table against the model that was searched exhaustively, so that they cannot drift apart.
//!
//! [`looked`] and [`replied`] restate the rules of the exhaustive search (`tests/checker`) in terms of its
//! own: no reasons, no proofs, three ages as numbers. Every circumstance that either side looks at is
//! enumerated. What is left out here (a mark that was made, other nodes, nodes that pay one hash twice,
//! halts, clocks that disagree) is in the stories beside this file.

use super::streams::on_stream;
use super::*;
use crate::domain::payment::{Heard, heard};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum St {
    Reserved,
    Sending,
    InFlight,
    Paid,
    Failed,
    Operator,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Is {
    NotFound,
    Pending,
    Settled,
    Failed,
    Incorrect,
    WrongPreimage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Stay,
    Send,
    Witness,
    Note,
    To(St),
    Foreign,
    Late,
}

/// Whether a send may still take effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum May {
    /// Its time has not passed.
    Yes,
    /// Its time has passed; it was never answered, and there is no witness.
    Held,
    No,
}

/// A row of the model's state, with what an answer finds beside it.
#[derive(Clone, Debug)]
struct Case {
    st: St,
    foreign: bool,
    noted: bool,
    answers: Vec<Option<Answer>>,
    beside: Beside,
}

impl Case {
    fn rows(&self) -> usize {
        self.answers.len()
    }

    fn refusals(&self) -> usize {
        let refused = |answer: &&Option<Answer>| **answer == Some(Answer::Refused);
        self.answers.iter().filter(refused).count()
    }

    fn payment(&self) -> Payment {
        let state = match self.st {
            St::Reserved => State::Reserved,
            St::Sending => State::Sending,
            St::InFlight => State::InFlight,
            St::Paid => paid(),
            St::Failed => failed(None),
            St::Operator if self.foreign => in_doubt(OperatorReason::Foreign),
            St::Operator => in_doubt(OperatorReason::Vanished),
        };
        Payment {
            noted: self.noted.then_some(FailureReason::Timeout),
            ..sent(state, &self.answers)
        }
    }
}

/// Closes the attempt, or what it takes to do so.
fn close(may: May, waited: bool) -> Step {
    match may {
        May::Yes => Step::Stay,
        May::Held if waited => Step::To(St::Operator),
        May::Held => Step::Witness,
        May::No => Step::To(St::Failed),
    }
}

/// A look-up's answer. `age`: 0 older than the request, 1 older than the attempt, 2 younger. `until`: no
/// send is allowed any more. `waited`: long enough for a witness.
fn looked(case: &Case, said: Is, age: u8, may: May, (until, waited): (bool, bool)) -> Step {
    let failed = matches!(said, Is::Failed | Is::Incorrect);
    let known = said != Is::NotFound && !failed;
    match case.st {
        St::Reserved if said == Is::NotFound || failed && age < 2 => {
            if until {
                close(may, waited)
            } else {
                Step::Send
            }
        }
        St::Reserved if known && age == 0 => close(may, waited),
        St::Reserved => Step::To(St::Operator),
        St::Sending | St::InFlight => match said {
            Is::Settled => Step::To(St::Paid),
            Is::WrongPreimage => Step::To(St::Operator),
            Is::Pending if case.st == St::Sending => Step::To(St::InFlight),
            Is::Pending => Step::Stay,
            Is::Incorrect if case.rows() > 1 => Step::To(St::Operator),
            Is::Failed | Is::Incorrect => match close(may, waited) {
                Step::Stay | Step::Witness if !case.noted => Step::Note,
                step => step,
            },
            Is::NotFound if case.noted => close(may, waited),
            Is::NotFound if case.st == St::InFlight => Step::To(St::Operator),
            Is::NotFound if may == May::Yes => Step::Stay,
            Is::NotFound if until || case.refusals() >= 3 => close(may, waited),
            Is::NotFound => Step::Send,
        },
        St::Operator if said == Is::Settled && !case.foreign => Step::To(St::Paid),
        St::Failed if said == Is::Settled => late_success(case),
        St::Operator | St::Failed | St::Paid => Step::Stay,
    }
}

/// An answer on the own stream of the last send.
fn replied(case: &Case, said: Reply) -> Step {
    let following = matches!(case.st, St::Sending | St::InFlight);
    let all_answered = case.answers.iter().all(|a| *a == Some(Answer::Final));
    match said {
        Reply::Settled => match case.st {
            St::Sending | St::InFlight => Step::To(St::Paid),
            St::Operator if !case.foreign => Step::To(St::Paid),
            St::Failed => late_success(case),
            St::Operator | St::Reserved | St::Paid => Step::Stay,
        },
        Reply::Exists if case.rows() == 1 && case.st == St::Sending => Step::Foreign,
        Reply::Exists | Reply::Error => Step::Stay,
        Reply::Failed | Reply::Incorrect if !following => Step::Stay,
        Reply::Incorrect if case.rows() > 1 => Step::To(St::Operator),
        Reply::Failed | Reply::Incorrect if case.rows() == 1 && all_answered => {
            Step::To(St::Failed)
        }
        Reply::Failed | Reply::Incorrect => Step::Note,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reply {
    Error,
    Exists,
    Settled,
    Failed,
    Incorrect,
}

fn late_success(case: &Case) -> Step {
    if case.rows() == 0 {
        Step::Stay
    } else if case.beside.open_or_paid || !case.beside.active {
        Step::Late
    } else {
        Step::To(St::Paid)
    }
}

/// What the code does, in the model's terms.
fn step(next: Next) -> Step {
    match next {
        Next::Stay => Step::Stay,
        Next::Send => Step::Send,
        Next::Witness => Step::Witness,
        Next::Note(_) => Step::Note,
        Next::InFlight => Step::To(St::InFlight),
        Next::Pay { .. } => Step::To(St::Paid),
        Next::Fail(_) => Step::To(St::Failed),
        Next::Doubt(OperatorReason::Foreign) => Step::Foreign,
        Next::Doubt(_) => Step::To(St::Operator),
        Next::LateSuccess { .. } => Step::Late,
    }
}

fn word(said: Is, age: u8) -> Word {
    let age = AGES[usize::from(age)];
    match said {
        Is::NotFound => Word::NotFound,
        Is::Pending => Word::InFlight(age),
        Is::Settled => succeeded(age),
        Is::Failed => Word::Failed(FailureReason::NoRoute, age),
        Is::Incorrect => Word::Failed(FailureReason::IncorrectPaymentDetails, age),
        Is::WrongPreimage => contradiction(age),
    }
}

const BOTH: [bool; 2] = [false, true];

fn all_cases() -> Vec<Case> {
    let states = [
        (St::Reserved, false),
        (St::Sending, false),
        (St::InFlight, false),
        (St::Paid, false),
        (St::Failed, false),
        (St::Operator, false),
        (St::Operator, true),
    ];
    let mut cases = Vec::new();
    // One send more than errors are allowed.
    for answers in answers_up_to(4) {
        for (st, foreign) in states {
            // Nothing was sent exactly while it is reserved; it may also have ended so.
            let never_sent = answers.is_empty();
            let possible = match st {
                St::Reserved => never_sent,
                St::Sending | St::InFlight => !never_sent,
                St::Paid | St::Failed | St::Operator => true,
            };
            if !possible {
                continue;
            }
            for noted in BOTH {
                for (active, open_or_paid) in BOTH.into_iter().flat_map(|a| BOTH.map(|b| (a, b))) {
                    cases.push(Case {
                        st,
                        foreign,
                        noted,
                        answers: answers.clone(),
                        beside: Beside { active, open_or_paid, paid_late: false },
                    });
                }
            }
        }
    }
    cases
}

fn mays() -> impl Iterator<Item = (May, bool, bool)> {
    let mays = [May::Yes, May::Held, May::No].into_iter();
    mays.flat_map(|may| BOTH.map(|until| (may, until)))
        .flat_map(|(may, until)| BOTH.map(|waited| (may, until, waited)))
}

#[test]
fn every_look_up_leads_to_what_the_model_says() {
    let said =
        [Is::NotFound, Is::Pending, Is::Settled, Is::Failed, Is::Incorrect, Is::WrongPreimage];
    let mut compared = 0;
    for case in all_cases() {
        let payment = case.payment();
        for is in said {
            for age in 0..3 {
                for (may, until, waited) in mays() {
                    let pending = match may {
                        May::Yes => Pending::Until(at(10_000)),
                        May::Held => Pending::Unwitnessed,
                        May::No => Pending::Over,
                    };
                    let look = LookedUp {
                        pending,
                        too_late: until,
                        too_late_for_a_witness: waited,
                        ..look(word(is, age))
                    };
                    let ours = step(looked_up(&payment, &look, case.beside));
                    let models = looked(&case, is, age, may, (until, waited));
                    assert_eq!(ours, models, "{case:?}: {is:?}, age {age}: {look:?}");
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 2_000_000, "{compared} circumstances");
}

#[test]
fn every_answer_on_a_stream_leads_to_what_the_model_says() {
    let replies = [
        (Reply::Error, Heard::Nothing),
        (Reply::Exists, Heard::AlreadyExists),
        (Reply::Settled, Heard::Word(succeeded(Age::Since))),
        (Reply::Failed, Heard::Word(failed_word())),
        (Reply::Incorrect, Heard::Word(refused_word())),
    ];
    for case in all_cases() {
        // A stream belongs to a send.
        if case.rows() == 0 {
            continue;
        }
        for (reply, hears) in replies {
            let ours = step(heard(&case.payment(), &on_stream(hears), case.beside));
            assert_eq!(ours, replied(&case, reply), "{case:?}: {reply:?}");
        }
    }
}
