//! A node with faults.

use std::sync::Arc;

use async_trait::async_trait;
use withdrawd::{
    domain::PaymentHash,
    ports::{
        Introduction, LightningNode, LookupReply, NodeError, NodeHealth, NodeTraits, PaymentsPage,
        PaymentsQuery, SendOrder, SendStream, WitnessOrder,
    },
};

use super::Faults;

/// A node with faults.
pub struct FaultyNode {
    pub inner: Arc<dyn LightningNode>,
    pub faults: Arc<Faults>,
}

#[async_trait]
impl LightningNode for FaultyNode {
    fn traits(&self) -> NodeTraits {
        self.inner.traits()
    }

    async fn introduce(&self) -> Result<Introduction, NodeError> {
        self.faults.gate(self.inner.introduce()).await
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<LookupReply, NodeError> {
        self.faults.gate(self.inner.look_up(hash)).await
    }

    async fn health(&self) -> Result<NodeHealth, NodeError> {
        self.inner.health().await
    }

    async fn try_permissions(&self) -> Result<(), NodeError> {
        self.inner.try_permissions().await
    }

    async fn has_htlc(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        self.faults.gate(self.inner.has_htlc(hash)).await
    }

    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError> {
        self.inner.payments(query).await
    }

    async fn send(&self, order: SendOrder) -> SendStream {
        self.faults.gate(self.inner.send(order)).await
    }

    async fn witness(&self, order: WitnessOrder) -> SendStream {
        self.faults.gate(self.inner.witness(order)).await
    }
}
