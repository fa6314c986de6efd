//! The nodes that were seen, and the one that pays.

use async_trait::async_trait;

use super::{SqlStore, int, reader as rows, retry::retrying, statements, text};
use crate::{
    domain::{NodeId, Timestamp},
    ports::{Introduction, Nodes, StoreError},
    store::driver::{Cells, Driver, Fault, Tx, Value},
};

#[async_trait]
impl<D: Driver> Nodes for SqlStore<D> {
    async fn current_node(&self) -> Result<Option<NodeId>, StoreError> {
        current(&self.driver().fetch(statements::CURRENT_NODE, Vec::new()).await?)
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

impl<D: Driver> SqlStore<D> {
    async fn remember_once(
        &self,
        node: &Introduction,
        backend: &str,
        replace: bool,
        now: Timestamp,
    ) -> Result<NodeId, Fault> {
        let mut tx = self.driver().begin().await?;
        let known = current(&tx.fetch(statements::CURRENT_NODE, Vec::new()).await?)?;
        match known {
            Some(known) if known == node.id || !replace => return Ok(known),
            Some(_) | None => {}
        }
        let retired = vec![Value::Bool(false), text(node.id.as_str())];
        tx.execute(statements::RETIRE_NODES, retired).await?;
        let values = vec![
            text(node.id.as_str()),
            text(&node.alias),
            text(node.network.name()),
            text(backend),
            int(now.as_ms()),
            Value::Bool(true),
        ];
        tx.execute(statements::REMEMBER_NODE, values).await?;
        tx.commit().await?;
        Ok(node.id.clone())
    }
}

fn current<R: Cells>(found: &[R]) -> Result<Option<NodeId>, StoreError> {
    found.first().map(rows::node_id).transpose()
}
