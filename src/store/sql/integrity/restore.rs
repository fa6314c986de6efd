//! Restores payments that the node made and the database lost, and finds the requests to withhold until an
//! operator has reviewed them.

use crate::{
    domain::{Msat, PaymentHash, PaymentId, Preimage, Restored, Timestamp, Withdraw, WithdrawId},
    ports::StoreError,
    store::{
        driver::{Fault, Tx},
        sql::{
            Database, SqlStore,
            marks::CommitLabel,
            tallies,
            withdraws::{
                row::{self, withdraw_columns},
                write_change,
            },
        },
        statement::{BoundStatement, Statement},
    },
};

params! {
    struct Restore<'a> {
        id: PaymentId,
        withdraw_id: WithdrawId,
        invoice: &'a str,
        payment_hash: PaymentHash,
        amount_msat: Msat,
        fee_limit_msat: Msat,
        invoice_expires_at_ms: Timestamp,
        send_until_ms: Timestamp,
        state_at_ms: Timestamp,
        preimage: Preimage,
        fee_msat: Msat,
    }

    pub struct Hash {
        payment_hash: PaymentHash,
    }

    pub struct ToWithhold {
        before: WithdrawId,
        limit: i64,
    }

    pub struct Withheld {
        limit: i64,
    }
}

/// Restores a payment that the node made and the database lost, to the request that an operator named.
const RESTORE: Statement<Restore> = statement!(
    Restore,
    "restore a payment",
    concat!(
        "-- payment.restore\n",
        insert_into!(
            "payments",
            id,
            version = "1",
            withdraw_id,
            invoice,
            payment_hash,
            amount_msat,
            fee_limit_msat,
            invoice_expires_at_ms,
            send_until_ms,
            state = "'PAID'",
            state_at_ms,
            preimage,
            fee_msat,
            tallied = "1",
        ),
        " on conflict (payment_hash) do nothing"
    )
);

pub const HASH_EXISTS: Statement<Hash> = statement!(
    Hash,
    "look up a payment hash",
    "-- payment.knows_hash\nselect id from payments where payment_hash = :payment_hash"
);

pub const TO_WITHHOLD: Statement<ToWithhold> = statement!(
    ToWithhold,
    "find withdraw requests to withhold",
    concat!(
        "-- withdraw.to_withhold\nselect ",
        withdraw_columns!(),
        " from withdraws w
          where w.status = 'ACTIVE' and w.id < :before and not w.withheld
          order by w.id desc limit :limit"
    )
);

pub const WITHHELD: Statement<Withheld> = statement!(
    Withheld,
    "find withheld withdraw requests",
    concat!(
        "-- withdraw.withheld\nselect ",
        withdraw_columns!(),
        " from withdraws w where w.withheld order by w.id limit :limit"
    )
);

impl<D: Database> SqlStore<D> {
    pub(super) async fn restore_once(&self, restored: &Restored) -> Result<(), Fault> {
        let mut tx = self.driver().begin().await?;
        if !write_change(&mut tx, &restored.change).await? {
            return Err(StoreError::Stale.into());
        }
        if tx.execute(RESTORE.bind(Restore::of(restored))).await? != 1 {
            return Err(StoreError::Stale.into());
        }
        tallies::restored(&mut tx, restored).await?;
        self.commit(tx, CommitLabel::of_payment("restored", restored.id)).await
    }

    pub(super) async fn hash_exists(&self, payment_hash: PaymentHash) -> Result<bool, StoreError> {
        let found = self.driver().fetch(HASH_EXISTS.bind(Hash { payment_hash })).await?;
        Ok(!found.is_empty())
    }

    pub(super) async fn requests_to_withhold(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<Withdraw>, StoreError> {
        let before = WithdrawId::first_at(before);
        self.requests(TO_WITHHOLD.bind(ToWithhold { before, limit })).await
    }

    pub(super) async fn withheld_requests(&self, limit: i64) -> Result<Vec<Withdraw>, StoreError> {
        self.requests(WITHHELD.bind(Withheld { limit })).await
    }

    async fn requests(&self, statement: BoundStatement<'_>) -> Result<Vec<Withdraw>, StoreError> {
        self.driver().fetch(statement).await?.iter().map(row::withdraw).collect()
    }
}

impl<'a> Restore<'a> {
    fn of(restored: &'a Restored) -> Self {
        let Restored { id, invoice, payment_hash, amount, preimage, fee, at, change } = restored;
        Self {
            id: *id,
            withdraw_id: change.next.id,
            invoice,
            payment_hash: *payment_hash,
            amount_msat: *amount,
            fee_limit_msat: *fee,
            invoice_expires_at_ms: *at,
            send_until_ms: *at,
            state_at_ms: *at,
            preimage: *preimage,
            fee_msat: *fee,
        }
    }
}
