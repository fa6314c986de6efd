//! How a person ends a doubt: what is demanded of them, by what the node says.
//!
//! The node is asked first, and its word binds the operator: what it calls paid or on its way is
//! never closed as failed. A word that proves nothing needs the payee's beside it.

use super::{
    Advance, Age, FailureReason, Next, Payment, Pending, Record, RecordState, Reopening, State,
    Trust, Word,
};
use crate::domain::{Actor, Millis, Msat, Preimage, Timestamp, Withdraw};

/// What an operator decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The payee has the money.
    Paid {
        /// The proof.
        preimage: Preimage,
        /// What routing cost, as far as the operator knows.
        fee: Option<Msat>,
    },
    /// The payee has none of it, and will get none.
    Failed {
        /// The operator knows that the node that was asked is gone, and will never run again.
        node_unreachable: bool,
        /// The payee says so too.
        payee_unpaid: bool,
        /// The node calls it in flight for ever, though no channel holds it (lnd issue 5152).
        stranded: bool,
    },
}

/// What the node says of a payment in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeSays {
    /// Nothing: it cannot be asked.
    Nothing,
    /// Nothing: another node answers, and does not know it, or calls it failed.
    OtherNode,
    /// It knows no such payment.
    NotFound,
    /// It is on its way.
    InFlight,
    /// It is on its way, says the right node; but the invoice has expired and no channel holds an HTLC of
    /// it, as the node was asked.
    Stranded,
    /// It is paid; with the fee, where hash, amount and preimage fit and the right node says so.
    Paid {
        /// What routing cost.
        fee: Option<Msat>,
    },
    /// It ended without paying.
    Failed {
        /// By the right node, with its memory, of this very attempt, and not because the payee refused.
        suffices: bool,
    },
}

/// Whether what the node calls in flight holds money anywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stranding {
    /// Nobody asked.
    NotAsked,
    /// A channel, open or closing, holds an HTLC of it, or may hold one.
    Held,
    /// None does.
    NotHeld,
}

/// Why a payment cannot be resolved as the operator says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unresolvable {
    /// It is not NEEDS_OPERATOR but this.
    NotInDoubt(State),
    /// The preimage does not hash to the payment hash.
    WrongPreimage,
    /// A send may still arrive: until then, or it is not known until when.
    SendMayStillArrive(Option<Timestamp>),
    /// A send was never answered, and the node has not shown since that it stores payments.
    SendUnanswered,
    /// It is stranded only once its invoice has expired.
    InvoiceStillValid(Timestamp),
    /// A channel holds an HTLC of it.
    HtlcHeld,
    /// The node says that it is on its way.
    NodeSaysInFlight,
    /// The node says that it is paid.
    NodeSaysPaid,
    /// The operator has to know more.
    Unconfirmed {
        /// What the node said.
        said: NodeSays,
        /// That the node cannot be asked is not confirmed.
        node_unreachable: bool,
        /// That the payee was not paid is not confirmed.
        payee_unpaid: bool,
    },
}

impl NodeSays {
    /// What a look-up's answer comes to. `word` is `record`'s, checked against the attempt.
    pub fn of(record: Option<&Record>, word: Word, trust: Trust) -> Self {
        // By the record, not by the word: money that is on its way may be ours, whoever answers and
        // however little the answer fits.
        match record.map(|record| record.state) {
            Some(RecordState::InFlight) => Self::InFlight,
            Some(RecordState::Succeeded { .. }) => Self::Paid { fee: fee_of(word, trust) },
            // Another node's ignorance is not the word of the one that was asked.
            None | Some(RecordState::Failed(_) | RecordState::ResultLost)
                if trust == Trust::OtherNode =>
            {
                Self::OtherNode
            }
            None => Self::NotFound,
            Some(RecordState::Failed(_) | RecordState::ResultLost) => {
                Self::Failed { suffices: suffices(word, trust) }
            }
        }
    }

    /// The same of a payment that an operator calls stranded, at the earlier clock.
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

    /// For people and for the record of what was decided.
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

/// Another node's fee is not ours.
fn fee_of(word: Word, trust: Trust) -> Option<Msat> {
    match (word, trust) {
        (Word::Succeeded { fee, .. }, Trust::Same | Trust::Forgetful) => Some(fee),
        (Word::Succeeded { .. }, Trust::OtherNode)
        | (Word::NotFound | Word::InFlight(_) | Word::Failed(..) | Word::Contradiction(..), _) => {
            None
        }
    }
}

/// A payee that was paid before refuses as one does that knows no such invoice; and a failure from
/// before the attempt says nothing about it.
fn suffices(word: Word, trust: Trust) -> bool {
    match (word, trust) {
        (Word::Failed(reason, Age::Since), Trust::Same) => {
            reason != FailureReason::IncorrectPaymentDetails
        }
        (Word::Failed(_, Age::BeforeWithdraw | Age::BeforeAttempt), Trust::Same)
        | (Word::Failed(..), Trust::OtherNode | Trust::Forgetful)
        | (
            Word::NotFound | Word::InFlight(_) | Word::Succeeded { .. } | Word::Contradiction(..),
            _,
        ) => false,
    }
}

/// What can be said of a decision before the node is asked.
pub fn resolvable(payment: &Payment, outcome: Outcome) -> Result<(), Unresolvable> {
    match payment.state {
        State::NeedsOperator { .. } => {}
        // The table leaves it in flight for ever; a person may know better.
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
        Outcome::Paid { preimage, fee } => as_paid(preimage, fee, said),
        Outcome::Failed { node_unreachable, payee_unpaid, stranded: _ } => {
            as_failed(said, pending, node_unreachable, payee_unpaid)
        }
    }
}

fn as_paid(preimage: Preimage, given: Option<Msat>, said: NodeSays) -> Result<Next, Unresolvable> {
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

fn as_failed(
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
        // A node that is gone brings no witness; what it held is gone with it.
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
    /// The facts that follow from what [`resolve`] allowed.
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
        // Paid by the operator's word: a node that does not know it would look as if it had lost its
        // memory, for ever.
        if !matches!(said, NodeSays::Paid { fee: Some(_) }) {
            advance.known_at = None;
            advance.no_witness = true;
        }
        advance
    }
}

impl Outcome {
    /// What is kept of a decision: what was known first, and the operator's own words to the end.
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
                    all.into_iter().filter_map(|(is, name)| is.then_some(name)).collect();
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
