//! How a person ends a doubt: what is demanded of them, by what the node says.
//!
//! The node is asked first, and its word binds the operator: what it calls paid or on its way is
//! never closed as failed. A word that proves nothing needs the payee's beside it.

use super::{
    Advance, Age, FailureReason, Next, OperatorReason, Payment, Record, RecordState, Reopening,
    SendLimits, State, Trust, Word,
};
use crate::domain::{Millis, Msat, Operator, Preimage, Timestamp, Withdraw};

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
        /// The operator knows that the node cannot be asked.
        node_unreachable: bool,
        /// The payee says so too.
        payee_unpaid: bool,
    },
}

/// What the node says of a payment in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeSays {
    /// Nothing: it cannot be asked.
    Nothing,
    /// It knows no such payment.
    NotFound,
    /// It is on its way.
    InFlight,
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

/// Whether a send of ours can still reach the node, as known before the node was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pending {
    /// None can.
    Over,
    /// One can until then.
    Until(Timestamp),
    /// Not known: a clock jumped a while ago.
    Unsettled,
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
        let Some(record) = record else {
            return Self::NotFound;
        };
        // By the record, not by the word: money that is on its way may be ours, whoever answers and
        // however little the answer fits.
        match record.state {
            RecordState::InFlight => Self::InFlight,
            RecordState::Succeeded { .. } => Self::Paid { fee: fee_of(word, trust) },
            RecordState::Failed(_) => Self::Failed { suffices: suffices(word, trust) },
        }
    }

    /// For people and for the record of what was decided.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "UNREACHABLE",
            Self::NotFound => "NOT_FOUND",
            Self::InFlight => "IN_FLIGHT",
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
        Outcome::Failed { node_unreachable, payee_unpaid } => {
            as_failed(said, pending, node_unreachable, payee_unpaid)
        }
    }
}

fn as_paid(preimage: Preimage, given: Option<Msat>, said: NodeSays) -> Result<Next, Unresolvable> {
    let fee = match said {
        NodeSays::InFlight => return Err(Unresolvable::NodeSaysInFlight),
        NodeSays::Paid { fee: Some(fee) } => fee,
        NodeSays::Paid { fee: None }
        | NodeSays::Nothing
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
        NodeSays::Nothing => (true, true),
        NodeSays::NotFound | NodeSays::Failed { suffices: false } => (false, true),
        NodeSays::Failed { suffices: true } => (false, false),
    };
    match pending {
        Pending::Over => {}
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
    /// Whether a send can still arrive when an operator decides. `earlier` is the earlier clock,
    /// read before the node is asked; `settled` whether clocks can be believed.
    pub fn pending(
        &self,
        limits: &SendLimits,
        reopening: &Reopening,
        send_life: Millis,
        earlier: Timestamp,
        settled: bool,
    ) -> Pending {
        // A send that was lost with a part of the database was committed before the doubt was.
        let lost = match self.state {
            State::NeedsOperator { reason: OperatorReason::KnownBeforeSend, at } => {
                let deadline = reopening.send_deadline(self, at, send_life);
                Some(deadline.plus(limits.clock_skew).plus(limits.node_slack))
            }
            State::NeedsOperator { .. }
            | State::Reserved
            | State::Sending
            | State::InFlight
            | State::Paid { .. }
            | State::Failed { .. } => None,
        };
        match self.sends.over_at(limits).max(lost) {
            Some(at) if earlier <= at => Pending::Until(at),
            Some(_) | None if settled => Pending::Over,
            Some(_) | None => Pending::Unsettled,
        }
    }

    /// The facts that follow from what [`resolve`] allowed.
    pub fn resolved(
        self,
        next: Next,
        said: NodeSays,
        by: Operator,
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
        let (outcome, confirmed) = match self {
            Self::Paid { .. } => ("PAID", "preimage"),
            Self::Failed { node_unreachable: true, payee_unpaid: true } => {
                ("FAILED", "node unreachable, payee unpaid")
            }
            Self::Failed { node_unreachable: true, payee_unpaid: false } => {
                ("FAILED", "node unreachable")
            }
            Self::Failed { node_unreachable: false, payee_unpaid: true } => {
                ("FAILED", "payee unpaid")
            }
            Self::Failed { node_unreachable: false, payee_unpaid: false } => ("FAILED", "nothing"),
        };
        let said = said.name();
        format!("resolved as: {outcome}; node said: {said}; confirmed: {confirmed}; why: {reason}")
    }
}
