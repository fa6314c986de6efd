//! The node as a process reaches it: each call is a gate, and its answer may be lost.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use futures_util::{Stream, stream};
use withdrawd::{
    domain::{
        Msat, Network, PaymentHash, Preimage,
        payment::{Record, RecordState},
    },
    ports::{
        Connection, Introduction, LightningNode, ListedPayment, LookUp, NodeError, NodeHealth,
        NodeTraits, PaymentsPage, PaymentsQuery, SendOrder, SendStream, SendUpdate,
    },
};

use super::{
    mutation::Mutation,
    node::{Request, Said, Wire, identity},
    step::{Call, How, Kind},
    store::Deferred,
    world::{Fault, Inner, World},
};

/// The node's port in one process.
pub struct GatedNode {
    pub world: Arc<World>,
    pub mutation: Option<Mutation>,
    /// What a mutant writes after it has sent.
    pub deferred: Deferred,
}

fn call(name: &'static str) -> Call {
    Call { kind: if name == "send" { Kind::Send } else { Kind::Ask }, name }
}

fn silent() -> NodeError {
    NodeError::Unreachable("on purpose".into())
}

impl GatedNode {
    fn introduction(&self, inner: &Inner) -> Introduction {
        Introduction {
            id: identity(Mutation::shows(self.mutation, inner.node.endpoint)),
            alias: "model".into(),
            network: Network::Regtest,
            connection: Connection(inner.node.connection),
        }
    }

    async fn ask<T>(
        &self,
        name: &'static str,
        answer: impl FnOnce(&mut Inner, How) -> T + Send,
    ) -> Result<T, NodeError> {
        let call = call(name);
        let how = self.world.pass(call).await;
        let told = {
            let mut inner = self.world.lock();
            if how == How::NotDone || !inner.node.reachable {
                return Err(silent());
            }
            answer(&mut inner, how)
        };
        self.world.answer(call, how).await;
        if how == How::LostAfter { Err(NodeError::Timeout) } else { Ok(told) }
    }
}

#[async_trait]
impl LightningNode for GatedNode {
    fn traits(&self) -> NodeTraits {
        NodeTraits {
            backend: "model",
            simulated: true,
            refuses_late_sends: true,
            refuses_expired_invoices: true,
            dedupes_by_hash: true,
        }
    }

    async fn introduce(&self) -> Result<Introduction, NodeError> {
        self.ask("introduce", |inner, _| self.introduction(inner)).await
    }

    async fn health(&self) -> Result<NodeHealth, NodeError> {
        let health = |inner: &mut Inner, how| NodeHealth {
            introduction: self.introduction(inner),
            synced: how != How::Zeros,
            can_send: Msat::new(if how == How::OtherAmount { 0 } else { 1_000_000_000 }).unwrap(),
            busiest_channel_htlcs: 0,
            active_channels: 1,
        };
        self.ask("health", health).await
    }

    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError> {
        let page = |inner: &mut Inner, _| PaymentsPage {
            payments: inner.listed(&query),
            node: self.introduction(inner).id,
            connection: Connection(inner.node.connection),
        };
        self.ask("payments", page).await
    }

    async fn has_htlc(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        let is_out = |inner: &mut Inner, how| {
            inner.known(hash, how).is_some_and(|record| record.state == RecordState::InFlight)
        };
        self.ask("has_htlc", is_out).await
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<LookUp, NodeError> {
        let found = |inner: &mut Inner, how| LookUp {
            record: inner.known(hash, how),
            node: identity(Mutation::shows(self.mutation, inner.node.endpoint)),
            connection: Connection(inner.node.connection),
        };
        let found = self.ask("look_up", found).await;
        Mutation::looked_up(self.mutation, &self.world, hash, found)
    }

    async fn send(&self, order: SendOrder) -> SendStream {
        let call = call("send");
        let how = self.world.pass(call).await;
        let shown = Mutation::shows(self.mutation, self.world.lock().node.endpoint);
        let hash = order.payment_hash;
        let sent = self.world.lock().send(order, how, shown);
        self.deferred.write(&self.world);
        self.world.answer(call, how).await;
        let heard: SendStream = match sent {
            Ok(wire) => Box::pin(Heard { world: Arc::clone(&self.world), wire }),
            Err(error) => Box::pin(stream::iter([SendUpdate::Error(error)])),
        };
        Mutation::heard(self.mutation, &self.world, hash, heard)
    }
}

impl Inner {
    fn listed(&self, query: &PaymentsQuery) -> Vec<ListedPayment> {
        let known = self.node.records[self.node.endpoint].iter();
        let listed = known.map(|(invoice, entry)| ListedPayment {
            record: entry.record.clone(),
            invoice: self.node.invoices[*invoice].text.clone(),
            index: *invoice as u64 + 1,
        });
        let asked_for = query.created_from..=query.created_to;
        let listed = listed.filter(|listed| {
            listed.index > query.after_index && asked_for.contains(&listed.record.created)
        });
        listed.take(query.limit.max(1) as usize).collect()
    }

