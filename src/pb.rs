//! The generated types of `proto/withdraw/v1`: known to `grpc` and `client` alone.

#![allow(missing_docs, clippy::all, clippy::pedantic)]

tonic::include_proto!("withdraw.v1");

/// The descriptors that reflection serves.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/withdraw_descriptor.bin"));

/// Without what opens it.
impl std::fmt::Debug for Withdraw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Withdraw")
            .field("id", &self.id)
            .field("status", &self.status())
            .field("claimable", &self.claimable)
            .field("unclaimable_reason", &self.unclaimable_reason())
            .field("payment", &self.payment)
            .finish_non_exhaustive()
    }
}
