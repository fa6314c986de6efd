//! The current trace: continued from callers, stored with rows, linked from later work, and named in every
//! log line.
//!
//! Spans are `tracing`'s. This module needs the OpenTelemetry layer that [`crate::telemetry`] installs, and
//! does nothing without it.

use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator},
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::domain::{Payment, TraceContext, Withdraw, WithdrawId};

const TRACE_PARENT: &str = "traceparent";
const TRACE_STATE: &str = "tracestate";

/// A field of the spans that belong to one request.
const WITHDRAW: &str = "withdrawd.withdraw.id";

/// The attribute of a link that says what it leads to.
const LINK: &str = "withdrawd.link";

/// The context of the current span.
pub fn current() -> Option<TraceContext> {
    Context::map_current(|context| {
        let span = context.span();
        let span = span.span_context();
        let flags = span.trace_flags().to_u8();
        TraceContext::new(span.trace_id().to_bytes(), span.span_id().to_bytes(), flags)
    })
}

/// Makes `span` continue the caller's trace, if `header` finds a whole `traceparent`. Call it before `span`
/// is entered.
pub fn continue_from<'h>(span: &Span, header: impl Fn(&str) -> Option<&'h str>) {
    let headers = Headers { parent: header(TRACE_PARENT), state: header(TRACE_STATE) };
    // Extracted into an empty context, not into whatever happens to be current here.
    let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &headers);
    if parent.has_active_span() {
        // Fails only without the layer, and then there is nothing to continue.
        let _ = span.set_parent(parent);
    }
}

/// Records in the current span which request it is about.
pub fn about(withdraw: WithdrawId) {
    Span::current().record(WITHDRAW, tracing::field::display(withdraw));
}

/// Links the current span to the call that created the request, and records which request it is about.
pub fn link_create(withdraw: &Withdraw) {
    about(withdraw.id);
    link(withdraw.trace_parent, "create");
}

/// Links the current span to the call that claimed with this attempt.
pub fn link_claim(payment: &Payment) {
    link(payment.trace_parent, "claim");
}

/// The trace of the call that claimed, unless it is the current one. It is logged, so that a search for the
/// wallet's or the creator's trace finds what became of the payment.
pub fn claim_trace_id(payment: &Payment) -> Option<String> {
    let claim = payment.trace_parent?;
    let here = current().is_some_and(|current| current.trace_id() == claim.trace_id());
    (!here).then(|| claim.trace_id_hex())
}

fn link(to: Option<TraceContext>, what: &'static str) {
    let Some(to) = to else { return };
    // A call that creates and claims in one, or a replay of it, needs no link to itself.
    if current() == Some(to) {
        return;
    }
    let to = SpanContext::new(
        TraceId::from_bytes(to.trace_id()),
        SpanId::from_bytes(to.span_id()),
        TraceFlags::new(to.flags()),
        true,
        TraceState::default(),
    );
    Span::current().add_link_with_attributes(to, vec![KeyValue::new(LINK, what)]);
}

/// The two headers of W3C Trace Context.
struct Headers<'h> {
    parent: Option<&'h str>,
    state: Option<&'h str>,
}

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            TRACE_PARENT => self.parent,
            TRACE_STATE => self.state,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACE_PARENT, TRACE_STATE]
    }
}
