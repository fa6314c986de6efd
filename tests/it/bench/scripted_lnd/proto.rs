//! lnd's messages, as `build.rs` generates them for the crate, which keeps its own to itself.

#![expect(clippy::pedantic, clippy::enum_variant_names, reason = "generated")]

pub mod lnrpc {
    tonic::include_proto!("lnrpc");
}

pub mod routerrpc {
    tonic::include_proto!("routerrpc");
}