    /// What the node at the endpoint says of a payment.
    fn known(&mut self, hash: PaymentHash, how: How) -> Option<Record> {
        let invoice = self.node.invoice_of(hash)?;
        let entry = self.node.records[self.node.endpoint].get(&invoice)?;
        let mut record = entry.record.clone();
        match (how, record.state) {
            (How::Zeros, RecordState::Succeeded { .. }) => {
                let (preimage, fee) = (Preimage::from_bytes([0; 32]), Msat::new(1).unwrap());
                record.state = RecordState::Succeeded { preimage, fee };
                self.faults.insert(Fault::Zeros);
            }
            (How::OtherAmount, _) => {
                record.amount = Msat::new(record.amount.get() + 1).unwrap();
                self.faults.insert(Fault::OtherAmount);
            }
            (How::Flap, RecordState::Failed(_)) => record.state = RecordState::InFlight,
            _ => {}
        }
        self.note(|| format!("      the node says of invoice {invoice}: {:?}", record.state));
        Some(record)
    }

    /// A request leaves the process: it is on its way, lost, or at the node already.
    fn send(&mut self, order: SendOrder, how: How, shown: usize) -> Result<usize, NodeError> {
        if !self.node.reachable {
            return Err(silent());
        }
        let to = self.node.endpoint;
        if order.node != identity(shown) {
            return Err(NodeError::OtherNode { found: identity(shown), expected: order.node });
        }
        if order.connection != Connection(self.node.connection) {
            return Err(NodeError::OtherConnection);
        }
        self.check_sent(&order);
        let Some(invoice) = self.node.invoice_of(order.payment_hash) else {
            return Err(NodeError::Garbled("no invoice of this history".into()));
        };
        if how == How::NotDone {
            return Err(NodeError::Timeout);
        }
        let wire = self.node.wires.len();
        self.node.wires.push(Wire { open: true, ..Wire::default() });
        let stream = Some(wire);
        let request =
            Request { order, invoice, to, stream, checked_ms: None, over: false, copy: false };
        self.node.requests.push(request);
        if !matches!(how, How::OnItsWay | How::Adrift) {
            self.arrive(self.node.requests.len() - 1, false);
        }
        if matches!(how, How::LostAfter | How::Adrift) {
            self.node.cut(wire, true);
        }
        Ok(wire)
    }
}

/// A send's stream, as its listener holds it.
struct Heard {
    world: Arc<World>,
    wire: usize,
}

impl Stream for Heard {
    type Item = SendUpdate;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<SendUpdate>> {
        let mut inner = self.world.lock();
        let wire = &mut inner.node.wires[self.wire];
        match wire.heard.pop_front() {
            Some(Said::Record(record)) => Poll::Ready(Some(SendUpdate::Record(record))),
            Some(Said::AlreadyExists) => Poll::Ready(Some(SendUpdate::AlreadyExists)),
            Some(Said::Error(why)) => {
                Poll::Ready(Some(SendUpdate::Error(NodeError::Refused(why.into()))))
            }
            Some(Said::End) => Poll::Ready(None),
            None => {
                wire.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        let mut inner = self.world.lock();
        let wire = &mut inner.node.wires[self.wire];
        wire.open = false;
        wire.told.clear();
    }
}
