//! What a step of an attempt means to those who hear of it: the log, the metrics, later webhooks. Described
//! once, here; each of them only says it in its own way.

use super::{FailureReason, OperatorReason, Payment, State, StateKind};
use crate::domain::{Msat, Timestamp};

/// A step that somebody hears of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transition {
    /// It moved on, and has not ended.
    Advanced(StateKind),
    /// The payee has the money, and the request is PAID.
    Paid {
        /// What routing cost.
        fee: Msat,
        /// When.
        at: Timestamp,
        /// What came before.
        after: PaidAfter,
    },
    /// It has failed.
    Failed(FailureReason),
    /// It is in doubt.
    NeedsOperator(OperatorReason),
    /// It was closed as failed, and is paid after all: the request was no longer free.
    LateSuccess {
        /// What routing cost.
        fee: Msat,
        /// When.
        at: Timestamp,
    },
}

/// What came before a payment was PAID.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PaidAfter {
    /// It was open.
    Open,
    /// It was closed as failed; the request was still free.
    Failure,
    /// Its money had been heard of as a late success already.
    LateSuccess,
}

impl Transition {
    /// What the step from `before` to `after` means; none if nobody hears of it.
    pub fn of(before: &State, after: &Payment) -> Option<Self> {
        Some(match (before, &after.state) {
            // Known already.
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
