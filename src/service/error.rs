//! What a use case answers instead of a result. Adapters map it, exhaustively, to their own wire.

use super::Distrust;
use crate::{
    domain::{
        NotDeactivatable, NotRestorable, PaymentHash, Violation, WithdrawId, payment::Unresolvable,
    },
    ports::{NodeError, StoreError},
};

/// Why a use case did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Bad input: every rule that is broken.
    #[error("{} fields are not as they must be", .0.len())]
    Invalid(Vec<Violation>),
    /// There is no such request.
    #[error("no such withdraw request")]
    NotFound,
    /// There is no such payment.
    #[error("no such payment")]
    PaymentNotFound,
    /// The payment cannot be resolved so.
    #[error("the payment cannot be resolved so")]
    Unresolvable(Unresolvable),
    /// The request id was used for other content; in a batch, by which entry.
    #[error("the request id was used with other content")]
    RequestIdConflict {
        /// Its place in the batch.
        index: usize,
    },
    /// It cannot be deactivated.
    #[error("the withdraw request cannot be deactivated")]
    NotDeactivatable(NotDeactivatable),
    /// There is no fence to end.
    #[error("the instance is not fenced")]
    NotFenced,
    /// Not among the payments that the database does not know.
    #[error("the node made no such payment that the database does not know")]
    NotUnknown {
        /// Which.
        payment_hash: PaymentHash,
    },
    /// It cannot be what the request was paid with.
    #[error("{withdraw} cannot be marked as paid")]
    NotRestorable {
        /// The request.
        withdraw: WithdrawId,
        /// Why not.
        #[source]
        why: NotRestorable,
    },
    /// The node cannot be asked.
    #[error("the node cannot be asked")]
    Node(#[source] NodeError),
    /// Nothing is sent or closed now: the instance is halted, or this process has not made sure of its
    /// database for long enough.
    #[error("the instance is halted")]
    Halted,
    /// The store cannot be reached, or its answer was lost: try again.
    #[error("the store is unavailable")]
    Unavailable(#[source] StoreError),
    /// A defect.
    #[error("internal error")]
    Internal(#[source] StoreError),
    /// It took too long; what it was to change may still be changed.
    #[error("it took too long")]
    TimedOut,
    /// The process is going away.
    #[error("the service is stopping")]
    Stopping,
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            // A row that moves each time that it is read is a matter of load, not a defect.
            StoreError::Unavailable { .. } | StoreError::Unknown(_) | StoreError::Stale => {
                Self::Unavailable(error)
            }
            StoreError::Halted(_) => Self::Halted,
            StoreError::Failed { .. } => Self::Internal(error),
        }
    }
}

impl From<Distrust> for ServiceError {
    fn from(error: Distrust) -> Self {
        match error {
            Distrust::Store(error) => error.into(),
            Distrust::Node(error) => Self::Node(error),
        }
    }
}
