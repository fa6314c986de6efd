//! The state of the whole instance, and the node that pays.

use async_trait::async_trait;

use super::StoreError;
use crate::{
    domain::{Heartbeat, InstanceCommand, InstanceStatus, Millis, NodeId, NodeTrouble, Timestamp},
    ports::Introduction,
};

/// State that all replicas share: the pause and the fence, and the node that pays.
#[async_trait]
pub trait Instance: Send + Sync {
    /// Like [`instance_status`](super::PublicStore::instance_status), for operators: does not queue behind
    /// wallets' requests.
    async fn instance_status_for_operator(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<InstanceStatus, StoreError>;

    /// Stores a heartbeat, unless it is from a node other than the one that pays.
    async fn beat(&self, beat: &Heartbeat) -> Result<(), StoreError>;

    /// Stores why the node cannot be used, for every process to see. None clears it.
    async fn report_trouble(
        &self,
        trouble: Option<&NodeTrouble>,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Executes a command. Once this returns, no claim or send that the command forbids can commit.
    /// False if nothing changed. Takes at most a second under any load of claims, or fails with
    /// [`StoreError::Unavailable`]. Fails with [`StoreError::Halted`] for a resume or an
    /// acknowledgement while a loss is not fenced yet, and with [`StoreError::Stale`] for a fence for
    /// lost marks when no mark is missing.
    async fn execute_command(&self, command: &InstanceCommand) -> Result<bool, StoreError>;

    /// The node that pays; None before the first one was seen.
    async fn current_node(&self) -> Result<Option<NodeId>, StoreError>;

    /// Makes `node` the one that pays if there is none yet or if `replace` is set. Returns the node
    /// that pays now.
    async fn remember_node(
        &self,
        node: &Introduction,
        backend: &str,
        replace: bool,
        now: Timestamp,
    ) -> Result<NodeId, StoreError>;
}
