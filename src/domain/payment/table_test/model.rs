//! The table against the model that was searched exhaustively, so that they cannot drift apart.
//!
//! [`after_look_up`] and [`after_reply`] restate the rules of the exhaustive search (`tests/checker`) in terms of its
//! own: no reasons, no proofs, three ages as numbers. Every circumstance that either side looks at is
//! enumerated. What is left out here (a mark that was made, other nodes, nodes that pay one hash twice,
//! halts, clocks that disagree) is in the tests beside this file.

use super::streams::on_stream;
use super::*;
use crate::domain::payment::{StreamReport, decide_on_stream};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ModelState {
    Reserved,
    Sending,
    InFlight,
    Paid,
    Failed,
    Operator,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum ModelAnswer {
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
    To(ModelState),
    Foreign,
    Late,
}

/// Whether a send may still take effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum TakesEffect {
    /// Its time has not passed.
    Yes,
    /// Its time has passed; it was never answered, and there is no witness.
    Held,
    No,
}

/// A row of the model's state, with what an answer finds beside it.
#[derive(Clone, Debug)]
struct Case {
    state: ModelState,
    foreign: bool,
    noted: bool,
    answers: Vec<Option<Answer>>,
    beside: RequestFacts,
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
        let state = match self.state {
            ModelState::Reserved => State::Reserved,
            ModelState::Sending => State::Sending,
            ModelState::InFlight => State::InFlight,
            ModelState::Paid => paid(),
            ModelState::Failed => failed(None),
            ModelState::Operator if self.foreign => in_doubt(OperatorReason::Foreign),
            ModelState::Operator => in_doubt(OperatorReason::Vanished),
        };
        Payment {
            noted: self.noted.then_some(FailureReason::Timeout),
            ..sent(state, &self.answers)
        }
    }
}

/// Closes the attempt, or what it takes to do so.
fn close(may: TakesEffect, waited: bool) -> Step {
    match may {
        TakesEffect::Yes => Step::Stay,
        TakesEffect::Held if waited => Step::To(ModelState::Operator),
        TakesEffect::Held => Step::Witness,
        TakesEffect::No => Step::To(ModelState::Failed),
    }
}

/// A lookup's answer. `age`: 0 older than the request, 1 older than the attempt, 2 younger. `until`: no
/// send is allowed any more. `waited`: long enough for a witness.
fn after_look_up(
    case: &Case,
    said: ModelAnswer,
    age: u8,
    may: TakesEffect,
    (until, waited): (bool, bool),
) -> Step {
    let failed = matches!(said, ModelAnswer::Failed | ModelAnswer::Incorrect);
    let known = said != ModelAnswer::NotFound && !failed;
    match case.state {
        ModelState::Reserved if said == ModelAnswer::NotFound || failed && age < 2 => {
            if until {
                close(may, waited)
            } else {
                Step::Send
            }
        }
        ModelState::Reserved if known && age == 0 => close(may, waited),
        ModelState::Reserved => Step::To(ModelState::Operator),
        ModelState::Sending | ModelState::InFlight => match said {
            ModelAnswer::Settled => Step::To(ModelState::Paid),
            ModelAnswer::WrongPreimage => Step::To(ModelState::Operator),
            ModelAnswer::Pending if case.state == ModelState::Sending => {
                Step::To(ModelState::InFlight)
            }
            ModelAnswer::Pending => Step::Stay,
            ModelAnswer::Incorrect if case.rows() > 1 => Step::To(ModelState::Operator),
            ModelAnswer::Failed | ModelAnswer::Incorrect => match close(may, waited) {
                Step::Stay | Step::Witness if !case.noted => Step::Note,
                step => step,
            },
            ModelAnswer::NotFound if case.noted => close(may, waited),
            ModelAnswer::NotFound if case.state == ModelState::InFlight => {
                Step::To(ModelState::Operator)
            }
            ModelAnswer::NotFound if may == TakesEffect::Yes => Step::Stay,
            ModelAnswer::NotFound if until || case.refusals() >= 3 => close(may, waited),
            ModelAnswer::NotFound => Step::Send,
        },
        ModelState::Operator if said == ModelAnswer::Settled && !case.foreign => {
            Step::To(ModelState::Paid)
        }
        ModelState::Failed if said == ModelAnswer::Settled => late_success(case),
        ModelState::Operator | ModelState::Failed | ModelState::Paid => Step::Stay,
    }
}

