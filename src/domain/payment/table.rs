//! The table: what follows from a node's report. Each match arm is a row of it.
//!
//! Every condition that looks superfluous is there because a model search found a history of 10 to 20
//! steps that pays twice without it. Run the model before you change anything here.
//!
#![doc = include_str!("table.md")]

use super::{Age, FailureReason, NodeReport, OperatorReason, Payment, Pending, State};
use crate::domain::{Msat, Preimage};

/// What follows for an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing changes.
    Stay,
    /// Commit a send, then ask the node to pay.
    Send,
    /// Nothing changes. A write witness is missing, and this attempt will not produce one: make one.
    Witness,
    /// Record the failure, but keep the attempt open: a send may still arrive and restart the payment.
    Note(FailureReason),
    /// The node reports it as in flight.
    InFlight,
    /// Paid.
    Pay {
        /// The proof of payment.
        preimage: Preimage,
        /// The routing fee.
        fee: Msat,
    },
    /// Nothing was paid, and nothing can be paid any more.
    Fail(FailureReason),
    /// An operator must resolve it.
    Doubt(OperatorReason),
    /// Paid after the attempt was closed, when the request was no longer free.
    LateSuccess {
        /// The proof of payment.
        preimage: Preimage,
        /// The routing fee.
        fee: Msat,
    },
}

/// What the decision must know about the request beside the attempt. It matters when a closed attempt
/// turns out to be paid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RequestFacts {
    /// The request is ACTIVE.
    pub active: bool,
    /// The request is PAID, or another attempt of it is open.
    pub open_or_paid: bool,
    /// A closed attempt of it turned out to be paid: nothing more may be sent for the request.
    pub paid_late: bool,
}

/// How far the node that answered can be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// The node that was (or would be) asked to pay, with its payment records intact.
    Same,
    /// A node with a different identity.
    OtherNode,
    /// The right node, but it has lost records: it no longer knows the newest payment that it was seen
    /// to know.
    Forgetful,
}

/// What a lookup found, and whatever else the decision depends on.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent circumstances")]
pub struct LookupEvidence {
    /// What the node reported.
    pub report: NodeReport,
    /// Whether a send could still take effect when the lookup *began*.
    pub pending: Pending,
    /// Clocks agree, from before the lookup to after it, and this process has registered the database
    /// server. Otherwise nothing is sent or closed.
    pub settled: bool,
    /// No send is allowed any more, by the clock that is ahead.
    pub too_late: bool,
    /// The wait for a write witness is over (see [`Payment::too_late_for_a_witness`]).
    pub too_late_for_a_witness: bool,
    /// Nothing is sent now: a pause, a fence, a node that does not answer sends, full channels, or a
    /// withheld request.
    pub halted: bool,
    /// How far the node can be trusted.
    pub trust: Trust,
    /// The node refuses a second payment of the same hash, so repeating a send is safe.
    pub node_dedupes: bool,
    /// The number of sends refused by the node itself after which none is repeated.
    pub max_refusals: usize,
}

/// What arrived on a send's own response stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StreamReport {
    /// A payment status, checked against the attempt.
    NodeReport(NodeReport),
    /// The node refused because it knows this payment hash.
    AlreadyExists,
    /// An error or the end of the stream: no information about the payment.
    Nothing,
}

/// What arrived on a send's own stream, and whatever else the decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct StreamEvidence {
    /// What arrived.
    pub report: StreamReport,
    /// As in [`LookupEvidence::settled`].
    pub settled: bool,
    /// The database server already held the attempt when this process registered it. The previous
    /// server may have held another send, whose row is lost and which could restart the payment.
    pub carried_over: bool,
}

/// Decides what follows from a lookup's answer.
pub fn decide_on_lookup(payment: &Payment, lookup: &LookupEvidence, request: RequestFacts) -> Next {
    match lookup.trust {
        Trust::Same => {}
        Trust::OtherNode => return distrusted(payment, OperatorReason::NodeChanged, false),
        // A proof of payment stays valid, and "in flight" closes nothing. Every other answer may come
        // from the loss of records.
        Trust::Forgetful => match lookup.report {
            NodeReport::Succeeded { .. }
            | NodeReport::InFlight(_)
            | NodeReport::Contradiction(..) => {}
            NodeReport::NotFound | NodeReport::Failed(..) => {
                let give_up = lookup.too_late && lookup.settled;
                return distrusted(payment, OperatorReason::NodeForgot, give_up);
            }
        },
    }
    match payment.state {
        State::Reserved => reserved(lookup, request),
        State::Sending => sending(payment, lookup, request),
        State::InFlight => in_flight(payment, lookup),
        State::NeedsOperator { reason, .. } => in_doubt(reason, lookup.report),
        State::Failed { .. } => after_failure(payment, lookup.report, request),
        State::Paid { .. } => Next::Stay,
    }
}

