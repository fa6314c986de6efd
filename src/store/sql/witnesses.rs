//! Write witnesses: the proof that a node stores payments.
//!
//! A time in the future was written by a clock that has been set back since. It proves nothing, and is
//! removed before it lies in the past and would count.

use super::{
    Database, SqlStore,
    reader::{Reader, only},
    retry::retrying,
};
use crate::{
    domain::{HaltReason, Millis, NodeId, Timestamp, payment::Unanswered},
    ports::{NewWitness, OverdueSends, StoreError},
    store::{
        driver::{Fault, Tx},
        statement::Statement,
    },
};

/// How many tries for a witness (a new one, or another wait for an overdue one) must fail before the node
/// counts as not storing payments. A single failure may only mean that the process was suspended.
const MIN_FAILURES: i64 = 10;

/// Longer than any witness lease, and than the time between two leases of a failing series.
const LONGER_THAN_LEASES: Millis = Millis::from_secs(3600);
/// Clocks differ by less, unless one was set wrong.
const MAX_CLOCK_SKEW: Millis = Millis::from_secs(60);

params! {
    struct StoredSince<'a> {
        node_id: &'a NodeId,
        until: Timestamp,
        sequence: i64,
        now: Timestamp,
    }

    struct UnansweredInARow<'a> {
        node_id: &'a NodeId,
        begun_before: Timestamp,
        now: Timestamp,
        most: i64,
    }

    struct Begin<'a> {
        next_at: Timestamp,
        node_id: &'a NodeId,
        now: Timestamp,
        long_ago: Timestamp,
        far_ahead: Timestamp,
    }

    struct ForgetFuture<'a> {
        node_id: &'a NodeId,
        soon: Timestamp,
    }

    struct Renew<'a> {
        next_at: Timestamp,
        node_id: &'a NodeId,
        ends_at: Timestamp,
    }

    struct InVainSince<'a> {
        in_vain: i64,
        node_id: &'a NodeId,
        now: Timestamp,
        long_ago: Timestamp,
    }

    struct Witnessed<'a> {
        begun_at: Timestamp,
        after: i64,
        node_id: &'a NodeId,
    }
}

pub const LAST_SEND: Statement<()> = statement!(
    "read the last send",
    "-- send.last
     select coalesce(max(sequence), 0) as sequence from sends"
);

/// The first row that began late enough usually matches, so the scan is short.
const ANSWERED_SINCE: Statement<StoredSince> = statement!(
    StoredSince,
    "look for a send that the node stored",
    "-- send.stored_since
     select sequence from sends
      where node_id = :node_id and begun_at_ms > :until and begun_at_ms <= :now
        and answer in ('STORED', 'FINAL') and sequence > :sequence
      limit 1"
);

const WITNESSED_SINCE: Statement<StoredSince> = statement!(
    StoredSince,
    "look for a write witness",
    "-- node.witnessed_since
     select node_id from nodes
      where node_id = :node_id and witnessed_at_ms > :until and witnessed_at_ms <= :now
        and witnessed_after >= :sequence"
);

const UNANSWERED_IN_A_ROW: Statement<UnansweredInARow> = statement!(
    UnansweredInARow,
    "count the sends that were not answered",
    "-- send.unanswered_in_a_row
     select count(*) as counted from (
         select 1 from sends s
          where s.node_id = :node_id and s.answer is null and s.begun_at_ms < :begun_before
            and s.begun_at_ms > (select coalesce(max(w.begun_at_ms), 0) from sends w
                                  where w.node_id = :node_id and w.begun_at_ms <= :now
                                    and w.answer in ('STORED', 'FINAL'))
            and s.begun_at_ms > (select coalesce(max(n.witnessed_at_ms), 0) from nodes n
                                  where n.node_id = :node_id and n.witnessed_at_ms <= :now)
          limit :most) as few"
);

/// Whether the current series of failed witnesses continues: it did not begin in the future, its last lease
/// did not end long ago, and the node has stored nothing since it began.
macro_rules! still_in_vain {
    () => {
        "witness_in_vain_since_ms <= :now and witness_due_at_ms > :long_ago
                     and not exists (select 1 from sends s
                                      where s.node_id = :node_id
                                        and s.begun_at_ms > witness_in_vain_since_ms
                                        and s.begun_at_ms <= :now and s.answer in ('STORED', 'FINAL'))"
    };
}

/// Takes the lease. One that ends in the far future does not count: the clock has been set back since.
const BEGIN: Statement<Begin> = statement!(
    Begin,
    "take the lease for a write witness",
    concat!(
        "-- node.begin_witness
     update nodes
        set witness_due_at_ms = :next_at,
            witness_in_vain_since_ms = case when ",
        still_in_vain!(),
        "
                then witness_in_vain_since_ms else :now end,
            witness_in_vain = case when ",
        still_in_vain!(),
        "
                then witness_in_vain + 1 else 1 end,
            witnessed_at_ms = case when witnessed_at_ms <= :now then witnessed_at_ms end,
            witnessed_after = case when witnessed_at_ms <= :now then witnessed_after end
      where node_id = :node_id and is_current
        and (witness_due_at_ms is null or witness_due_at_ms <= :now or witness_due_at_ms > :far_ahead)"
    )
);

