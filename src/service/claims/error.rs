//! Errors of the public side's use cases.

use crate::{domain::Refusal, ports::StoreError, service::Failure};

/// Why a wallet did not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// The rules refuse it; the wallet gets the reason.
    #[error("the claim is refused")]
    Refused(Refusal),
    /// It could not be decided.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<Refusal> for ClaimError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for ClaimError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}
