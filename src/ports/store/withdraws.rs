//! Withdraw requests and their events.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Change, Event, ListQuery, Timestamp, Withdraw, WithdrawId, WithdrawView};

/// What became of one entry of a bulk create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// A row was written.
    Created,
    /// The request id was used before, for the same content: the request as it stands now.
    Replayed(Box<WithdrawView>),
    /// The request id was used before, for other content. Nothing of the bulk was written.
    Conflict,
}

/// Withdraw requests, and what has happened to them.
#[async_trait]
pub trait Withdraws: Send + Sync {
    /// Writes all, or none when one of them is a [`CreateOutcome::Conflict`]. One outcome each.
    async fn create(&self, withdraws: &[Withdraw]) -> Result<Vec<CreateOutcome>, StoreError>;

    /// One by its id.
    async fn withdraw(&self, id: WithdrawId) -> Result<Option<WithdrawView>, StoreError>;

    /// A page, newest first.
    async fn list(&self, query: &ListQuery) -> Result<Vec<WithdrawView>, StoreError>;

    /// Writes changes, each on its own version: true where it was written, false where the row had
    /// moved.
    async fn change(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError>;

    /// Those whose mark `claimable` has to be looked at: expired, or due to reopen.
    async fn due_to_tick(&self, now: Timestamp, limit: i64) -> Result<Vec<Withdraw>, StoreError>;

    /// All events of one request, in order.
    async fn events_of(&self, id: WithdrawId) -> Result<Vec<Event>, StoreError>;
}
