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
        FailureReason, Msat, Network, PaymentHash, Preimage,
        payment::{Record, RecordState},
    },
    ports::{
        Connection, Introduction, LightningNode, ListedPayment, LookupReply, NodeError, NodeHealth,
        NodeTraits, PaymentsPage, PaymentsQuery, SendOrder, SendStream, SendUpdate, WitnessOrder,
    },
};

use super::{
    mutation::Mutation,
    node::{Request, ResponseStream, StreamItem, WitnessRequest, identity},
    step::{Call, CallKind, Completion},
    store::Deferred,
    world::{Fault, Inner, World},
};

/// The node's port in one process.
pub struct GatedNode {
    pub world: Arc<World>,
    pub mutation: Option<Mutation>,
    /// What a mutated run writes only after it has sent.
    pub deferred: Deferred,
}

fn call(name: &'static str) -> Call {
    let kind = if matches!(name, "send" | "witness") { CallKind::Send } else { CallKind::Ask };
    Call { kind, name }
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
        answer: impl FnOnce(&mut Inner, Completion) -> T + Send,
    ) -> Result<T, NodeError> {
        let call = call(name);
        let how = self.world.wait_at_gate(call).await;
        let answer = {
            let mut inner = self.world.lock();
            if how == Completion::NotDone || !inner.node.reachable {
                return Err(silent());
            }
            answer(&mut inner, how)
        };
        self.world.answer(call, how).await;
        if how == Completion::LostAfter { Err(NodeError::Timeout) } else { Ok(answer) }
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
            synced: how != Completion::ZeroPreimage,
            can_send: Msat::new(if how == Completion::OtherAmount { 0 } else { 1_000_000_000 })
                .unwrap(),
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

    async fn look_up(&self, hash: PaymentHash) -> Result<LookupReply, NodeError> {
        let found = |inner: &mut Inner, how| LookupReply {
            record: inner.known(hash, how),
            node: identity(Mutation::shows(self.mutation, inner.node.endpoint)),
            connection: Connection(inner.node.connection),
        };
        let found = self.ask("look_up", found).await;
        Mutation::looked_up(self.mutation, &self.world, hash, found)
    }

    async fn send(&self, order: SendOrder) -> SendStream {
        let call = call("send");
        let how = self.world.wait_at_gate(call).await;
        let shown = Mutation::shows(self.mutation, self.world.lock().node.endpoint);
        let hash = order.payment_hash;
        let sent = self.world.lock().send(order, how, shown);
        self.deferred.write(&self.world);
        self.world.answer(call, how).await;
        let heard: SendStream = match sent {
            Ok(stream) => Box::pin(ResponseListener { world: Arc::clone(&self.world), stream }),
            Err(unheard) => Box::pin(stream::iter([unheard])),
        };
        Mutation::heard(self.mutation, &self.world, hash, heard)
    }

    async fn witness(&self, order: WitnessOrder) -> SendStream {
        let call = call("witness");
        let how = self.world.wait_at_gate(call).await;
        let shown = Mutation::shows(self.mutation, self.world.lock().node.endpoint);
        let asked = self.world.lock().witness(&order, how, shown);
        self.world.answer(call, how).await;
        match asked {
            Ok(stream) => Box::pin(ResponseListener { world: Arc::clone(&self.world), stream }),
            Err(unheard) => Box::pin(stream::iter([unheard])),
        }
    }
}

