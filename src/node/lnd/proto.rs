//! lnd's messages and services, generated from the subset in `proto/`. The servers are not used:
//! the tests' scripted lnd answers by hand.

#![expect(clippy::pedantic, clippy::enum_variant_names, reason = "generated")]

pub(super) mod lnrpc {
    tonic::include_proto!("lnrpc");
}

pub(super) mod routerrpc {
    tonic::include_proto!("routerrpc");
}
