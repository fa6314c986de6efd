//! What the public LNURL side needs: lookups by secret, the instance's status, and claims. A claim is the
//! one conditional write that decides who is paid.

use async_trait::async_trait;

use super::{
    Database, SqlStore, marks::CommitLabel, reader::Reader, retry::retrying, tallies,
    withdraws::write_change,
};
use crate::{
    domain::{
        Claim, EventKind, HaltReason, InstanceStatus, Millis, Msat, PaymentHash, PaymentId,
        SecretHash, Timestamp, TraceContext, WithdrawId, WithdrawView,
    },
    ports::{ClaimOutcome, PublicStore, StoreError},
    store::{
        driver::{Fault, Tx},
        statement::Statement,
    },
};

params! {
    struct HashUsed {
        withdraw_id: WithdrawId,
        payment_hash: PaymentHash,
    }

    struct Reserve<'a> {
        id: PaymentId,
        version: i64,
        withdraw_id: WithdrawId,
        invoice: &'a str,
        payment_hash: PaymentHash,
        amount_msat: Msat,
        fee_limit_msat: Msat,
        invoice_expires_at_ms: Timestamp,
        send_until_ms: Timestamp,
        due_at_ms: Timestamp,
        trace_parent: Option<TraceContext>,
    }
}

/// Reads hash and version in one snapshot: the claim that used the hash also raised its request's version.
const HASH_USED: Statement<HashUsed> = statement!(
    HashUsed,
    "check whether the invoice was used before",
    "-- payment.hash_used
     select w.version from withdraws w
      where w.id = :withdraw_id
        and exists (select 1 from payments p where p.payment_hash = :payment_hash)"
);

const RESERVE: Statement<Reserve> = statement!(
    Reserve,
    "reserve a payment",
    concat!(
        "-- payment.reserve\n",
        insert_into!(
            "payments",
            id,
            version,
            withdraw_id,
            invoice,
            payment_hash,
            amount_msat,
            fee_limit_msat,
            invoice_expires_at_ms,
            send_until_ms,
            state = "'RESERVED'",
            due_at_ms,
            trace_parent,
            tallied = ":version",
        ),
        " on conflict (payment_hash) do nothing"
    )
);

#[async_trait]
impl<D: Database> PublicStore for SqlStore<D> {
    async fn by_secret(&self, hash: &SecretHash) -> Result<Option<WithdrawView>, StoreError> {
        self.view_by_secret(hash).await
    }

    async fn instance_status(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<InstanceStatus, StoreError> {
        let fetch = |statement| self.driver().fetch(statement);
        self.read_instance_status(clock_skew, spent_since, fetch).await
    }

    async fn claim(&self, claim: &Claim) -> Result<ClaimOutcome, StoreError> {
        match retrying(|| self.claim_once(claim)).await {
            Err(StoreError::Halted(halt)) => Ok(ClaimOutcome::Halted(halt)),
            outcome => outcome,
        }
    }
}

impl<D: Database> SqlStore<D> {
    async fn claim_once(&self, claim: &Claim) -> Result<ClaimOutcome, Fault> {
        if let Some(version) = self.version_if_used(claim).await? {
            let read = version == claim.change.next.version - 1;
            return Ok(if read { ClaimOutcome::HashUsed } else { ClaimOutcome::Stale });
        }
        let mut tx = self.driver().begin().await?;
        // The gate comes first, so a claim that waits here holds no lock that an operator's command needs.
        if claim.allowance.is_some() {
            tallies::pass_gate(self, &mut tx).await?;
        }
        if let Some(halt) = self.halted(&mut tx).await? {
            return Ok(ClaimOutcome::Halted(halt));
        }
        // The request's row comes first: a concurrent claim waits here, and then finds the version changed.
        if !write_change(&mut tx, &claim.change).await? {
            return Ok(ClaimOutcome::Stale);
        }
        if tx.execute(RESERVE.bind(Reserve::of(claim))).await? != 1 {
            return Ok(ClaimOutcome::HashUsed);
        }
        if !tallies::claimed(&mut tx, claim).await? {
            return Ok(ClaimOutcome::Halted(HaltReason::LimitSpent));
        }
        self.commit(tx, CommitLabel::of_payment(EventKind::Claimed.name(), claim.payment.id))
            .await?;
        Ok(ClaimOutcome::Accepted)
    }

    /// The request's version, if an earlier claim used the payment hash. Repeats of an invoice thus take no
    /// lock. The unique constraint still decides.
    async fn version_if_used(&self, claim: &Claim) -> Result<Option<i64>, StoreError> {
        let Claim { change, payment, .. } = claim;
        let hash_used =
            HashUsed { withdraw_id: change.next.id, payment_hash: payment.payment_hash };
        let found = self.driver().fetch(HASH_USED.bind(hash_used)).await?;
        found.first().map(|row| Reader(row).int("version")).transpose()
    }
}

impl<'a> Reserve<'a> {
    fn of(claim: &'a Claim) -> Self {
        let payment = &claim.payment;
        Self {
            id: payment.id,
            version: payment.version,
            withdraw_id: payment.withdraw,
            invoice: &payment.invoice,
            payment_hash: payment.payment_hash,
            amount_msat: payment.amount,
            fee_limit_msat: payment.fee_limit,
            invoice_expires_at_ms: payment.invoice_expires_at,
            send_until_ms: payment.send_until,
            // Due at once. Not `modified` of the request, which may be ahead of every clock.
            due_at_ms: payment.id.created(),
            trace_parent: payment.trace_parent,
        }
    }
}
