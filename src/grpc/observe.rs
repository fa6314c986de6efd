//! One line per RPC: what was called, how it ended, how long it took, under which request id.

use std::future::Future;

use tonic::{Code, Response, Status, metadata::MetadataMap};

use super::status;
use crate::{domain::Millis, report::chain, runtime::Runtime, service::ServiceError};

/// The metadata key of the request id, in and out.
const REQUEST_ID: &str = "x-request-id";
const MAX_REQUEST_ID_CHARS: usize = 64;

/// Runs a handler and tells of it. Errors become statuses here, their causes stay in the log.
pub async fn observed<T>(
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

/// The caller's id for this call, or a new one.
fn request_id(runtime: &Runtime, metadata: &MetadataMap) -> String {
    let given = metadata.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let fits = |id: &&str| {
        (1..=MAX_REQUEST_ID_CHARS).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
    };
    given.filter(fits).map_or_else(|| hex::encode(&runtime.id_bits()[..8]), str::to_owned)
}