/// An answer on the own stream of the last send.
fn after_reply(case: &Case, said: Reply) -> Step {
    let following = matches!(case.state, ModelState::Sending | ModelState::InFlight);
    let all_answered = case.answers.iter().all(|a| *a == Some(Answer::Final));
    match said {
        Reply::Settled => match case.state {
            ModelState::Sending | ModelState::InFlight => Step::To(ModelState::Paid),
            ModelState::Operator if !case.foreign => Step::To(ModelState::Paid),
            ModelState::Failed => late_success(case),
            ModelState::Operator | ModelState::Reserved | ModelState::Paid => Step::Stay,
        },
        Reply::Exists if case.rows() == 1 && case.state == ModelState::Sending => Step::Foreign,
        Reply::Exists | Reply::Error => Step::Stay,
        Reply::Failed | Reply::Incorrect if !following => Step::Stay,
        Reply::Incorrect if case.rows() > 1 => Step::To(ModelState::Operator),
        Reply::Failed | Reply::Incorrect if case.rows() == 1 && all_answered => {
            Step::To(ModelState::Failed)
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
        Step::To(ModelState::Paid)
    }
}

/// What the code does, in the model's terms.
fn step(next: Next) -> Step {
    match next {
        Next::Stay => Step::Stay,
        Next::Send => Step::Send,
        Next::Witness => Step::Witness,
        Next::Note(_) => Step::Note,
        Next::InFlight => Step::To(ModelState::InFlight),
        Next::Pay { .. } => Step::To(ModelState::Paid),
        Next::Fail(_) => Step::To(ModelState::Failed),
        Next::Doubt(OperatorReason::Foreign) => Step::Foreign,
        Next::Doubt(_) => Step::To(ModelState::Operator),
        Next::LateSuccess { .. } => Step::Late,
    }
}

fn word(said: ModelAnswer, age: u8) -> NodeReport {
    let age = AGES[usize::from(age)];
    match said {
        ModelAnswer::NotFound => NodeReport::NotFound,
        ModelAnswer::Pending => NodeReport::InFlight(age),
        ModelAnswer::Settled => succeeded(age),
        ModelAnswer::Failed => NodeReport::Failed(FailureReason::NoRoute, age),
        ModelAnswer::Incorrect => NodeReport::Failed(FailureReason::IncorrectPaymentDetails, age),
        ModelAnswer::WrongPreimage => contradiction(age),
    }
}

const BOTH: [bool; 2] = [false, true];

fn all_cases() -> Vec<Case> {
    let states = [
        (ModelState::Reserved, false),
        (ModelState::Sending, false),
        (ModelState::InFlight, false),
        (ModelState::Paid, false),
        (ModelState::Failed, false),
        (ModelState::Operator, false),
        (ModelState::Operator, true),
    ];
    let mut cases = Vec::new();
    // One send more than errors are allowed.
    for answers in answers_up_to(4) {
        for (state, foreign) in states {
            // Nothing was sent exactly while it is reserved; it may also have ended so.
            let never_sent = answers.is_empty();
            let possible = match state {
                ModelState::Reserved => never_sent,
                ModelState::Sending | ModelState::InFlight => !never_sent,
                ModelState::Paid | ModelState::Failed | ModelState::Operator => true,
            };
            if !possible {
                continue;
            }
            for noted in BOTH {
                for (active, open_or_paid) in BOTH.into_iter().flat_map(|a| BOTH.map(|b| (a, b))) {
                    cases.push(Case {
                        state,
                        foreign,
                        noted,
                        answers: answers.clone(),
                        beside: RequestFacts { active, open_or_paid, paid_late: false },
                    });
                }
            }
        }
    }
    cases
}

fn all_effects() -> impl Iterator<Item = (TakesEffect, bool, bool)> {
    let all_effects = [TakesEffect::Yes, TakesEffect::Held, TakesEffect::No].into_iter();
    all_effects
        .flat_map(|may| BOTH.map(|until| (may, until)))
        .flat_map(|(may, until)| BOTH.map(|waited| (may, until, waited)))
}

#[test]
fn every_look_up_leads_to_what_the_model_says() {
    let said = [
        ModelAnswer::NotFound,
        ModelAnswer::Pending,
        ModelAnswer::Settled,
        ModelAnswer::Failed,
        ModelAnswer::Incorrect,
        ModelAnswer::WrongPreimage,
    ];
    let mut compared = 0;
    for case in all_cases() {
        let payment = case.payment();
        for is in said {
            for age in 0..3 {
                for (may, until, waited) in all_effects() {
                    let pending = match may {
                        TakesEffect::Yes => Pending::Until(at(10_000)),
                        TakesEffect::Held => Pending::Unwitnessed,
                        TakesEffect::No => Pending::Over,
                    };
                    let look = LookupEvidence {
                        pending,
                        too_late: until,
                        too_late_for_a_witness: waited,
                        ..look(word(is, age))
                    };
                    let ours = step(decide_on_lookup(&payment, &look, case.beside));
                    let models = after_look_up(&case, is, age, may, (until, waited));
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
        (Reply::Error, StreamReport::Nothing),
        (Reply::Exists, StreamReport::AlreadyExists),
        (Reply::Settled, StreamReport::NodeReport(succeeded(Age::Since))),
        (Reply::Failed, StreamReport::NodeReport(failed_word())),
        (Reply::Incorrect, StreamReport::NodeReport(refused_word())),
    ];
    for case in all_cases() {
        // A stream belongs to a send.
        if case.rows() == 0 {
            continue;
        }
        for (reply, hears) in replies {
            let ours = step(decide_on_stream(&case.payment(), &on_stream(hears), case.beside));
            assert_eq!(ours, after_reply(&case, reply), "{case:?}: {reply:?}");
        }
    }
}
