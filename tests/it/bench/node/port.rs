//! The model node as the app reaches it.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use futures_util::stream;
use tokio::sync::mpsc;
use withdrawd::{
    domain::{Network, PaymentHash, payment::RecordState},
    ports::{
        Introduction, LightningNode, LookupReply, NodeError, NodeHealth, NodeTraits, PaymentsPage,
        PaymentsQuery, SendOrder, SendStream, SendUpdate, WitnessOrder,
    },
};

use super::{ModelNode, stalled::Order};

fn one_update(update: SendUpdate) -> SendStream {
    Box::pin(stream::iter([update]))
}

/// The updates, until the sender is dropped.
fn updates(hear: mpsc::UnboundedReceiver<SendUpdate>) -> SendStream {
    Box::pin(stream::unfold(hear, |mut hear| async move { Some((hear.recv().await?, hear)) }))
}

#[async_trait]
impl LightningNode for ModelNode {
    fn traits(&self) -> NodeTraits {
        *self.traits.lock().unwrap()
    }

    async fn introduce(&self) -> Result<Introduction, NodeError> {
        self.check_reachable()?;
        Ok(Introduction {
            id: self.identity(),
            alias: "model".into(),
            network: Network::Regtest,
            connection: self.connection(),
        })
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<LookupReply, NodeError> {
        self.check_reachable()?;
        let _asking = self.calls.look_up(hash).await;
        let record = self.ledger(|ledger| ledger.records.get(&hash).cloned());
        Ok(LookupReply { record, node: self.identity(), connection: self.connection() })
    }

    async fn health(&self) -> Result<NodeHealth, NodeError> {
        Ok(NodeHealth {
            introduction: self.introduce().await?,
            synced: self.synced.load(Ordering::SeqCst),
            can_send: *self.can_send.lock().unwrap(),
            busiest_channel_htlcs: self.busiest_channel_htlcs.load(Ordering::SeqCst),
            active_channels: self.active_channels.load(Ordering::SeqCst),
        })
    }

    async fn try_permissions(&self) -> Result<(), NodeError> {
        self.check_reachable()?;
        self.missing_permission
            .lock()
            .unwrap()
            .map_or(Ok(()), |call| Err(NodeError::NotPermitted(call)))
    }

    async fn has_htlc(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        self.check_reachable()?;
        if self.hides_channels.load(Ordering::SeqCst) {
            return Err(NodeError::NotPermitted("PendingChannels"));
        }
        Ok(self.ledger(|ledger| {
            let known = ledger.records.get(&hash);
            let is_out = known.is_some_and(|known| known.state == RecordState::InFlight);
            is_out && !ledger.without_htlc.contains(&hash)
        }))
    }

    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError> {
        self.check_reachable()?;
        if !self.lists_payments.load(Ordering::SeqCst) {
            return Err(NodeError::NotPermitted("ListPayments"));
        }
        let asked_for = query.created_from..=query.created_to;
        let mut payments = self.ledger(|ledger| ledger.list());
        payments.retain(|listed| {
            listed.index > query.after_index && asked_for.contains(&listed.record.created)
        });
        payments.truncate(query.limit.max(1) as usize);
        Ok(PaymentsPage { payments, node: self.identity(), connection: self.connection() })
    }

    async fn send(&self, order: SendOrder) -> SendStream {
        if let Err(error) = self.check_reachable() {
            return one_update(SendUpdate::Unsent(error));
        }
        if order.node != self.identity() {
            let (found, expected) = (self.identity(), order.node);
            return one_update(SendUpdate::Unsent(NodeError::OtherNode { found, expected }));
        }
        if self.restarts_next.swap(false, Ordering::SeqCst) {
            self.restart();
        }
        if order.connection != self.connection() {
            return one_update(SendUpdate::Unsent(NodeError::OtherConnection));
        }
        let asking = self.calls.send();
        let (tell, hear) = mpsc::unbounded_channel();
        let waits = self.clock.now() <= order.send_deadline
            && self.ledger(|ledger| ledger.wait(Order::Payment(order.clone()), &tell));
        if !waits {
            for update in self.receive(&order) {
                let _ = tell.send(update);
            }
            self.ledger(|ledger| {
                if let Some((_, listener)) = ledger.held.get_mut(&order.payment_hash) {
                    listener.get_or_insert(tell);
                }
            });
        }
        Box::pin(stream::unfold((hear, asking), |(mut hear, asking)| async move {
            Some((hear.recv().await?, (hear, asking)))
        }))
    }

    async fn witness(&self, order: WitnessOrder) -> SendStream {
        if let Err(error) = self.check_reachable() {
            return one_update(SendUpdate::Unsent(error));
        }
        if order.node != self.identity() {
            let (found, expected) = (self.identity(), order.node);
            return one_update(SendUpdate::Unsent(NodeError::OtherNode { found, expected }));
        }
        let (tell, hear) = mpsc::unbounded_channel();
        let waits = self.ledger(|ledger| {
            ledger.witnesses += 1;
            ledger.wait(Order::Witness(order.clone()), &tell)
        });
        if !waits {
            for update in self.store_witness(&order) {
                let _ = tell.send(update);
            }
        }
        updates(hear)
    }
}
