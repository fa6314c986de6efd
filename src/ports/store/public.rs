//! What wallets need. A process that serves only the public side uses nothing else of the store.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{
    Claim, HaltReason, InstanceStatus, Millis, SecretHash, Timestamp, WithdrawView,
};

/// The outcome of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// This claim now holds the request.
    Accepted,
    /// The request has changed since it was read.
    Stale,
    /// The payment hash was used in an earlier claim.
    HashUsed,
    /// The instance accepts no claims.
    Halted(HaltReason),
}

/// The public side: whoever holds a secret may see the request and claim it.
#[async_trait]
pub trait PublicStore: Send + Sync {
    /// A request by the hash of its secret.
    async fn by_secret(&self, hash: &SecretHash) -> Result<Option<WithdrawView>, StoreError>;

    /// What the whole instance may do now. Replicas' clocks may be `clock_skew` apart. With
    /// `spent_since`, the amounts accepted since then are summed up.
    async fn instance_status(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<InstanceStatus, StoreError>;

    /// Writes the attempt, the request's change and the event. The database decides the outcome.
    async fn claim(&self, claim: &Claim) -> Result<ClaimOutcome, StoreError>;
}
