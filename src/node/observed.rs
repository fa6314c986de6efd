//! Traces every call to a node.
//!
//! Spans exist only under a parent, so periodic health checks create none. No span contains an invoice or a
//! preimage.

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
        Introduction, LightningNode, LookupReply, NodeError, NodeHealth, NodeTraits, PaymentsPage,
        PaymentsQuery, SendOrder, SendStream, SendUpdate, WitnessOrder,
    },
    trace,
};

/// A node whose calls are traced.
pub struct ObservedNode {
    inner: Arc<dyn LightningNode>,
}

impl ObservedNode {
    /// Traces the calls to `inner`.
    pub fn new(inner: Arc<dyn LightningNode>) -> Self {
        Self { inner }
    }

    /// None without a current span.
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

    async fn traced<T>(
        &self,
        call: &'static str,
        hash: Option<PaymentHash>,
        answer: fn(&T) -> &'static str,
        call_future: impl Future<Output = Result<T, NodeError>>,
    ) -> Result<T, NodeError> {
        let Some(span) = self.span(call, hash) else {
            return call_future.await;
        };
        let result = call_future.instrument(span.clone()).await;
        match &result {
            Ok(value) => record_answer(&span, answer(value)),
            Err(error) => record_error(&span, error),
        }
        result
    }

    async fn traced_stream(
        &self,
        call: &'static str,
        hash: PaymentHash,
        call_future: impl Future<Output = SendStream>,
    ) -> SendStream {
        let Some(span) = self.span(call, Some(hash)) else {
            return call_future.await;
        };
        let inner = call_future.instrument(span.clone()).await;
        Box::pin(ObservedStream { inner, span })
    }
}

#[async_trait]
impl LightningNode for ObservedNode {
    fn traits(&self) -> NodeTraits {
        self.inner.traits()
    }

    async fn introduce(&self) -> Result<Introduction, NodeError> {
        self.traced("introduce", None, |_| "introduced", self.inner.introduce()).await
    }

    async fn look_up(&self, hash: PaymentHash) -> Result<LookupReply, NodeError> {
        let answer = |found: &LookupReply| found.record.as_ref().map_or("NOT_FOUND", state_name);
        self.traced("look_up", Some(hash), answer, self.inner.look_up(hash)).await
    }

    async fn health(&self) -> Result<NodeHealth, NodeError> {
        self.traced("health", None, |_| "told", self.inner.health()).await
    }

    async fn try_permissions(&self) -> Result<(), NodeError> {
        self.traced("try_permissions", None, |()| "permitted", self.inner.try_permissions()).await
    }

    async fn has_htlc(&self, hash: PaymentHash) -> Result<bool, NodeError> {
        let answer = |in_flight: &bool| if *in_flight { "OUT" } else { "NOT_OUT" };
        self.traced("has_htlc", Some(hash), answer, self.inner.has_htlc(hash)).await
    }

    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError> {
        self.traced("payments", None, |_| "listed", self.inner.payments(query)).await
    }

    /// The span lasts until the stream is dropped.
    async fn send(&self, order: SendOrder) -> SendStream {
        let hash = order.payment_hash;
        self.traced_stream("send", hash, self.inner.send(order)).await
    }

    async fn witness(&self, order: WitnessOrder) -> SendStream {
        let hash = order.keys.payment_hash;
        self.traced_stream("witness", hash, self.inner.witness(order)).await
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
            Poll::Ready(Some(SendUpdate::Record(record))) => {
                record_answer(span, state_name(record));
            }
            Poll::Ready(Some(SendUpdate::AlreadyExists)) => record_answer(span, "ALREADY_EXISTS"),
            Poll::Ready(Some(
                SendUpdate::Refused(error) | SendUpdate::Unsent(error) | SendUpdate::Lost(error),
            )) => record_error(span, error),
            Poll::Ready(None) | Poll::Pending => {}
        }
        polled
    }
}

fn record_answer(span: &Span, answer: &'static str) {
    span.record("withdrawd.node.answer", answer);
}

/// Only the kind: the log has the text.
fn record_error(span: &Span, error: &NodeError) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", error_type(error));
}

const fn state_name(record: &Record) -> &'static str {
    match record.state {
        RecordState::InFlight => "IN_FLIGHT",
        RecordState::Succeeded { .. } => "SUCCEEDED",
        RecordState::Failed(_) => "FAILED",
        RecordState::ResultLost => "RESULT_LOST",
    }
}

const fn error_type(error: &NodeError) -> &'static str {
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