/// Decides what follows from what arrived on a send's own stream. The answer is already recorded in
/// `payment.sends`.
pub fn decide_on_stream(payment: &Payment, on: &StreamEvidence, request: RequestFacts) -> Next {
    let report = match on.report {
        StreamReport::NodeReport(report) => report,
        StreamReport::AlreadyExists if sent_by_others(payment) => {
            return Next::Doubt(OperatorReason::Foreign);
        }
        StreamReport::AlreadyExists | StreamReport::Nothing => return Next::Stay,
    };
    match (payment.state, report) {
        (State::Sending | State::InFlight, NodeReport::Succeeded { preimage, fee, .. }) => {
            Next::Pay { preimage, fee }
        }
        (State::Sending | State::InFlight, NodeReport::Contradiction(why, _)) => Next::Doubt(why),
        (State::Sending, NodeReport::InFlight(_)) => Next::InFlight,
        (State::Sending | State::InFlight, NodeReport::Failed(reason, _)) => {
            if refused_after_repeats(payment, reason) {
                Next::Doubt(OperatorReason::RefusedAfterRepeats)
            } else if payment.sends.only_one_and_answered() && on.settled && !on.carried_over {
                Next::Fail(reason)
            } else {
                // Another send may still arrive. A lookup that begins after all sends are over decides.
                Next::Note(reason)
            }
        }
        (State::NeedsOperator { reason, .. }, report) => in_doubt(reason, report),
        (State::Failed { .. }, report) => after_failure(payment, report, request),
        (State::Reserved | State::Paid { .. }, _)
        | (State::Sending | State::InFlight, NodeReport::NotFound)
        | (State::InFlight, NodeReport::InFlight(_)) => Next::Stay,
    }
}

/// Whether somebody else sent it: the node knew the payment when our only send arrived.
fn sent_by_others(payment: &Payment) -> bool {
    payment.state == State::Sending && payment.sends.count() == 1
}

/// A rejection after several sends: the payee may have been paid by a send whose record is gone.
fn refused_after_repeats(payment: &Payment, reason: FailureReason) -> bool {
    reason == FailureReason::IncorrectPaymentDetails && payment.sends.count() > 1
}

/// Decides on an answer that cannot be trusted. `give_up`: a RESERVED attempt need not wait for a better
/// answer, since none will come and it is too late to send.
fn distrusted(payment: &Payment, why: OperatorReason, give_up: bool) -> Next {
    match payment.state {
        State::Sending | State::InFlight => Next::Doubt(why),
        // It would wait for ever: a node does not regain its records.
        State::Reserved if give_up => Next::Doubt(why),
        // Nothing was sent, or the attempt is closed, or an operator resolves it already.
        State::Reserved
        | State::NeedsOperator { .. }
        | State::Failed { .. }
        | State::Paid { .. } => Next::Stay,
    }
}

fn reserved(lookup: &LookupEvidence, request: RequestFacts) -> Next {
    use Age::{BeforeAttempt, BeforeWithdraw, Since};

    // Without trusted clocks, it may wrongly seem too late to send, or a record may seem older than it
    // is.
    if !lookup.settled {
        return Next::Stay;
    }
    match lookup.report {
        NodeReport::NotFound | NodeReport::Failed(_, BeforeWithdraw | BeforeAttempt) => {
            if lookup.too_late || request.paid_late {
                close(FailureReason::NotSent, lookup)
            } else if lookup.halted {
                Next::Stay
            } else {
                Next::Send
            }
        }
        // A record of another payment has that payment's age, which says nothing about ours.
        NodeReport::Contradiction(why @ OperatorReason::AnswerMismatch, _) => Next::Doubt(why),
        NodeReport::InFlight(BeforeWithdraw)
        | NodeReport::Succeeded { age: BeforeWithdraw, .. }
        | NodeReport::Contradiction(_, BeforeWithdraw) => {
            close(FailureReason::InvoiceKnownToNode, lookup)
        }
        // We may have sent it: the row of that send may have been lost with the database.
        NodeReport::InFlight(BeforeAttempt | Since)
        | NodeReport::Succeeded { age: BeforeAttempt | Since, .. }
        | NodeReport::Contradiction(_, BeforeAttempt | Since)
        | NodeReport::Failed(_, Since) => Next::Doubt(OperatorReason::KnownBeforeSend),
    }
}

