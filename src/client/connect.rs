//! The way to a running service. Whatever is wrong on it is told at once, before anything is asked for:
//! the address, the cause, and what to try.

use std::{error::Error, io::ErrorKind, time::Duration};

use tonic::{
    Code,
    transport::{Channel, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::ClientError;
use crate::report::chain;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Connects, and makes sure that a gRPC server is there: HTTP/2 says so with the first answer only.
pub(super) async fn channel(server: &str) -> Result<Channel, ClientError> {
    // As the banner and grpcurl write it.
    let server =
        if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    let mut endpoint = Endpoint::from_shared(server.clone()).map_err(|_| ClientError::Server)?;
    endpoint = match endpoint.uri().scheme_str() {
        Some("http") => endpoint,
        Some("https") => endpoint
            .tls_config(ClientTlsConfig::new().with_webpki_roots())
            .map_err(|error| unreachable(&server, &error))?,
        _ => return Err(ClientError::Server),
    };
    let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
    let channel = endpoint.connect().await.map_err(|error| unreachable(&server, &error))?;
    let mut health = HealthClient::new(channel.clone());
    let asked = health.check(HealthCheckRequest::default());
    let Ok(asked) = tokio::time::timeout(CONNECT_TIMEOUT, asked).await else {
        return Err(ClientError::Unreachable {
            server,
            why: "no answer in time".to_owned(),
            advice: "it does not answer: is this the port of grpc.listen?",
        });
    };
    match asked {
        // A broken connection has a cause; what a server answers has none.
        Err(status) if status.source().is_some() => Err(unreachable(&server, &status)),
        Err(status) if status.code() == Code::Unknown || status.code() == Code::Internal => {
            Err(unreachable(&server, &status))
        }
        Ok(_) | Err(_) => Ok(channel),
    }
}

fn unreachable(server: &str, error: &(dyn Error + 'static)) -> ClientError {
    let why = chain(error);
    let advice = advice(server, error, &why);
    // The kind of error is told by what caused it, last.
    let why = root(error).to_string();
    ClientError::Unreachable { server: server.to_owned(), why, advice }
}

fn root<'e>(mut error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}

fn io_kind(mut error: &(dyn Error + 'static)) -> Option<ErrorKind> {
    loop {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        error = error.source()?;
    }
}

fn advice(server: &str, error: &(dyn Error + 'static), why: &str) -> &'static str {
    let tls = server.starts_with("https://");
    if why.contains("dns error") || why.contains("failed to lookup") {
        return "is the host name in --server correct?";
    }
    match io_kind(error) {
        Some(ErrorKind::ConnectionRefused) => {
            "nobody listens there: is `withdrawd serve` running, and is this the port of grpc.listen?"
        }
        Some(ErrorKind::TimedOut) => "does a firewall block it, or is the address wrong?",
        _ if why.contains("deadline has elapsed") || why.contains("Timeout expired") => {
            "it does not answer: does a firewall block it, or is the address wrong?"
        }
        _ if tls && why.contains("InvalidContentType") => {
            "it does not speak TLS: use http://, as withdrawd itself serves gRPC"
        }
        _ if tls => "TLS failed: withdrawd itself serves gRPC over http://",
        _ => {
            "it does not speak gRPC over http://: --server takes the address of grpc.listen (50051 by \
             default), not that of lnurl.listen; use https:// if a proxy terminates TLS"
        }
    }
}