impl Inner {
    /// A request for a write witness: it never stays on its way.
    fn witness(
        &mut self,
        order: &WitnessOrder,
        how: Completion,
        shown: usize,
    ) -> Result<usize, SendUpdate> {
        if !self.node.reachable || order.node != identity(shown) {
            return Err(SendUpdate::Unsent(silent()));
        }
        if how == Completion::NotDone {
            self.faults.insert(Fault::Stalled);
            return Err(SendUpdate::Lost(NodeError::Timeout));
        }
        let stream = self.node.streams.len();
        self.node.streams.push(ResponseStream { open: true, ..ResponseStream::default() });
        if self.node_now() > order.send_deadline {
            self.node.answer(Some(stream), StreamItem::Refused("macaroon has expired"));
            return Ok(stream);
        }
        let record = Record {
            payment_hash: order.keys.payment_hash,
            amount: Msat::new(1000).unwrap(),
            created: self.node_now(),
            state: RecordState::Failed(FailureReason::NoRoute),
        };
        let to = self.node.endpoint;
        self.node.witnesses.push(WitnessRequest { record, to, stream, over: false });
        if !self.node.stalled {
            self.store_witness(self.node.witnesses.len() - 1);
        }
        if matches!(how, Completion::LostAfter | Completion::OnItsWayButLost) {
            self.faults.insert(Fault::Stalled);
            self.node.cut(stream, true);
        }
        Ok(stream)
    }

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
    fn known(&mut self, hash: PaymentHash, how: Completion) -> Option<Record> {
        let invoice = self.node.invoice_of(hash)?;
        let entry = self.node.records[self.node.endpoint].get(&invoice)?;
        let mut record = entry.record.clone();
        match (how, record.state) {
            (Completion::ZeroPreimage, RecordState::Succeeded { .. }) => {
                let (preimage, fee) = (Preimage::from_bytes([0; 32]), Msat::new(1).unwrap());
                record.state = RecordState::Succeeded { preimage, fee };
                self.faults.insert(Fault::ZeroPreimage);
            }
            (Completion::OtherAmount, _) => {
                record.amount = Msat::new(record.amount.get() + 1).unwrap();
                self.faults.insert(Fault::OtherAmount);
            }
            (Completion::FailedAsInFlight, RecordState::Failed(_)) => {
                record.state = RecordState::InFlight;
            }
            _ => {}
        }
        self.note(|| format!("      the node says of invoice {invoice}: {:?}", record.state));
        Some(record)
    }

    /// A request leaves the process: it is on its way, lost, or at the node already.
    fn send(
        &mut self,
        order: SendOrder,
        how: Completion,
        shown: usize,
    ) -> Result<usize, SendUpdate> {
        if !self.node.reachable {
            return Err(SendUpdate::Unsent(silent()));
        }
        let to = self.node.endpoint;
        if order.node != identity(shown) {
            let other = NodeError::OtherNode { found: identity(shown), expected: order.node };
            return Err(SendUpdate::Unsent(other));
        }
        if order.connection != Connection(self.node.connection) {
            return Err(SendUpdate::Unsent(NodeError::OtherConnection));
        }
        self.check_sent(&order);
        let Some(invoice) = self.node.invoice_of(order.payment_hash) else {
            let error = NodeError::Garbled("no invoice of this history".into());
            return Err(SendUpdate::Lost(error));
        };
        if how == Completion::NotDone {
            return Err(SendUpdate::Lost(NodeError::Timeout));
        }
        let stream = self.node.streams.len();
        self.node.streams.push(ResponseStream { open: true, ..ResponseStream::default() });
        let request = Request {
            order,
            invoice,
            to,
            stream: Some(stream),
            checked_ms: None,
            over: false,
            copy: false,
        };
        self.node.requests.push(request);
        if !matches!(how, Completion::OnItsWay | Completion::OnItsWayButLost) {
            self.arrive(self.node.requests.len() - 1, false);
        }
        if matches!(how, Completion::LostAfter | Completion::OnItsWayButLost) {
            self.node.cut(stream, true);
        }
        Ok(stream)
    }
}

/// A send's stream, as its listener holds it.
struct ResponseListener {
    world: Arc<World>,
    stream: usize,
}

impl Stream for ResponseListener {
    type Item = SendUpdate;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<SendUpdate>> {
        let mut inner = self.world.lock();
        let stream = &mut inner.node.streams[self.stream];
        match stream.arrived.pop_front() {
            Some(StreamItem::Record(record)) => Poll::Ready(Some(SendUpdate::Record(record))),
            Some(StreamItem::AlreadyExists) => Poll::Ready(Some(SendUpdate::AlreadyExists)),
            Some(StreamItem::Refused(why)) => {
                Poll::Ready(Some(SendUpdate::Refused(NodeError::Refused(why.into()))))
            }
            Some(StreamItem::Lost(why)) => {
                Poll::Ready(Some(SendUpdate::Lost(NodeError::Unreachable(why.into()))))
            }
            Some(StreamItem::End) => Poll::Ready(None),
            None => {
                stream.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for ResponseListener {
    fn drop(&mut self) {
        let mut inner = self.world.lock();
        let stream = &mut inner.node.streams[self.stream];
        stream.open = false;
        stream.on_its_way.clear();
    }
}
