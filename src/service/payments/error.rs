//! Errors of the use cases on payments.

use crate::{
    domain::{Violation, payment::Unresolvable},
    lookup::LookupError,
    ports::StoreError,
    service::Failure,
};

/// Why a use case on a payment did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// Invalid input, with every rule that is broken.
    #[error("{} fields are invalid", .0.len())]
    Invalid(Vec<Violation>),
    /// There is no such payment.
    #[error("no such payment")]
    NotFound,
    /// The payment cannot be resolved this way.
    #[error("the payment cannot be resolved this way")]
    Unresolvable(Unresolvable),
    /// It could not be carried out.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<StoreError> for PaymentError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<LookupError> for PaymentError {
    fn from(error: LookupError) -> Self {
        Self::Failed(error.into())
    }
}
