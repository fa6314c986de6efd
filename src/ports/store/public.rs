//! What wallets ask for: the process of the public side needs no more.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Claim, Halt, Millis, SecretHash, Standing, Timestamp, WithdrawView};

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The request is held by this claim.
    Accepted,
    /// The request has moved since it was read.
    Stale,
    /// The payment hash was claimed with before.
    HashUsed,
    /// The instance accepts nothing.
    Halted(Halt),
}

/// The public side: who holds a secret may see the request and claim it.
#[async_trait]
pub trait PublicStore: Send + Sync {
    /// A request by what its secret hashes to.
    async fn by_secret(&self, hash: &SecretHash) -> Result<Option<WithdrawView>, StoreError>;

    /// What the whole instance may do now. Replicas' clocks may be `clock_skew` apart. With `spent_since`,
    /// what was accepted since then is added up.
    async fn standing(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<Standing, StoreError>;

    /// Writes the attempt, the request's change and the event; decided by the database.
    async fn claim(&self, claim: &Claim) -> Result<ClaimOutcome, StoreError>;
}
