//! One call: its span, its log line, its metric and its request id.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Response};
use tonic::{Code, Status};
use tracing::{Span, field::Empty};

use super::code;
use crate::{
    domain::Millis,
    metrics::Metrics,
    report::chain,
    runtime::{Clock, Runtime},
    trace,
};

/// The one name under which all unknown methods are counted.
pub const OTHER_METHOD: &str = "_OTHER";
/// The header of the request id, in and out.
const REQUEST_ID: &str = "x-request-id";
const MAX_REQUEST_ID_CHARS: usize = 64;

/// A call in progress. If it is dropped before it has ended, its client went away, and it is logged as
/// CANCELLED.
pub struct Call {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    /// `package.Service/Method`.
    method: String,
    request_id: HeaderValue,
    began: Millis,
    span: Span,
    has_ended: bool,
}

impl Call {
    /// A call that arrives now.
    pub fn begin(
        runtime: &Runtime,
        metrics: Arc<Metrics>,
        method: String,
        headers: &HeaderMap,
    ) -> Self {
        let span = tracing::info_span!(
            "rpc",
            otel.name = method,
            otel.kind = "server",
            otel.status_code = Empty,
            rpc.system.name = "grpc",
            rpc.method = method,
            rpc.response.status_code = Empty,
            withdrawd.withdraw.id = Empty,
            "error.type" = Empty,
        );
        trace::continue_from(&span, |header| headers.get(header)?.to_str().ok());
        let clock = Arc::clone(&runtime.clock);
        let began = clock.monotonic();
        let request_id = request_id(runtime, headers);
        Self { metrics, clock, method, request_id, began, span, has_ended: false }
    }

    /// The span of the call.
    pub const fn span(&self) -> &Span {
        &self.span
    }

    /// Records the response's headers and adds the request id. An error ends the call here; otherwise the
    /// status follows in the trailers.
    pub fn answer<B>(&mut self, answer: &mut Response<B>) {
        if let Some(status) = answer.extensions_mut().remove::<Status>() {
            self.end(status.code(), Some(&status));
        } else {
            self.end_by(answer.headers());
        }
        answer.headers_mut().insert(REQUEST_ID, self.request_id.clone());
    }

    /// Ends the call with the status in these headers or trailers, if there is one.
    pub fn end_by(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.end(status.code(), None);
        }
    }

    /// Logs the call, counts it, and records its status in the span.
    fn end(&mut self, code: Code, status: Option<&Status>) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let took = Millis::from_ms(self.clock.monotonic().as_ms() - self.began.as_ms());
        let name = code::name(code);
        self.metrics.called(&self.method, name, took);
        record_end(&self.span, code);
        let cause = status.and_then(std::error::Error::source).map(chain);
        let rpc = self.method.rsplit('/').next().unwrap_or_default();
        let request_id = self.request_id.to_str().unwrap_or_default();
        let took_ms = took.as_ms();
        let _in_span = self.span.enter();
        match (code, cause) {
            (Code::Internal, Some(error)) => {
                tracing::error!(rpc, request_id, took_ms, code = name, error);
            }
            (Code::Unavailable, Some(error)) => {
                tracing::warn!(rpc, request_id, took_ms, code = name, error);
            }
            _ => tracing::info!(rpc, request_id, took_ms, code = name),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled, None);
    }
}

/// Records the status in the span, as an error only if the server is at fault (OpenTelemetry's rule for gRPC
/// servers).
fn record_end(span: &Span, code: Code) {
    let name = code::name(code);
    span.record("rpc.response.status_code", name);
    if matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    ) {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", name);
    }
}

/// The caller's id for this call, or a new one.
fn request_id(runtime: &Runtime, headers: &HeaderMap) -> HeaderValue {
    let fits = |id: &&HeaderValue| {
        (1..=MAX_REQUEST_ID_CHARS).contains(&id.len())
            && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    let new = || HeaderValue::from_str(&hex::encode(&runtime.id_bits()[..8])).ok();
    let given = headers.get(REQUEST_ID).filter(fits).cloned();
    given.or_else(new).unwrap_or(HeaderValue::from_static("-"))
}