fn sending(payment: &Payment, lookup: &LookupEvidence, request: RequestFacts) -> Next {
    match lookup.report {
        NodeReport::Succeeded { preimage, fee, .. } => Next::Pay { preimage, fee },
        NodeReport::Contradiction(why, _) => Next::Doubt(why),
        NodeReport::InFlight(_) => Next::InFlight,
        NodeReport::Failed(reason, _) => failed(payment, reason, lookup),
        NodeReport::NotFound => match payment.noted {
            Some(reason) => close(reason, lookup),
            None => never_seen(payment, lookup, request),
        },
    }
}

/// The node has no record of the payment, and was never seen to have one.
fn never_seen(payment: &Payment, lookup: &LookupEvidence, request: RequestFacts) -> Next {
    let may_repeat = !lookup.too_late
        && !request.paid_late
        && lookup.node_dedupes
        && payment.sends.refusals() < lookup.max_refusals;
    match lookup.pending {
        // A request may still be on its way.
        Pending::Until(_) | Pending::Unsettled => Next::Stay,
        // The node pays a hash only once. If it still holds an earlier send, the repeat pays nothing
        // more, and its answer can be a write witness.
        Pending::Over | Pending::Unwitnessed if may_repeat => {
            if lookup.halted || !lookup.settled {
                Next::Stay
            } else {
                Next::Send
            }
        }
        Pending::Over | Pending::Unwitnessed => close(never_started(payment), lookup),
    }
}

fn in_flight(payment: &Payment, lookup: &LookupEvidence) -> Next {
    match lookup.report {
        NodeReport::Succeeded { preimage, fee, .. } => Next::Pay { preimage, fee },
        NodeReport::Contradiction(why, _) => Next::Doubt(why),
        NodeReport::InFlight(_) => Next::Stay,
        NodeReport::Failed(reason, _) => failed(payment, reason, lookup),
        NodeReport::NotFound => match payment.noted {
            Some(reason) => close(reason, lookup),
            None => Next::Doubt(OperatorReason::Vanished),
        },
    }
}

/// A failure reported by a lookup is final only when no send can restart the payment.
fn failed(payment: &Payment, reason: FailureReason, lookup: &LookupEvidence) -> Next {
    if refused_after_repeats(payment, reason) {
        return Next::Doubt(OperatorReason::RefusedAfterRepeats);
    }
    match close(reason, lookup) {
        Next::Stay | Next::Witness if payment.noted.is_none() => Next::Note(reason),
        next => next,
    }
}

/// Closes the attempt as failed if nothing can pay it any more; otherwise returns what to wait for.
fn close(reason: FailureReason, lookup: &LookupEvidence) -> Next {
    match lookup.pending {
        Pending::Over if lookup.settled => Next::Fail(reason),
        Pending::Unwitnessed if !lookup.settled => Next::Stay,
        Pending::Unwitnessed if lookup.too_late_for_a_witness => {
            Next::Doubt(OperatorReason::SendUnanswered)
        }
        Pending::Unwitnessed => Next::Witness,
        Pending::Over | Pending::Until(_) | Pending::Unsettled => Next::Stay,
    }
}

/// The reason for a payment that the node never stored: lnd refuses some invoices at once and stores
/// nothing.
fn never_started(payment: &Payment) -> FailureReason {
    if payment.sends.refusals() > 0 { FailureReason::NodeRefused } else { FailureReason::NotSent }
}

fn in_doubt(reason: OperatorReason, report: NodeReport) -> Next {
    match report {
        NodeReport::Succeeded { preimage, fee, .. } if reason != OperatorReason::Foreign => {
            Next::Pay { preimage, fee }
        }
        // A failure never closes it; only an operator does.
        NodeReport::Succeeded { .. }
        | NodeReport::NotFound
        | NodeReport::InFlight(_)
        | NodeReport::Failed(..)
        | NodeReport::Contradiction(..) => Next::Stay,
    }
}

/// Decides on a report about a closed attempt: lnd restarts a FAILED payment when a delayed send
/// arrives.
fn after_failure(payment: &Payment, report: NodeReport, request: RequestFacts) -> Next {
    let marked = matches!(payment.state, State::Failed { late: Some(_), .. });
    match report {
        NodeReport::Succeeded { preimage, fee, .. } if !payment.sends.is_empty() => {
            if request.active && !request.open_or_paid {
                // Even if the late success is marked already: the other attempt has failed in the
                // meantime.
                Next::Pay { preimage, fee }
            } else if marked {
                Next::Stay
            } else {
                Next::LateSuccess { preimage, fee }
            }
        }
        // A contradiction changes no row, since the request may be open to another claim already. It is
        // reported: see [`super::FollowUp::Contradicted`].
        NodeReport::Succeeded { .. }
        | NodeReport::NotFound
        | NodeReport::InFlight(_)
        | NodeReport::Failed(..)
        | NodeReport::Contradiction(..) => Next::Stay,
    }
}
