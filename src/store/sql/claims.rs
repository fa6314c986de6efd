//! What wallets ask for, and claims: the one conditional write that decides who is paid.

use async_trait::async_trait;

use super::{
    SqlStore, marks::CommitLabel, reader::Reader, retry::retrying, tallies, withdraws::write_change,
};
use crate::{
    domain::{
        Claim, EventKind, Halt, Millis, Msat, PaymentHash, PaymentId, SecretHash, Standing,
        Timestamp, TraceContext, WithdrawId, WithdrawView,
    },
    ports::{ClaimOutcome, PublicStore, StoreError},
    store::{
        driver::{Driver, Fault, Tx},
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

/// Both in one snapshot: a claim that has used the hash has also moved its request.
const HASH_USED: Statement<HashUsed> = statement!(
    HashUsed,
    "look for a used invoice",
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
impl<D: Driver> PublicStore for SqlStore<D> {
    async fn by_secret(&self, hash: &SecretHash) -> Result<Option<WithdrawView>, StoreError> {
        self.view_by_secret(hash).await
    }

    async fn standing(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<Standing, StoreError> {
        let fetch = |statement| self.driver().fetch(statement);
        self.read_standing(clock_skew, spent_since, fetch).await
    }

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
        if !write_change(&mut tx, &claim.change).await? {
            return Ok(ClaimOutcome::Stale);
        }
        if tx.execute(RESERVE.bind(Reserve::of(claim))).await? != 1 {
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
            // At once. Not the request's `modified`: that may lie ahead of every clock.
            due_at_ms: payment.id.created(),
            trace_parent: payment.trace_parent,
        }
    }
}
