//! One line and one span per RPC: what was called, how it ended, how long it took, under which request
//! id.

use std::future::Future;

use tonic::{Code, Response, Status, metadata::MetadataMap};
use tracing::{Instrument, Span, field::Empty};

use super::status;
use crate::{domain::Millis, report::chain, runtime::Runtime, service::ServiceError, trace};

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
    let began = runtime.clock.monotonic();
    let request_id = request_id(runtime, metadata);
    let answer = runtime.within(limit, work).await.unwrap_or(Err(ServiceError::TimedOut));
    let took_ms = runtime.clock.monotonic().as_ms() - began.as_ms();
    let mut answer = match answer {
        Ok(message) => {
            tracing::info!(rpc = method, %request_id, took_ms, code = "OK");
            Ok(Response::new(message))
        }
        Err(error) => {
            let status = status::from_error(&error);
            let code = format!("{:?}", status.code());
            match status.code() {
                Code::Internal => {
                    tracing::error!(rpc = method, %request_id, took_ms, code, error = %chain(&error));
                }
                Code::Unavailable => {
                    tracing::warn!(rpc = method, %request_id, took_ms, code, error = %chain(&error));
                }
                _ => tracing::info!(rpc = method, %request_id, took_ms, code),
            }
            Err(status)
        }
    };
    answered(answer.as_ref().map_or_else(Status::code, |_| Code::Ok));
    let metadata = match &mut answer {
        Ok(response) => response.metadata_mut(),
        Err(status) => status.metadata_mut(),
    };
    // Only visible ASCII gets this far.
    if let Ok(value) = request_id.parse() {
        metadata.insert(REQUEST_ID, value);
    }
    answer
}

/// Writes into the span how the call ended. What callers do wrong is no error of the server.
fn answered(code: Code) {
    let (span, name) = (Span::current(), name(code));
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

/// As gRPC's specification spells it.
const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
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
