//! Errors of the use cases on the whole instance.

use crate::{
    domain::{NotRestorable, PaymentHash, Violation, WithdrawId},
    lookup::LookupError,
    ports::StoreError,
    service::Failure,
};

/// Why a use case on the instance did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Invalid input, with every rule that is broken.
    #[error("{} fields are invalid", .0.len())]
    Invalid(Vec<Violation>),
    /// There is no such withdraw request.
    #[error("no such withdraw request")]
    WithdrawNotFound,
    /// There is no fence to end.
    #[error("the instance is not fenced")]
    NotFenced,
    /// The payment is not among those that the database does not know.
    #[error("the node lists no such payment that the database does not know")]
    NotUnknown {
        /// Which.
        payment_hash: PaymentHash,
    },
    /// The fence stays: the node has more payments that the database does not know than one answer lists, and
    /// the operator has not confirmed to have listed them all.
    #[error("too many payments of the node are unknown to the database")]
    TooManyUnknown,
    /// The request cannot have been paid with this payment.
    #[error("{withdraw} cannot be marked as paid")]
    NotRestorable {
        /// The request.
        withdraw: WithdrawId,
        /// Why not.
        #[source]
        why: NotRestorable,
    },
    /// It could not be carried out.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<StoreError> for InstanceError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<LookupError> for InstanceError {
    fn from(error: LookupError) -> Self {
        Self::Failed(error.into())
    }
}
