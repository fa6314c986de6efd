//! How an operator resolves a doubt, and what they must confirm depending on the node's answer.
//!
//! The node is asked first, and its answer binds the operator: what it reports as paid, or as in flight
//! and not stranded, is never closed as failed. If the answer proves nothing, the payee must also
//! confirm that nothing was paid.

use super::{
    Advance, Age, FailureReason, Next, NodeReport, Payment, Pending, Record, RecordState,
    Reopening, State, Trust,
};
use crate::domain::{Actor, Millis, Msat, Preimage, Timestamp, Withdraw};

/// What an operator decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The payee has the money.
    Paid {
        /// The proof of payment.
        preimage: Preimage,
        /// The routing fee, as far as the operator knows.
        fee: Option<Msat>,
    },
    /// The payee has no money of it, and will get none.
    Failed {
        /// The operator confirms that the node that was asked is gone and will never run again.
        node_unreachable: bool,
        /// The payee confirms that nothing was paid.
        payee_unpaid: bool,
        /// The node reports it as in flight for ever, though no channel holds an HTLC of it (lnd issue
        /// 5152).
        stranded: bool,
    },
}

/// What the node reports about a payment in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeSays {
    /// Nothing: the node cannot be asked.
    Nothing,
    /// Nothing that counts: a different node answers, and does not know the payment or reports it as
    /// failed.
    OtherNode,
    /// The node knows no such payment.
    NotFound,
    /// In flight.
    InFlight,
    /// In flight, as the right node reports. But the invoice has expired, and the node reports no HTLC
    /// of it in any channel.
    Stranded,
    /// Paid. With the fee if the right node answers and hash, amount and preimage match.
    Paid {
        /// The routing fee.
        fee: Option<Msat>,
    },
    /// Failed.
    Failed {
        /// Whether this alone proves that nothing was paid: the right node, with its records intact,
        /// reports about this very attempt, and the payee did not reject it.
        suffices: bool,
    },
}

/// Whether any channel holds an HTLC of a payment that the node reports as in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stranding {
    /// The channels were not asked.
    NotAsked,
    /// A channel, open or closing, holds an HTLC of it or may hold one.
    Held,
    /// No channel holds one.
    NotHeld,
}

/// Why a payment cannot be resolved as the operator requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unresolvable {
    /// It is in this state, not NEEDS_OPERATOR.
    NotInDoubt(State),
    /// The preimage does not hash to the payment hash.
    WrongPreimage,
    /// A send may still arrive: until this instant, or for an unknown time.
    SendMayStillArrive(Option<Timestamp>),
    /// A send was never answered, and the node has not been seen to store a payment since.
    SendUnanswered,
    /// It counts as stranded only after its invoice has expired, at this instant.
    InvoiceStillValid(Timestamp),
    /// A channel holds an HTLC of it.
    HtlcHeld,
    /// The node reports it as in flight.
    NodeSaysInFlight,
    /// The node reports it as paid.
    NodeSaysPaid,
    /// The operator must confirm more.
    Unconfirmed {
        /// What the node reported.
        said: NodeSays,
        /// Not confirmed: that the node is gone.
        node_unreachable: bool,
        /// Not confirmed: that the payee was not paid.
        payee_unpaid: bool,
    },
}

impl NodeSays {
    /// Classifies a lookup's answer. `report` is `record`, checked against the attempt.
    pub fn of(record: Option<&Record>, report: NodeReport, trust: Trust) -> Self {
        // "In flight" and "paid" are taken from the record as it is: the money may be ours even if another
        // node answers or the record does not match.
        match record.map(|record| record.state) {
            Some(RecordState::InFlight) => Self::InFlight,
            Some(RecordState::Succeeded { .. }) => Self::Paid { fee: fee_of(report, trust) },
            // Another node that does not know the payment proves nothing about the node that was asked.
            None | Some(RecordState::Failed(_) | RecordState::ResultLost)
                if trust == Trust::OtherNode =>
            {
                Self::OtherNode
            }
            None => Self::NotFound,
            Some(RecordState::Failed(_) | RecordState::ResultLost) => {
                Self::Failed { suffices: suffices(report, trust) }
            }
        }
    }

