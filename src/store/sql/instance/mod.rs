//! The instance: its status, switches and node.

mod status;
mod switches;

use async_trait::async_trait;

use super::{Database, SqlStore, retry::retrying};
use crate::{
    domain::{Heartbeat, InstanceCommand, InstanceStatus, Millis, NodeId, NodeTrouble, Timestamp},
    ports::{Instance, Introduction, StoreError},
};

pub use status::STATUS;
pub use switches::switches;

#[async_trait]
impl<D: Database> Instance for SqlStore<D> {
    async fn instance_status_for_operator(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<InstanceStatus, StoreError> {
        let fetch = |statement| self.driver().fetch_for_operator(statement);
        self.read_instance_status(clock_skew, spent_since, fetch).await
    }

    async fn store_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), StoreError> {
        self.write_heartbeat(heartbeat).await?;
        self.drop_old_out(heartbeat.at).await
    }

    async fn report_trouble(
        &self,
        trouble: Option<&NodeTrouble>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        self.write_trouble(trouble, at).await
    }

    async fn execute_command(&self, command: &InstanceCommand) -> Result<bool, StoreError> {
        retrying(|| self.execute_command_once(command)).await
    }

    async fn current_node(&self) -> Result<Option<NodeId>, StoreError> {
        self.read_current_node().await
    }

    async fn remember_node(
        &self,
        node: &Introduction,
        backend: &str,
        replace: bool,
        now: Timestamp,
    ) -> Result<NodeId, StoreError> {
        retrying(|| self.remember_once(node, backend, replace, now)).await
    }
}
