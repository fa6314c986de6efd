//! The generated types of `proto/withdraw/v1`: known to `grpc` and `client` alone.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

tonic::include_proto!("withdraw.v1");

/// The descriptors that reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/withdraw_descriptor.bin"));
