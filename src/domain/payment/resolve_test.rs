//! What an operator may decide, by what the node says: every row, and that nothing else passes.
//!
//! * [`decisions`]: which decisions pass.
//! * [`node_says`]: how far the node's word counts.
//! * [`written`]: what a decision writes, and which drafts are refused.

mod decisions;
mod node_says;
mod written;

use super::{
    Age, FailureReason, LateSuccess, NodeReport, NodeSays, OperatorReason, Outcome, OutcomeDraft,
    Payment, Pending, PendingFacts, Record, RecordState, Reopening, ResolutionDraft, Send,
    SendLimits, Sends, State, Stranding, Trust, Unresolvable, resolve,
};
use crate::domain::{
    Actor, EventKind, Millis, Msat, NodeId, PaymentId, Preimage, Unclaimable, Withdraw,
    payment::Next,
    withdraw_test::{at, attempt_at, request},
};

const PREIMAGE: Preimage = Preimage::from_bytes([7; 32]);
const LIMITS: SendLimits = SendLimits {
    clock_skew: Millis::from_secs(5),
    node_slack: Millis::from_secs(60),
    max_refusals: 3,
    doubt_after: Millis::from_secs(1800),
};
const REOPENING: Reopening = Reopening {
    node_refuses_late_sends: true,
    node_refuses_expired_invoices: true,
    clock_skew: Millis::from_secs(5),
    claim_grace: Millis::from_secs(600),
};
const LIFE: Millis = Millis::from_secs(15);

fn msat(msat: i64) -> Msat {
    Msat::new(msat).unwrap()
}

/// In doubt since second 300, after a send at second 100 that nobody answered.
fn in_doubt(reason: OperatorReason) -> Payment {
    let send = Send {
        number: 1,
        fencing_token: 1,
        node: NodeId::parse(&format!("02{}", hex::encode([1; 32]))).unwrap(),
        sent_at: at(100),
        begun_at: at(100),
        send_deadline: at(115),
        answer: None,
        sequence: Some(1),
    };
    Payment {
        id: attempt_at(10),
        version: 4,
        withdraw: request().id,
        invoice: "lnbcrt…".to_owned(),
        payment_hash: PREIMAGE.hash(),
        amount: msat(10_000),
        fee_limit: msat(100),
        invoice_expires_at: at(3610),
        send_until: at(3000),
        state: State::NeedsOperator { reason, at: at(300) },
        noted: None,
        sends: Sends::from_rows(vec![send]),
        trace_parent: None,
    }
}

fn held() -> Withdraw {
    let claimed = request().claim(attempt_at(10), at(10)).unwrap().next;
    claimed.doubt(attempt_at(10), OperatorReason::Vanished, at(300)).next
}

const fn failed(node_unreachable: bool, payee_unpaid: bool) -> Outcome {
    Outcome::Failed { node_unreachable, payee_unpaid, stranded: false }
}

const fn paid(fee: Option<Msat>) -> Outcome {
    Outcome::Paid { preimage: PREIMAGE, fee }
}

const ALL_SAID: [NodeSays; 9] = [
    NodeSays::Nothing,
    NodeSays::OtherNode,
    NodeSays::NotFound,
    NodeSays::InFlight,
    NodeSays::Stranded,
    NodeSays::Paid { fee: None },
    NodeSays::Paid { fee: Some(Msat::ZERO) },
    NodeSays::Failed { suffices: false },
    NodeSays::Failed { suffices: true },
];

const CLOSED: Next = Next::Fail(FailureReason::ResolvedByOperator);

fn operator() -> Actor {
    Actor::unnamed("alice", "a note")
}
