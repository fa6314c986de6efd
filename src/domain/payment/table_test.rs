//! The table: a test for each of its rows, and for the edges around it.
//!
//! * [`rows`]: what a lookup's answer leads to, state by state.
//! * [`streams`]: what an answer on a send's own stream leads to.
//! * [`records`]: how a node's record is checked before it is believed.
//! * [`steps`]: what a step writes, and when a request opens again.
//! * [`timing`]: when a send is over, and when to look next.
//! * [`model`]: the whole product of circumstances against a restatement of the searched model.
//! * [`printed`]: the table itself, asked of the code and printed under its rules ([`lines`],
//!   in terms of [`circumstances`]).

mod circumstances;
mod lines;
mod model;
mod printed;
mod records;
mod rows;
mod steps;
mod streams;
mod timing;

use super::{
    Age, Answer, FailureReason, LateSuccess, LookupEvidence, Next, NodeReport, OperatorReason,
    Payment, Pending, RequestFacts, Send, SendLimits, Sender, Sends, State, Trust,
    decide_on_lookup,
};
use crate::domain::{
    Millis, Msat, NodeId, Preimage, Timestamp,
    withdraw_test::{at, attempt_at, request},
};

const PREIMAGE: Preimage = Preimage::from_bytes([7; 32]);

const LIMITS: SendLimits = SendLimits {
    clock_skew: Millis::from_secs(5),
    node_slack: Millis::from_secs(60),
    max_refusals: 3,
    doubt_after: Millis::from_secs(1800),
};

/// The request is free and ACTIVE.
const FREE: RequestFacts = RequestFacts { active: true, open_or_paid: false, paid_late: false };

fn msat(msat: i64) -> Msat {
    Msat::new(msat).unwrap()
}

fn node(byte: u8) -> NodeId {
    NodeId::parse(&format!("02{}", hex::encode([byte; 32]))).unwrap()
}

/// An attempt whose invoice was accepted ten seconds after its request was made, and which has not
/// sent. The invoice lives for an hour from then.
fn attempt() -> Payment {
    Payment {
        id: attempt_at(10),
        version: 1,
        withdraw: request().id,
        invoice: "lnbcrt…".to_owned(),
        payment_hash: PREIMAGE.hash(),
        amount: msat(10_000),
        fee_limit: msat(100),
        invoice_expires_at: at(3610),
        send_until: at(3000),
        state: State::Reserved,
        noted: None,
        sends: Sends::default(),
        trace_parent: None,
    }
}

/// The same in `state`, after one send for each of `answers`.
fn sent(state: State, answers: &[Option<Answer>]) -> Payment {
    let send = |(number, answer): (i64, &Option<Answer>)| Send {
        number,
        fencing_token: 10 * number,
        node: node(1),
        sent_at: at(100 * number),
        begun_at: at(100 * number),
        send_deadline: at(100 * number + 15),
        answer: *answer,
        sequence: Some(number),
    };
    Payment { state, sends: Sends::from_rows((1..).zip(answers).map(send).collect()), ..attempt() }
}

fn sending(answers: &[Option<Answer>]) -> Payment {
    sent(State::Sending, answers)
}

fn in_flight(answers: &[Option<Answer>]) -> Payment {
    sent(State::InFlight, answers)
}

fn noted(payment: Payment) -> Payment {
    Payment { noted: Some(FailureReason::NoRoute), ..payment }
}

fn failed(late: Option<LateSuccess>) -> State {
    State::Failed { reason: FailureReason::NoRoute, at: at(500), late }
}

fn paid() -> State {
    State::Paid { preimage: PREIMAGE, fee: msat(3), at: at(500) }
}

fn in_doubt(reason: OperatorReason) -> State {
    State::NeedsOperator { reason, at: at(500) }
}

fn late() -> LateSuccess {
    LateSuccess { preimage: PREIMAGE, fee: msat(3), at: at(600) }
}

/// A lookup by the right node, with no send left that could arrive, and time left for another.
fn look(word: NodeReport) -> LookupEvidence {
    LookupEvidence {
        report: word,
        pending: Pending::Over,
        settled: true,
        too_late: false,
        too_late_for_a_witness: false,
        halted: false,
        trust: Trust::Same,
        node_dedupes: true,
        max_refusals: LIMITS.max_refusals,
    }
}

/// The same while a send may still arrive.
fn early(word: NodeReport) -> LookupEvidence {
    LookupEvidence { pending: Pending::Until(at(10_000)), ..look(word) }
}

/// The same while a send that was never answered may still be held by the node.
fn unwitnessed(word: NodeReport) -> LookupEvidence {
    LookupEvidence { pending: Pending::Unwitnessed, ..look(word) }
}

/// The same when no send is allowed any more.
fn too_late(word: NodeReport) -> LookupEvidence {
    LookupEvidence { too_late: true, ..look(word) }
}

/// What follows from a lookup when nothing else has a claim on the request.
fn follows(payment: &Payment, look: &LookupEvidence) -> Next {
    decide_on_lookup(payment, look, FREE)
}

fn succeeded(age: Age) -> NodeReport {
    NodeReport::Succeeded { preimage: PREIMAGE, fee: msat(3), age }
}

const PAY: Next = Next::Pay {
    preimage: PREIMAGE,
    fee: match Msat::new(3) {
        Some(fee) => fee,
        None => panic!("three millisatoshis exist"),
    },
};

const LATE: Next = Next::LateSuccess {
    preimage: PREIMAGE,
    fee: match Msat::new(3) {
        Some(fee) => fee,
        None => panic!("three millisatoshis exist"),
    },
};

fn failed_word() -> NodeReport {
    NodeReport::Failed(FailureReason::NoRoute, Age::Since)
}

fn refused_word() -> NodeReport {
    NodeReport::Failed(FailureReason::IncorrectPaymentDetails, Age::Since)
}

fn contradiction(age: Age) -> NodeReport {
    NodeReport::Contradiction(OperatorReason::WrongPreimage, age)
}

const AGES: [Age; 3] = [Age::BeforeWithdraw, Age::BeforeAttempt, Age::Since];

/// One of each kind of word, of each age.
fn all_words() -> Vec<NodeReport> {
    let of_age = |age| {
        [
            NodeReport::InFlight(age),
            succeeded(age),
            NodeReport::Failed(FailureReason::NoRoute, age),
            NodeReport::Failed(FailureReason::IncorrectPaymentDetails, age),
            contradiction(age),
            NodeReport::Contradiction(OperatorReason::ResultLost, age),
            NodeReport::Contradiction(OperatorReason::AnswerMismatch, age),
        ]
    };
    std::iter::once(NodeReport::NotFound).chain(AGES.into_iter().flat_map(of_age)).collect()
}

/// Every list of so many answers at most.
fn answers_up_to(sends: usize) -> Vec<Vec<Option<Answer>>> {
    let kinds = [None, Some(Answer::Refused), Some(Answer::AlreadyExists), Some(Answer::Final)];
    let mut all = vec![Vec::new()];
    let mut longest = all.clone();
    for _ in 0..sends {
        let longer = longest.iter().flat_map(|answers: &Vec<_>| {
            kinds.map(|kind| {
                let mut answers = answers.clone();
                answers.push(kind);
                answers
            })
        });
        longest = longer.collect();
        all.extend(longest.iter().cloned());
    }
    all
}

/// An instant that many tests begin at.
const NOW: Timestamp = Timestamp::from_ms(1_700_000_700_000);
