//! Withdraw requests and their events.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Change, Event, ListQuery, Timestamp, Withdraw, WithdrawId, WithdrawView};

/// The outcome of one entry of a bulk create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// A row was written.
    Created,
    /// The request id was used before with the same content: the request as it is now.
    Replayed(Box<WithdrawView>),
    /// The request id was used before with other content. Nothing of the batch was written.
    Conflict,
}

/// Withdraw requests and their history.
#[async_trait]
pub trait Withdraws: Send + Sync {
    /// Writes all, or none if one of them is a [`CreateOutcome::Conflict`]. Returns one outcome per
    /// entry.
    async fn create(&self, withdraws: &[Withdraw]) -> Result<Vec<CreateOutcome>, StoreError>;

    /// A request by its id.
    async fn withdraw(&self, id: WithdrawId) -> Result<Option<WithdrawView>, StoreError>;

    /// A page, newest first.
    async fn list(&self, query: &ListQuery) -> Result<Vec<WithdrawView>, StoreError>;

    /// Writes changes, each against its own version: true if it was written, false if the row had
    /// changed.
    async fn change(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError>;

    /// Requests whose `claimable` column must be updated: expired, or due to reopen.
    async fn due_to_mark(&self, now: Timestamp, limit: i64) -> Result<Vec<Withdraw>, StoreError>;

    /// All events of one request, in order.
    async fn events_of(&self, id: WithdrawId) -> Result<Vec<Event>, StoreError>;
}
