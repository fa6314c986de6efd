//! The whole instance and its node.

use async_trait::async_trait;

use super::StoreError;
use crate::{
    domain::{Heartbeat, Millis, NodeId, NodeTrouble, Standing, Timestamp, Turn},
    ports::Introduction,
};

/// The whole instance, every replica at once: its switches, and the node that pays.
#[async_trait]
pub trait Instance: Send + Sync {
    /// The same as [`standing`](super::PublicStore::standing), for an operator: does not queue behind wallets.
    async fn standing_for_operator(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<Standing, StoreError>;

    /// Writes what the node said, unless it is not the one that pays.
    async fn beat(&self, beat: &Heartbeat) -> Result<(), StoreError>;

    /// Writes what keeps the node from us, for every process to see; none once nothing does.
    async fn report_trouble(
        &self,
        trouble: Option<&NodeTrouble>,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Turns the instance's switches; when this returns, no claim and no send is committed that the
    /// turn forbids. False if it stood like that already. Within a second under any load of claims, or
    /// [`StoreError::Unavailable`]. [`StoreError::Halted`] for a resume or an acknowledgement over a loss that
    /// is not fenced yet; [`StoreError::Stale`] for a fence for lost marks that are all there.
    async fn turn(&self, turn: &Turn) -> Result<bool, StoreError>;

    /// The node that pays; none before the first was seen.
    async fn current_node(&self) -> Result<Option<NodeId>, StoreError>;

    /// Makes `node` the one that pays if there is none yet, or if `replace`. Returns the one that
    /// pays now.
    async fn remember_node(
        &self,
        node: &Introduction,
        backend: &str,
        replace: bool,
        now: Timestamp,
    ) -> Result<NodeId, StoreError>;
}