/// Usually matches no row.
const FORGET_FUTURE: Statement<ForgetFuture> = statement!(
    ForgetFuture,
    "reset sends dated by a clock that was ahead",
    "-- send.forget_future
     update sends set begun_at_ms = 0
      where node_id = :node_id and begun_at_ms > :soon and answer in ('STORED', 'FINAL')"
);

const RENEW: Statement<Renew> = statement!(
    Renew,
    "renew the lease for a write witness",
    "-- node.renew_witness
     update nodes set witness_due_at_ms = :next_at, witness_in_vain = witness_in_vain + 1
      where node_id = :node_id and witness_due_at_ms = :ends_at"
);

const IN_VAIN_SINCE: Statement<InVainSince> = statement!(
    InVainSince,
    "read since when a node stores nothing",
    concat!(
        "-- node.in_vain_since
     select witness_in_vain_since_ms from nodes
      where node_id = :node_id and witness_in_vain >= :in_vain and ",
        still_in_vain!()
    )
);

/// A witness that began later replaces the stored one even if it follows fewer sends: another database server
/// may know of fewer.
const WITNESSED: Statement<Witnessed> = statement!(
    Witnessed,
    "write a write witness",
    "-- node.witnessed
     update nodes set witnessed_at_ms = :begun_at, witnessed_after = :after,
                      witness_in_vain_since_ms = null, witness_in_vain = 0
      where node_id = :node_id
        and (witnessed_at_ms is null or witnessed_after <= :after or witnessed_at_ms < :begun_at)"
);

impl<D: Database> SqlStore<D> {
    pub(super) async fn saw_stored(
        &self,
        node: &NodeId,
        sends: &Unanswered,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        // A send that was not read back has no sequence number yet.
        let Some(sequence) = sends.sequence else {
            return Ok(false);
        };
        for statement in [ANSWERED_SINCE, WITNESSED_SINCE] {
            let since = StoredSince { node_id: node, until: sends.until, sequence, now };
            if !self.driver().fetch(statement.bind(since)).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) async fn count_unanswered(
        &self,
        node: &NodeId,
        overdue: OverdueSends,
    ) -> Result<i64, StoreError> {
        let OverdueSends { begun_before, now, most } = overdue;
        let sends = UnansweredInARow { node_id: node, begun_before, now, most };
        only(&self.driver().fetch(UNANSWERED_IN_A_ROW.bind(sends)).await?)?.int("counted")
    }

    pub(super) async fn take_witness_lease(
        &self,
        witness: &NewWitness,
    ) -> Result<Option<i64>, StoreError> {
        retrying(|| self.take_witness_lease_once(witness)).await
    }

    pub(super) async fn renew_witness_lease(
        &self,
        witness: &NewWitness,
        ends_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let NewWitness { node, next_at, .. } = witness;
        let lease = || Renew { next_at: *next_at, node_id: node, ends_at };
        let kept = retrying(|| self.write(RENEW.bind(lease()))).await?;
        Ok(kept == 1)
    }

    pub(super) async fn read_in_vain_since(
        &self,
        node: &NodeId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let long_ago = now.minus(LONGER_THAN_LEASES);
        let since = InVainSince { in_vain: MIN_FAILURES, node_id: node, now, long_ago };
        let found = self.driver().fetch(IN_VAIN_SINCE.bind(since)).await?;
        found.first().map(|row| Reader(row).time("witness_in_vain_since_ms")).transpose()
    }

    pub(super) async fn write_witnessed(
        &self,
        node: &NodeId,
        begun_at: Timestamp,
        after: i64,
    ) -> Result<(), StoreError> {
        let witnessed = || Witnessed { begun_at, after, node_id: node };
        retrying(|| self.write(WITNESSED.bind(witnessed()))).await.map(drop)
    }

    async fn take_witness_lease_once(&self, witness: &NewWitness) -> Result<Option<i64>, Fault> {
        let mut tx = self.driver().begin().await?;
        // A pause or a fence does not stop witnesses: they pay nobody, and open attempts need them to end.
        if self.halted(&mut tx).await? == Some(HaltReason::Unverified) {
            return Ok(None);
        }
        let NewWitness { node, begun_at, next_at } = witness;
        let lease = Begin {
            next_at: *next_at,
            node_id: node,
            now: *begun_at,
            long_ago: begun_at.minus(LONGER_THAN_LEASES),
            far_ahead: begun_at.plus(LONGER_THAN_LEASES),
        };
        if tx.execute(BEGIN.bind(lease)).await? != 1 {
            return Ok(None);
        }
        let future = ForgetFuture { node_id: node, soon: begun_at.plus(MAX_CLOCK_SKEW) };
        tx.execute(FORGET_FUTURE.bind(future)).await?;
        let found = tx.fetch(LAST_SEND.bind(())).await?;
        let after = only(&found)?.int("sequence")?;
        tx.commit().await?;
        Ok(Some(after))
    }
}
