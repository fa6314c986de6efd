//! The failures that every use case can have.

use crate::{
    lookup::LookupError,
    ports::{NodeError, StoreError},
    runtime::Detached,
};

/// Why a use case could not be carried out, other than the errors of its own noun.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Refused for now: the instance is paused or fenced, its database server is not verified, or a send
    /// that was lost with the previous server may still take effect.
    #[error("the instance is halted")]
    Halted,
    /// The store cannot be reached, or its answer was lost: try again.
    #[error("the store is unavailable")]
    Unavailable(#[source] StoreError),
    /// A bug, or a row that this version cannot read.
    #[error("internal error")]
    Internal(#[source] StoreError),
    /// The node cannot be asked.
    #[error("the node cannot be asked")]
    Node(#[source] NodeError),
    /// This process has no node: another one pays.
    #[error("this process has no node")]
    NodeNotHere,
    /// The process is stopping.
    #[error("the service is stopping")]
    Stopping,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            // A row that has changed at every read is a matter of load, not a defect.
            StoreError::Unavailable { .. } | StoreError::Unknown(_) | StoreError::Stale => {
                Self::Unavailable(error)
            }
            StoreError::Halted(_) => Self::Halted,
            StoreError::Failed { .. } => Self::Internal(error),
        }
    }
}

impl From<LookupError> for Failure {
    fn from(error: LookupError) -> Self {
        match error {
            LookupError::Store(error) => error.into(),
            LookupError::Node(error) => Self::Node(error),
        }
    }
}

/// The result of a use case that runs to its end even if the caller goes away.
pub(super) async fn finished<T, E: From<Failure>>(work: Detached<Result<T, E>>) -> Result<T, E> {
    work.await.ok_or(Failure::Stopping)?
}
