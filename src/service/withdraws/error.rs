//! Errors of the use cases on withdraw requests.

use crate::{
    domain::{NotDeactivatable, Violation},
    ports::StoreError,
    service::Failure,
};

/// Why a use case on a withdraw request did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawError {
    /// Invalid input, with every rule that is broken.
    #[error("{} fields are invalid", .0.len())]
    Invalid(Vec<Violation>),
    /// There is no such request.
    #[error("no such withdraw request")]
    NotFound,
    /// The request id was used before, with other content.
    #[error("the request id was used with different content")]
    RequestIdConflict {
        /// The entry of the batch.
        index: usize,
    },
    /// It cannot be deactivated.
    #[error("the withdraw request cannot be deactivated")]
    NotDeactivatable(NotDeactivatable),
    /// It could not be carried out.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<StoreError> for WithdrawError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}