    /// The same for a payment that the operator calls stranded, by the clock that is behind.
    pub fn stranded(
        self,
        payment: &Payment,
        (trust, stranding): (Trust, Stranding),
        (earlier, clock_skew): (Timestamp, Millis),
    ) -> Result<Self, Unresolvable> {
        match (self, trust, stranding) {
            (Self::InFlight, Trust::Same, Stranding::NotHeld) => {
                let expired = payment.invoice_expires_at.plus(clock_skew);
                if earlier <= expired {
                    return Err(Unresolvable::InvoiceStillValid(expired));
                }
                Ok(Self::Stranded)
            }
            (Self::InFlight, Trust::Same, Stranding::Held) => Err(Unresolvable::HtlcHeld),
            (said, _, _) => Ok(said),
        }
    }

    /// Its name for operators and in the note of the decision.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "UNREACHABLE",
            Self::OtherNode => "OTHER_NODE",
            Self::NotFound => "NOT_FOUND",
            Self::InFlight => "IN_FLIGHT",
            Self::Stranded => "STRANDED",
            Self::Paid { .. } => "PAID",
            Self::Failed { .. } => "FAILED",
        }
    }
}

/// The fee, if the right node reports it: another node's fee is not ours.
fn fee_of(report: NodeReport, trust: Trust) -> Option<Msat> {
    match (report, trust) {
        (NodeReport::Succeeded { fee, .. }, Trust::Same | Trust::Forgetful) => Some(fee),
        (NodeReport::Succeeded { .. }, Trust::OtherNode)
        | (
            NodeReport::NotFound
            | NodeReport::InFlight(_)
            | NodeReport::Failed(..)
            | NodeReport::Contradiction(..),
            _,
        ) => None,
    }
}

/// Whether a failure proves that nothing was paid. A payee that was paid before rejects a payment just
/// like one that does not know the invoice. And a failure from before the attempt says nothing about
/// the attempt.
fn suffices(report: NodeReport, trust: Trust) -> bool {
    match (report, trust) {
        (NodeReport::Failed(reason, Age::Since), Trust::Same) => {
            reason != FailureReason::IncorrectPaymentDetails
        }
        (NodeReport::Failed(_, Age::BeforeWithdraw | Age::BeforeAttempt), Trust::Same)
        | (NodeReport::Failed(..), Trust::OtherNode | Trust::Forgetful)
        | (
            NodeReport::NotFound
            | NodeReport::InFlight(_)
            | NodeReport::Succeeded { .. }
            | NodeReport::Contradiction(..),
            _,
        ) => false,
    }
}

/// The checks of a decision that need no answer from the node.
pub fn resolvable(payment: &Payment, outcome: Outcome) -> Result<(), Unresolvable> {
    match payment.state {
        State::NeedsOperator { .. } => {}
        // The table leaves it in flight for ever; the operator may know better.
        State::InFlight if matches!(outcome, Outcome::Failed { stranded: true, .. }) => {}
        State::Reserved
        | State::Sending
        | State::InFlight
        | State::Paid { .. }
        | State::Failed { .. } => return Err(Unresolvable::NotInDoubt(payment.state)),
    }
    match outcome {
        Outcome::Paid { preimage, .. } if preimage.hash() != payment.payment_hash => {
            Err(Unresolvable::WrongPreimage)
        }
        Outcome::Paid { .. } | Outcome::Failed { .. } => Ok(()),
    }
}

/// What follows from an operator's decision.
pub fn resolve(
    payment: &Payment,
    outcome: Outcome,
    said: NodeSays,
    pending: Pending,
) -> Result<Next, Unresolvable> {
    resolvable(payment, outcome)?;
    match outcome {
        Outcome::Paid { preimage, fee } => resolve_as_paid(preimage, fee, said),
        Outcome::Failed { node_unreachable, payee_unpaid, stranded: _ } => {
            resolve_as_failed(said, pending, node_unreachable, payee_unpaid)
        }
    }
}

