//! `[grpc]`: the server for internal services and operators.

use std::net::SocketAddr;

use serde::Deserialize;

use super::{check::Check, listen};
use crate::{domain::Millis, grpc::GrpcOptions};

/// `[grpc]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Grpc {
    pub listen: String,
    pub timeout_ms: i64,
    pub max_concurrent_streams: i64,
    pub max_connection_age_s: i64,
}

/// The server.
#[derive(Clone, Copy, Debug)]
pub struct GrpcSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its limits.
    pub options: GrpcOptions,
}

impl Grpc {
    pub(super) fn check(&self, drain: Millis, check: &mut Check) -> GrpcSettings {
        let streams = ("grpc.max_concurrent_streams", self.max_concurrent_streams);
        GrpcSettings {
            listen: listen::check("grpc.listen (--grpc-listen)", &self.listen, check),
            options: GrpcOptions {
                timeout: check.ms("grpc.timeout_ms", self.timeout_ms),
                max_concurrent_streams: check.number(streams.0, streams.1, &(1..=1_000_000)),
                max_connection_age: check.s("grpc.max_connection_age_s", self.max_connection_age_s),
                drain,
            },
        }
    }
}
