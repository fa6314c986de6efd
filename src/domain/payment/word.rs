//! A node's record of a payment, checked against the attempt that asked for it.

use super::{FailureReason, OperatorReason, Payment};
use crate::domain::{Millis, Msat, PaymentHash, Preimage, Timestamp};

/// What a node knows of a payment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Which payment the node speaks of.
    pub payment_hash: PaymentHash,
    /// What it pays, without fees.
    pub amount: Msat,
    /// When the node made the record.
    pub created: Timestamp,
    /// Where it stands at the node.
    pub state: RecordState,
}

/// Where a payment stands at its node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordState {
    /// Begun, not ended. HTLCs may be out.
    InFlight,
    /// Paid, as the node says.
    Succeeded {
        /// What the node shows as proof: 64 zeros while lnd has none.
        preimage: Preimage,
        /// What routing cost.
        fee: Msat,
    },
    /// Ended without paying, no HTLC out.
    Failed(FailureReason),
    /// Called failed, though the result of an HTLC was lost: the payee may have been paid. (lnd, after a
    /// restart: `failStaleAttempt`, an HTLC with `UNKNOWN_FAILURE`.)
    ResultLost,
}

/// When the node made its record, as seen from the attempt. Doubt counts as younger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// Before the withdraw request existed: it cannot have been ours.
    BeforeWithdraw,
    /// Before the invoice was accepted.
    BeforeAttempt,
    /// Since then.
    Since,
}

/// What a node's answer means for an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Word {
    /// The node knows no payment of this hash.
    NotFound,
    /// It is on its way.
    InFlight(Age),
    /// Paid; hash, amount and preimage were checked.
    Succeeded {
        /// The proof.
        preimage: Preimage,
        /// What routing cost.
        fee: Msat,
        /// When the record was made.
        age: Age,
    },
    /// Ended without paying.
    Failed(FailureReason, Age),
    /// The answer cannot be about our payment, or proves nothing.
    Contradiction(OperatorReason, Age),
}

impl Word {
    /// Checks `record` against `payment`, whose request was made at the time in its id.
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
