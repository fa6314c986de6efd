//! A node's record of a payment, checked against the attempt that asked for it.

use super::{FailureReason, OperatorReason, Payment};
use crate::domain::{Millis, Msat, PaymentHash, Preimage, Timestamp};

/// A node's record of a payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// The payment that the record is about.
    pub payment_hash: PaymentHash,
    /// Its amount without fees.
    pub amount: Msat,
    /// When the node created the record.
    pub created: Timestamp,
    /// Its state at the node.
    pub state: RecordState,
}

/// The state of a payment at its node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordState {
    /// Started and not final. HTLCs may be in flight.
    InFlight,
    /// Paid, as the node reports.
    Succeeded {
        /// The node's proof; 64 zeros while lnd has none.
        preimage: Preimage,
        /// The routing fee.
        fee: Msat,
    },
    /// Failed, with no HTLC in flight.
    Failed(FailureReason),
    /// Reported as failed, but the node has lost the result of an HTLC, which the payee may have
    /// settled. (lnd's `failStaleAttempt` at start: an HTLC that failed with `UNKNOWN_FAILURE`.)
    ResultLost,
}

/// When the node created its record, relative to the attempt. If clock skew leaves it unclear, the
/// record counts as the younger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// Before the withdraw request existed: it cannot be our payment.
    BeforeWithdraw,
    /// Before the invoice was accepted.
    BeforeAttempt,
    /// After the invoice was accepted.
    Since,
}

/// A node's answer about an attempt, after its record was checked against the attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NodeReport {
    /// The node knows no payment of this hash.
    NotFound,
    /// In flight.
    InFlight(Age),
    /// Paid. Hash, amount and preimage match.
    Succeeded {
        /// The proof of payment.
        preimage: Preimage,
        /// The routing fee.
        fee: Msat,
        /// When the record was created.
        age: Age,
    },
    /// Failed.
    Failed(FailureReason, Age),
    /// A record that only an operator can judge: of another hash or amount, with a wrong preimage, or
    /// with a lost HTLC result.
    Contradiction(OperatorReason, Age),
}

impl NodeReport {
    /// Checks `record` against `payment`. The request's creation time is the one in its id.
    pub fn of(record: Option<&Record>, payment: &Payment, clock_skew: Millis) -> Self {
        let Some(record) = record else {
            return Self::NotFound;
        };
        let age = age(record, payment, clock_skew);
        if record.payment_hash != payment.payment_hash || record.amount != payment.amount {
            return Self::Contradiction(OperatorReason::AnswerMismatch, age);
        }
        match record.state {
            RecordState::InFlight => Self::InFlight(age),
            RecordState::Failed(reason) => Self::Failed(reason, age),
            RecordState::ResultLost => Self::Contradiction(OperatorReason::ResultLost, age),
            RecordState::Succeeded { preimage, fee } if preimage.hash() == payment.payment_hash => {
                Self::Succeeded { preimage, fee, age }
            }
            RecordState::Succeeded { .. } => {
                Self::Contradiction(OperatorReason::WrongPreimage, age)
            }
        }
    }
}

fn age(record: &Record, payment: &Payment, clock_skew: Millis) -> Age {
    let latest = record.created.plus(clock_skew);
    if latest < payment.withdraw.created() {
        Age::BeforeWithdraw
    } else if latest < payment.id.created() {
        Age::BeforeAttempt
    } else {
        Age::Since
    }
}
