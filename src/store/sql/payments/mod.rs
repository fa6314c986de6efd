//! Attempts: leases them, writes their state transitions, and finds the proof that a node stores them.

mod advance;
mod lease;
mod leased;
mod lists;
pub(super) mod row;
mod sends;

use async_trait::async_trait;

use super::{
    Database, SqlStore, reader::Reader, retry::retrying, withdraws::row::withdraw_columns,
};
use crate::{
    domain::{
        NodeId, PaymentHash, PaymentId, Timestamp,
        payment::{Advance, PaymentEntry, PaymentQuery, Unanswered},
    },
    ports::{Lane, Leased, NewWitness, OpenPayments, OverdueSends, Payments, StoreError},
    store::statement::Statement,
};

use row::payment_columns;

pub use leased::{
    LEASED_POSTGRES, LEASED_SENDS_POSTGRES, LEASED_SENDS_SQLITE, LEASED_SQLITE, Lease, LeasedIds,
};
pub use lists::{OPEN_BY_STATE, payment_list_statements};

params! {
    struct ById {
        id: PaymentId,
    }

    struct NewestKnown<'a> {
        node_id: &'a NodeId,
        but: PaymentId,
    }
}

const BY_ID: Statement<ById> = statement!(
    ById,
    "read a payment",
    concat!(
        "-- payment.by_id\nselect ",
        withdraw_columns!(),
        ", ",
        payment_columns!(),
        " from payments p join withdraws w on w.id = p.withdraw_id where p.id = :id"
    )
);

/// Excludes the payment that is being asked about, and failed ones, which may have been deleted at the node.
const NEWEST_KNOWN: Statement<NewestKnown> = statement!(
    NewestKnown,
    "find the newest payment that a node knew",
    "-- payment.newest_known
     select payment_hash from payments
      where known_at_ms is not null and state <> 'FAILED' and noted_reason is null
        and node_id = :node_id and id <> :but
      order by known_at_ms desc limit 1"
);

#[async_trait]
impl<D: Database> Payments for SqlStore<D> {
    async fn lease(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Leased>, StoreError> {
        self.lease_due(lane, now, until, limit).await
    }

    async fn payment(&self, id: PaymentId) -> Result<Option<Leased>, StoreError> {
        let rows = self.driver().fetch(BY_ID.bind(ById { id })).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let of_payment = sends::OfPayment { payment_id: id };
        let sends = self.driver().fetch(sends::OF_PAYMENT.bind(of_payment)).await?;
        self.settle_lost_answers().await?;
        lease::leased(row, &sends).map(Some)
    }

    async fn list_payments(&self, query: &PaymentQuery) -> Result<Vec<PaymentEntry>, StoreError> {
        let entries = lists::list(self.driver(), query).await?;
        self.settle_lost_answers().await?;
        Ok(entries)
    }

    async fn open_payments(&self) -> Result<Vec<OpenPayments>, StoreError> {
        let open = self.driver().fetch(OPEN_BY_STATE.bind(())).await?;
        open.iter().map(lists::open_payments).collect()
    }

    async fn advance(&self, advance: &Advance) -> Result<(), StoreError> {
        retrying(|| self.advance_once(advance)).await
    }

    async fn send_exists(
        &self,
        id: PaymentId,
        number: i64,
        epoch: i64,
    ) -> Result<bool, StoreError> {
        let send = sends::OneSend { payment_id: id, number, epoch };
        let found = self.driver().fetch(sends::EXISTS.bind(send)).await?;
        self.settle_lost_answers().await?;
        Ok(!found.is_empty())
    }

    async fn postpone(
        &self,
        leased: &Leased,
        due_at: Option<Timestamp>,
        looks: i64,
    ) -> Result<(), StoreError> {
        self.postpone_to(leased, due_at, looks).await
    }

    async fn bring_forward(&self, beyond: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        self.bring_forward_if_any(beyond, now).await
    }

    async fn newest_known(
        &self,
        node: &NodeId,
        but: PaymentId,
    ) -> Result<Option<PaymentHash>, StoreError> {
        let known = NewestKnown { node_id: node, but };
        let rows = self.driver().fetch(NEWEST_KNOWN.bind(known)).await?;
        let hash = rows.first().map(|row| Reader(row).bytes32("payment_hash")).transpose()?;
        Ok(hash.map(PaymentHash::from_bytes))
    }

    async fn is_witnessed(
        &self,
        node: &NodeId,
        sends: &Unanswered,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.saw_stored(node, sends, now).await
    }

    async fn unanswered_in_a_row(
        &self,
        node: &NodeId,
        overdue: OverdueSends,
    ) -> Result<i64, StoreError> {
        self.count_unanswered(node, overdue).await
    }

    async fn begin_witness(&self, witness: &NewWitness) -> Result<Option<i64>, StoreError> {
        self.take_witness_lease(witness).await
    }

    async fn renew_witness(
        &self,
        witness: &NewWitness,
        ends_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.renew_witness_lease(witness, ends_at).await
    }

    async fn in_vain_since(
        &self,
        node: &NodeId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.read_in_vain_since(node, now).await
    }

    async fn witnessed(
        &self,
        node: &NodeId,
        begun_at: Timestamp,
        after: i64,
    ) -> Result<(), StoreError> {
        self.write_witnessed(node, begun_at, after).await
    }
}
