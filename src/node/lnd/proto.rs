//! lnd's messages and services, generated from the subset in `proto/`. The generated servers are not used.

#![expect(clippy::pedantic, clippy::enum_variant_names, reason = "generated")]

pub(super) mod lnrpc {
    tonic::include_proto!("lnrpc");
}

pub(super) mod routerrpc {
    tonic::include_proto!("routerrpc");
}
