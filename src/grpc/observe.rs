//! One line and one span per RPC: what was called, how it ended, how long it took, under which request
//! id.

use std::future::Future;

use futures_util::FutureExt;
use tonic::{Code, Response, Status, metadata::MetadataMap};
use tracing::{Instrument, Span, field::Empty};

use super::{code, deadline, status};
use crate::{
    domain::Millis,
    report::chain,
    runtime::{Clock, Runtime},
    service::ServiceError,
    trace,
};

/// The metadata key of the request id, in and out.
const REQUEST_ID: &str = "x-request-id";
const MAX_REQUEST_ID_CHARS: usize = 64;

/// Runs the handler of a service's method and tells of it. Errors become statuses here, their causes
/// stay in the log.
pub async fn observed<T>(
    runtime: &Runtime,
    (service, method): (&'static str, &'static str),
    metadata: &MetadataMap,
    limit: Millis,
    work: impl Future<Output = Result<T, ServiceError>>,
) -> Result<Response<T>, Status> {
    let full_method = format!("{service}/{method}");
    let span = tracing::info_span!(
        "rpc",
        otel.name = full_method,
        otel.kind = "server",
        otel.status_code = Empty,
        rpc.system.name = "grpc",
        rpc.method = full_method,
        rpc.response.status_code = Empty,
        withdrawd.withdraw.id = Empty,
        "error.type" = Empty,
    );
    trace::continue_from(&span, |header| metadata.get(header)?.to_str().ok());
    // Handlers are large: not on the stack, nor twice in the future of every RPC.
    Box::pin(told(runtime, method, metadata, limit, work)).instrument(span).await
}

async fn told<T>(
    runtime: &Runtime,
    method: &'static str,
    metadata: &MetadataMap,
    limit: Millis,
    work: impl Future<Output = Result<T, ServiceError>>,
) -> Result<Response<T>, Status> {
    let mut line = Line::begin(runtime, method, metadata);
    let mut answer = match in_time(runtime, limit, deadline::left(metadata, runtime), work).await {
        Ok(Ok(message)) => {
            line.end(Code::Ok, None);
            Ok(Response::new(message))
        }
        Ok(Err(error)) => {
            let status = status::from_error(&error);
            line.end(status.code(), Some(&error));
            Err(status)
        }
        Err(status) => {
            line.end(status.code(), None);
            Err(status)
        }
    };
    let metadata = match &mut answer {
        Ok(response) => response.metadata_mut(),
        Err(status) => status.metadata_mut(),
    };
    // Only visible ASCII gets this far.
    if let Ok(value) = line.request_id.parse() {
        metadata.insert(REQUEST_ID, value);
    }
    answer
}

/// Waits for `work` until our limit or the caller's deadline, whichever is first.
async fn in_time<T>(
    runtime: &Runtime,
    limit: Millis,
    left: Option<Millis>,
    work: impl Future<Output = Result<T, ServiceError>>,
) -> Result<Result<T, ServiceError>, Status> {
    match left.filter(|left| *left < limit) {
        None => Ok(runtime.within(limit, work).await.unwrap_or(Err(ServiceError::TimedOut))),
        // Nobody would hear of it.
        Some(left) if left <= Millis::ZERO => Err(status::deadline_exceeded()),
        Some(left) => {
            let mut over = runtime.clock.sleep(left);
            // It runs from here on, not from when the work has first waited.
            if (&mut over).now_or_never().is_some() {
                return Err(status::deadline_exceeded());
            }
            tokio::select! {
                biased;
                done = work => Ok(done),
                () = over => Err(status::deadline_exceeded()),
            }
        }
    }
}

/// The line of a call. tonic drops the handler of a caller that went away, or whose deadline is over: the
/// line of that call is written then.
struct Line<'r> {
    clock: &'r dyn Clock,
    method: &'static str,
    request_id: String,
    began: Millis,
    ended: bool,
}

impl<'r> Line<'r> {
    fn begin(runtime: &'r Runtime, method: &'static str, metadata: &MetadataMap) -> Self {
        let clock = runtime.clock.as_ref();
        let request_id = request_id(runtime, metadata);
        Self { clock, method, request_id, began: clock.monotonic(), ended: false }
    }

    /// Writes it, and the span's status.
    fn end(&mut self, code: Code, error: Option<&ServiceError>) {
        self.ended = true;
        answered(code);
        let took_ms = self.clock.monotonic().as_ms() - self.began.as_ms();
        let (rpc, request_id) = (self.method, &self.request_id);
        let name = code::name(code);
        match (code, error) {
            (Code::Internal, Some(error)) => {
                tracing::error!(rpc, %request_id, took_ms, code = name, error = %chain(error));
            }
            (Code::Unavailable, Some(error)) => {
                tracing::warn!(rpc, %request_id, took_ms, code = name, error = %chain(error));
            }
            _ => tracing::info!(rpc, %request_id, took_ms, code = name),
        }
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Code::Cancelled, None);
        }
    }
}

/// Writes into the span how the call ended. What callers do wrong is no error of the server.
fn answered(code: Code) {
    let (span, name) = (Span::current(), code::name(code));
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
fn request_id(runtime: &Runtime, metadata: &MetadataMap) -> String {
    let given = metadata.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let fits = |id: &&str| {
        (1..=MAX_REQUEST_ID_CHARS).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
    };
    given.filter(fits).map_or_else(|| hex::encode(&runtime.id_bits()[..8]), str::to_owned)
}