fn resolve_as_paid(
    preimage: Preimage,
    given: Option<Msat>,
    said: NodeSays,
) -> Result<Next, Unresolvable> {
    let fee = match said {
        NodeSays::InFlight | NodeSays::Stranded => return Err(Unresolvable::NodeSaysInFlight),
        NodeSays::Paid { fee: Some(fee) } => fee,
        NodeSays::Paid { fee: None }
        | NodeSays::Nothing
        | NodeSays::OtherNode
        | NodeSays::NotFound
        | NodeSays::Failed { .. } => given.unwrap_or(Msat::ZERO),
    };
    Ok(Next::Pay { preimage, fee })
}

fn resolve_as_failed(
    said: NodeSays,
    pending: Pending,
    node_unreachable: bool,
    payee_unpaid: bool,
) -> Result<Next, Unresolvable> {
    let (needs_node, needs_payee) = match said {
        NodeSays::InFlight => return Err(Unresolvable::NodeSaysInFlight),
        NodeSays::Paid { .. } => return Err(Unresolvable::NodeSaysPaid),
        NodeSays::Nothing | NodeSays::OtherNode => (true, true),
        NodeSays::NotFound | NodeSays::Stranded | NodeSays::Failed { suffices: false } => {
            (false, true)
        }
        NodeSays::Failed { suffices: true } => (false, false),
    };
    match pending {
        Pending::Over => {}
        // No witness can come from a node that is gone, and any send that it held is gone with it.
        Pending::Unwitnessed if needs_node => {}
        Pending::Unwitnessed => return Err(Unresolvable::SendUnanswered),
        Pending::Until(at) => return Err(Unresolvable::SendMayStillArrive(Some(at))),
        Pending::Unsettled => return Err(Unresolvable::SendMayStillArrive(None)),
    }
    let node_unreachable = needs_node && !node_unreachable;
    let payee_unpaid = needs_payee && !payee_unpaid;
    if node_unreachable || payee_unpaid {
        return Err(Unresolvable::Unconfirmed { said, node_unreachable, payee_unpaid });
    }
    Ok(Next::Fail(FailureReason::ResolvedByOperator))
}

impl Payment {
    /// The step that follows from what [`resolve`] allowed.
    pub fn resolved(
        self,
        next: Next,
        said: NodeSays,
        by: Actor,
        withdraw: Withdraw,
        reopening: &Reopening,
        now: Timestamp,
    ) -> Advance {
        let mut advance = self.follow(next, withdraw, reopening, now);
        if let Some(change) = &mut advance.change {
            change.event.detail = Some(FailureReason::ResolvedByOperator.name());
            change.event.by = Some(by);
        }
        // The node did not confirm it. If the node does not know the payment, it would otherwise seem to
        // have lost records, for ever.
        if !matches!(said, NodeSays::Paid { fee: Some(_) }) {
            advance.known_at = None;
            advance.unknown_to_node = true;
        }
        advance
    }
}

impl Outcome {
    /// The note that is stored with a decision: the facts first, then the operator's reason in full.
    pub fn note(&self, said: NodeSays, reason: &str) -> String {
        let (outcome, confirmed) = match *self {
            Self::Paid { .. } => ("PAID", "preimage".to_owned()),
            Self::Failed { node_unreachable, payee_unpaid, stranded } => {
                let all = [
                    (node_unreachable, "node unreachable"),
                    (payee_unpaid, "payee unpaid"),
                    (stranded, "stranded"),
                ];
                let confirmed: Vec<_> =
                    all.into_iter().filter_map(|(given, name)| given.then_some(name)).collect();
                (
                    "FAILED",
                    if confirmed.is_empty() { "nothing".to_owned() } else { confirmed.join(", ") },
                )
            }
        };
        let said = said.name();
        format!("resolved as: {outcome}; node said: {said}; confirmed: {confirmed}; why: {reason}")
    }
}
