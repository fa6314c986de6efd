//! Claims: the one conditional write that decides who is paid.

use async_trait::async_trait;

use super::{
    SqlStore, bytes, int, marks::CommitLabel, reader as rows, retry::retrying, statements, tallies,
    text, uuid, withdraws,
};
use crate::{
    domain::{Claim, EventKind, Halt, Payment, Timestamp},
    ports::{ClaimOutcome, Claims, StoreError},
    store::driver::{Driver, Fault, Tx, Value},
};

#[async_trait]
impl<D: Driver> Claims for SqlStore<D> {
    async fn claim(&self, claim: &Claim) -> Result<ClaimOutcome, StoreError> {
        match retrying(|| self.claim_once(claim)).await {
            Err(StoreError::Halted(halt)) => Ok(ClaimOutcome::Halted(halt)),
            outcome => outcome,
        }
    }
}

impl<D: Driver> SqlStore<D> {
    async fn claim_once(&self, claim: &Claim) -> Result<ClaimOutcome, Fault> {
        if let Some(version) = self.version_if_used(claim).await? {
            let read = version == claim.change.next.version - 1;
            return Ok(if read { ClaimOutcome::HashUsed } else { ClaimOutcome::Stale });
        }
        let mut tx = self.driver().begin().await?;
        // Whoever waits at the gate holds nothing that an operator's command waits for.
        if claim.allowance.is_some() {
            tallies::pass_gate(self, &mut tx).await?;
        }
        if let Some(halt) = self.halted(&mut tx).await? {
            return Ok(ClaimOutcome::Halted(halt));
        }
        // The request's row first: whoever comes second waits here and then finds it moved.
        if !withdraws::write_change(&mut tx, &claim.change).await? {
            return Ok(ClaimOutcome::Stale);
        }
        // Not the request's `modified`: that may lie ahead of every clock.
        let accepted_at = claim.payment.id.created();
        if tx.execute(statements::RESERVE, reserved(&claim.payment, accepted_at)).await? != 1 {
            return Ok(ClaimOutcome::HashUsed);
        }
        if !tallies::claimed(&mut tx, claim).await? {
            return Ok(ClaimOutcome::Halted(Halt::LimitSpent));
        }
        self.commit(tx, CommitLabel::of_payment(EventKind::Claimed.name(), claim.payment.id))
            .await?;
        Ok(ClaimOutcome::Accepted)
    }

    /// The request's version, if the payment hash was claimed with before: whoever repeats a used invoice
    /// takes no lock. The unique constraint still decides.
    async fn version_if_used(&self, claim: &Claim) -> Result<Option<i64>, StoreError> {
        let Claim { change, payment, .. } = claim;
        let values = vec![uuid(change.next.id.as_uuid()), bytes(payment.payment_hash.as_bytes())];
        let found = self.driver().fetch(statements::HASH_USED, values).await?;
        found.first().map(|row| rows::one_int(row, "version")).transpose()
    }
}

/// The parameters of `payment.reserve`. It is due at once.
fn reserved(payment: &Payment, accepted_at: Timestamp) -> Vec<Value> {
    vec![
        uuid(payment.id.as_uuid()),
        int(payment.version),
        uuid(payment.withdraw.as_uuid()),
        text(&payment.invoice),
        bytes(payment.payment_hash.as_bytes()),
        int(payment.amount.get()),
        int(payment.fee_limit.get()),
        int(payment.invoice_expires_at.as_ms()),
        int(payment.send_until.as_ms()),
        int(accepted_at.as_ms()),
        rows::trace_parent(payment.trace_parent),
    ]
}
