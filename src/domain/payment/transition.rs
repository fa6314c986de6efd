//! What a step of an attempt means to the log, the metrics and later webhooks. It is classified here
//! once; each of them only formats it.

use super::{FailureReason, OperatorReason, Payment, State, StateKind};
use crate::domain::{Msat, Timestamp};

/// A step that is reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transition {
    /// It advanced, and has not ended.
    Advanced(StateKind),
    /// The payee has the money, and the request is PAID.
    Paid {
        /// The routing fee.
        fee: Msat,
        /// When.
        at: Timestamp,
        /// What preceded it.
        after: PaidAfter,
    },
    /// Failed.
    Failed(FailureReason),
    /// In doubt.
    NeedsOperator(OperatorReason),
    /// It was closed as failed and paid after all, when the request was no longer free.
    LateSuccess {
        /// The routing fee.
        fee: Msat,
        /// When.
        at: Timestamp,
    },
}

/// What preceded PAID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PaidAfter {
    /// The attempt was open.
    Open,
    /// The attempt was closed as failed; the request was still free.
    Failure,
    /// It had been reported as a late success already.
    LateSuccess,
}

impl Transition {
    /// The meaning of the step from `before` to `after`; None if it is not reported.
    pub fn of(before: &State, after: &Payment) -> Option<Self> {
        Some(match (before, &after.state) {
            // Reported already.
            (State::Failed { late: Some(_), .. }, State::Failed { .. }) => return None,
            (_, State::Failed { late: Some(late), .. }) => {
                Self::LateSuccess { fee: late.fee, at: late.at }
            }
            (before, after) if before.kind() == after.kind() => return None,
            (before, State::Paid { fee, at, .. }) => {
                let after = match before {
                    State::Failed { late: Some(_), .. } => PaidAfter::LateSuccess,
                    State::Failed { late: None, .. } => PaidAfter::Failure,
                    State::Reserved
                    | State::Sending
                    | State::InFlight
                    | State::Paid { .. }
                    | State::NeedsOperator { .. } => PaidAfter::Open,
                };
                Self::Paid { fee: *fee, at: *at, after }
            }
            (_, State::Failed { reason, late: None, .. }) => Self::Failed(*reason),
            (_, State::NeedsOperator { reason, .. }) => Self::NeedsOperator(*reason),
            (_, after @ (State::Reserved | State::Sending | State::InFlight)) => {
                Self::Advanced(after.kind())
            }
        })
    }
}
