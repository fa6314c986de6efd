//! A span for each call of a node, within another span: what asks every few seconds how it is is
//! nobody's story. No invoice and no preimage stands in one.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use futures_util::Stream;
use tracing::{Instrument, Span, field::Empty};

use crate::{
    domain::{
        PaymentHash,
        payment::{Record, RecordState},
    },
    ports::{
        Introduction, LightningNode, LookUp, NodeError, NodeHealth, NodeTraits, PaymentsPage,
        PaymentsQuery, SendOrder, SendStream, SendUpdate, WitnessOrder,
    },
    trace,
};

/// A node that is watched.
pub struct ObservedNode {
    inner: Arc<dyn LightningNode>,
}

impl std::fmt::Debug for ObservedNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObservedNode").finish_non_exhaustive()
    }
}

impl ObservedNode {
    /// Watches `inner`.
    pub fn new(inner: Arc<dyn LightningNode>) -> Self {
        Self { inner }
    }

    /// None outside of any span.
    fn span(&self, call: &'static str, hash: Option<PaymentHash>) -> Option<Span> {
        trace::current()?;
        Some(tracing::info_span!(
            "node",
            otel.name = format!("node.{call}"),
            otel.kind = "client",
            otel.status_code = Empty,
            withdrawd.node.backend = self.inner.traits().backend,
            withdrawd.node.call = call,
            withdrawd.node.answer = Empty,
            withdrawd.payment.hash = hash.map(tracing::field::display),
            "error.type" = Empty,
        ))
    }

    async fn watched<T>(
        &self,
        call: &'static str,
        hash: Option<PaymentHash>,
        answer: fn(&T) -> &'static str,
        work: impl Future<Output = Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        let Some(span) = self.span(call, hash) else {
            return work.await;
        };
        let done = work.instrument(span.clone()).await;
        match &done {
            Ok(said) => said_to(&span, answer(said)),
            Err(error) => failed(&span, error),
        }
        done
    }

    async fn streamed(
        &self,
        call: &'static str,
        hash: PaymentHash,
        work: impl Future<Output = SendStream>,
    ) -> SendStream {
        let Some(span) = self.span(call, Some(hash)) else {
            return work.await;
        };
        let inner = work.instrument(span.clone()).await;
        Box::pin(ObservedStream { inner, span })
    }
}

#[async_trait]
impl LightningNode for ObservedNode {
    fn traits(&self) -> NodeTraits {
        self.inner.traits()
    }

    async fn introduce(&self) -> Result<Introduction, NodeError> {
        self.watched("introduce", None, |_| "introduced", self.inner.introduce()).await
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<LookUp, NodeError> {
        let answer = |found: &LookUp| found.record.as_ref().map_or("NOT_FOUND", name);
        self.watched("look_up", Some(hash), answer, self.inner.look_up(hash)).await
    }

    async fn health(&self) -> Result<NodeHealth, NodeError> {
        self.watched("health", None, |_| "told", self.inner.health()).await
    }

    async fn try_permissions(&self) -> Result<(), NodeError> {
        self.watched("try_permissions", None, |()| "permitted", self.inner.try_permissions()).await
    }

    async fn has_htlc(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        let answer = |out: &bool| if *out { "OUT" } else { "NOT_OUT" };
        self.watched("has_htlc", Some(hash), answer, self.inner.has_htlc(hash)).await
    }

    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError> {
        self.watched("payments", None, |_| "listed", self.inner.payments(query)).await
    }

    /// Its span lasts as long as the stream is listened to.
    async fn send(&self, order: SendOrder) -> SendStream {
        let hash = order.payment_hash;
        self.streamed("send", hash, self.inner.send(order)).await
    }

    async fn witness(&self, order: WitnessOrder) -> SendStream {
        let hash = order.keys.payment_hash;
        self.streamed("witness", hash, self.inner.witness(order)).await
    }
}

struct ObservedStream {
    inner: SendStream,
    span: Span,
}

impl Stream for ObservedStream {
    type Item = SendUpdate;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<SendUpdate>> {
        let Self { inner, span } = &mut *self;
        let polled = span.in_scope(|| inner.as_mut().poll_next(context));
        match &polled {
            Poll::Ready(Some(SendUpdate::Record(record))) => said_to(span, name(record)),
            Poll::Ready(Some(SendUpdate::AlreadyExists)) => said_to(span, "ALREADY_EXISTS"),
            Poll::Ready(Some(
                SendUpdate::Refused(error) | SendUpdate::Unsent(error) | SendUpdate::Lost(error),
            )) => failed(span, error),
            // The end, with or without a last word.
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }
}

fn said_to(span: &Span, answer: &'static str) {
    span.record("withdrawd.node.answer", answer);
}

/// What the node said to it stands in the log.
fn failed(span: &Span, error: &NodeError) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind(error));
}

const fn name(record: &Record) -> &'static str {
    match record.state {
        RecordState::InFlight => "IN_FLIGHT",
        RecordState::Succeeded { .. } => "SUCCEEDED",
        RecordState::Failed(_) | RecordState::ResultLost => "FAILED",
    }
}

const fn kind(error: &NodeError) -> &'static str {
    match error {
        NodeError::Unreachable(_) => "unreachable",
        NodeError::Timeout => "timeout",
        NodeError::WrongNetwork { .. } => "wrong_network",
        NodeError::OtherNode { .. } => "other_node",
        NodeError::OtherConnection => "other_connection",
        NodeError::Refused(_) => "refused",
        NodeError::NotPermitted(_) => "not_permitted",
        NodeError::Barred(_) => "barred",
        NodeError::Garbled(_) => "garbled",
    }
}
