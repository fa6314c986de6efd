//! Running totals over the whole instance (see the migration `0005_tallies`). Every claim needs them, and
//! summing payments each time would be too slow.
//!
//! There are three kinds of tallies. OPEN sums the open attempts that are not *out* yet, which means that the
//! node was not seen to know them. OUT sums those that went out, by second. SPENT sums what was accepted and
//! did not fail, by quarter of an hour; the 24-hour limit reads it.
//!
//! A tally changes in the transaction of the state transition that it counts, so no crash, restart or
//! resolution leaves it behind, and a restored database has tallies that match its rows. Tallies are kept
//! even if no limit is set, so a limit that is switched on finds them correct. An attempt's slot follows from
//! its id, so its end is subtracted from the slot in which its beginning was counted.
//!
//! Every transaction writes the tallies of one payment, in one statement, in key order, so no two
//! transactions deadlock.

use super::{
    Database, SqlStore,
    reader::{Parsed, Reader},
    retry::retrying,
};
use crate::{
    domain::{
        Allowance, Claim, Millis, Msat, PaymentId, Restored, State, Timestamp, payment::Advance,
    },
    ports::StoreError,
    store::{
        driver::{Cells, Fault, Tx},
        statement::{BoundStatement, Statement},
    },
};

/// The length of a slot of the 24-hour limit. A whole slot counts until all of it has left the window, so an
/// amount may count for up to this much longer, never shorter.
const SPENT_SLOT_LENGTH: Millis = Millis::from_secs(15 * 60);

/// Every heartbeat that is still in use already reflects payments that went out this long ago.
const OUT_RETENTION: Millis = Millis::from_secs(3600);

params! {
    struct Claimed {
        shard: i64,
        price_msat: i64,
        slot: i64,
    }

    struct RestoredPayment {
        slot: i64,
        shard: i64,
        price_msat: i64,
    }

    /// The attempt whose row still has version `read_version`, and its next values.
    struct Stepped<'a> {
        id: PaymentId,
        read_version: i64,
        state: &'a str,
        /// The fee that was paid, also by a late success.
        fee_msat: Option<Msat>,
        no_witness: bool,
        known_at_ms: Option<Timestamp>,
        /// The slot in which it was accepted.
        slot: i64,
        shard: i64,
    }

    pub struct Since {
        slot: i64,
    }

    pub struct Before {
        slot: i64,
    }
}

/// Counts a claim: the attempt is open and not out yet, and its amount and fee limit count as spent.
const CLAIMED: Statement<Claimed> = statement!(
    Claimed,
    "count a claim",
    "-- tally.claimed
     insert into tallies (kind, slot, shard, msat, payments)
     values ('OPEN', 0, :shard, :price_msat, 0), ('SPENT', :slot, :shard, :price_msat, 0)
     on conflict (kind, slot, shard) do update set msat = tallies.msat + excluded.msat"
);

/// Counts a restored payment: it is paid, so nothing of it is open.
const RESTORED: Statement<RestoredPayment> = statement!(
    RestoredPayment,
    "count a restored payment",
    concat!(
        "-- tally.restored\n",
        insert_into!(
            "tallies",
            kind = "'SPENT'",
            slot,
            shard,
            msat = ":price_msat",
            payments = "0",
        ),
        " on conflict (kind, slot, shard) do update set msat = tallies.msat + excluded.msat"
    )
);

/// Counts a state transition: the difference between the row as it is and as it will be written next.
///
/// An open attempt counts with its amount and fee limit, a paid one (also a late success) with its amount and
/// fee. An attempt that the node knows, and that is neither SENDING nor FAILED, is out.
const STEPPED: Statement<Stepped> = statement!(
    Stepped,
    "count a state transition",
    "-- tally.stepped
     insert into tallies (kind, slot, shard, msat, payments)
     select d.kind, d.slot, :shard, d.msat, d.payments
       from (select 'OPEN' as kind, 0 as slot,
                    (p.amount_msat + p.fee_limit_msat)
                    * ((case when :state in ('RESERVED', 'SENDING') then 1 else 0 end)
                       - (case when p.state in ('RESERVED', 'SENDING') then 1 else 0 end)) as msat,
                    (case when :state = 'IN_FLIGHT' then 1 else 0 end)
                    - (case when p.state = 'IN_FLIGHT' then 1 else 0 end) as payments
               from payments p where p.id = :id and p.version = :read_version
              union all
             select 'OUT', coalesce(p.known_at_ms, cast(:known_at_ms as bigint)) / 1000,
                    (p.amount_msat + p.fee_limit_msat)
                    * ((case when :state in ('SENDING', 'FAILED') or :no_witness
                                  or coalesce(p.known_at_ms, cast(:known_at_ms as bigint)) is null
                             then 0 else 1 end)
                       - (case when p.state in ('SENDING', 'FAILED') or p.known_at_ms is null
                               then 0 else 1 end)),
                    0
               from payments p where p.id = :id and p.version = :read_version
              union all
             select 'SPENT', cast(:slot as bigint),
                    (case when :state not in ('PAID', 'FAILED') then p.amount_msat + p.fee_limit_msat
                          when cast(:fee_msat as bigint) is null then 0
                          else p.amount_msat + cast(:fee_msat as bigint) end)
                    - (case when p.state = 'PAID' then p.amount_msat + p.fee_msat
                            when p.state <> 'FAILED' then p.amount_msat + p.fee_limit_msat
                            when p.late_at_ms is null then 0
                            else p.amount_msat + coalesce(p.late_fee_msat, 0) end),
                    0
               from payments p where p.id = :id and p.version = :read_version) as d
      where d.msat <> 0 or d.payments <> 0
      order by d.kind
     on conflict (kind, slot, shard) do update
        set msat = tallies.msat + excluded.msat, payments = tallies.payments + excluded.payments"
);

/// Reads slots, not payments: at most 97 slots × 16 shards, however many payments there were.
pub const SPENT_SINCE: Statement<Since> = statement!(
    Since,
    "read what was accepted",
    "-- tally.spent_since
     select cast(coalesce(sum(t.msat), 0) as bigint) as spent_msat from tallies t
      where t.kind = 'SPENT' and t.slot >= :slot"
);

pub const ANY_OLD_OUT: Statement<Before> = statement!(
    Before,
    "look for old OUT tallies",
    "-- tally.any_old_out\nselect slot from tallies where kind = 'OUT' and slot < :slot limit 1"
);

const DROP_OLD_OUT: Statement<Before> = statement!(
    Before,
    "delete old OUT tallies",
    "-- tally.drop_old_out\ndelete from tallies where kind = 'OUT' and slot < :slot"
);

/// The slot of payments that were accepted at this instant.
const fn spent_slot(at: Timestamp) -> i64 {
    at.as_ms().div_euclid(SPENT_SLOT_LENGTH.as_ms())
}

/// One of sixteen shards, from the last bits of the id, which are random. Transactions on different shards do
/// not wait for each other.
fn shard(payment: PaymentId) -> i64 {
    i64::from(payment.as_uuid().as_bytes()[15] & 0x0f)
}

/// Counts a claim. False if it exceeds what may be accepted.
pub async fn claimed<T: Tx>(tx: &mut T, claim: &Claim) -> Result<bool, Fault> {
    let payment = &claim.payment;
    let price = payment.amount.get().saturating_add(payment.fee_limit.get());
    let slot = spent_slot(payment.id.created());
    let claimed = Claimed { shard: shard(payment.id), price_msat: price, slot };
    tx.execute(CLAIMED.bind(claimed)).await?;
    match claim.allowance {
        None => Ok(true),
        Some(allowance) => is_within(tx, allowance).await,
    }
}

/// Locks the limit gate until the transaction ends. Claims under a limit pass one at a time, so that each one
/// sees the spending of all claims before it.
pub async fn pass_gate<D: Database>(store: &SqlStore<D>, tx: &mut D::Tx) -> Result<(), Fault> {
    let gate = store.driver().dialect().pass_limit;
    if tx.fetch(gate.bind(())).await?.is_empty() {
        let source = "the table `limit_gate` has no row".into();
        return Err(StoreError::Failed { doing: gate.sql.doing, source }.into());
    }
    Ok(())
}

async fn is_within<T: Tx>(tx: &mut T, allowance: Allowance) -> Result<bool, Fault> {
    let found = tx.fetch(spent_since(allowance.since)).await?;
    Ok(spent(found.first())? <= allowance.most)
}

/// Counts a state transition, before it is written.
pub async fn stepped<T: Tx>(tx: &mut T, advance: &Advance) -> Result<(), Fault> {
    // A send changes no tally: the attempt was open and not out before, and stays so.
    if advance.new_send.is_some() {
        return Ok(());
    }
    let payment = &advance.payment;
    let fee = match payment.state {
        State::Paid { fee, .. } => Some(fee),
        State::Failed { late, .. } => late.map(|late| late.fee),
        State::Reserved | State::Sending | State::InFlight | State::NeedsOperator { .. } => None,
    };
    let stepped = Stepped {
        id: payment.id,
        read_version: payment.version - 1,
        state: payment.state.name(),
        fee_msat: fee,
        no_witness: advance.unknown_to_node,
        known_at_ms: advance.known_at,
        slot: spent_slot(payment.id.created()),
        shard: shard(payment.id),
    };
    tx.execute(STEPPED.bind(stepped)).await?;
    Ok(())
}

/// Counts a restored payment.
pub async fn restored<T: Tx>(tx: &mut T, restored: &Restored) -> Result<(), Fault> {
    let price = restored.amount.get().saturating_add(restored.fee.get());
    let slot = spent_slot(restored.id.created());
    let counted = RestoredPayment { slot, shard: shard(restored.id), price_msat: price };
    tx.execute(RESTORED.bind(counted)).await?;
    Ok(())
}

/// The statement that adds up what was accepted since `at`.
pub fn spent_since(at: Timestamp) -> BoundStatement<'static> {
    SPENT_SINCE.bind(Since { slot: spent_slot(at) })
}

/// The sum that [`spent_since`] read; zero if it was not asked for.
pub fn spent<R: Cells>(row: Option<&R>) -> Parsed<Msat> {
    let spent = row.map_or(Ok(0), |row| Reader(row).int("spent_msat"))?;
    Ok(Msat::new(spent.max(0)).unwrap_or(Msat::MAX))
}

impl<D: Database> SqlStore<D> {
    /// Deletes OUT tallies that are too old to matter at this heartbeat.
    pub(super) async fn drop_old_out(&self, beat: Timestamp) -> Result<(), StoreError> {
        let slot = beat.minus(OUT_RETENTION).as_ms().div_euclid(1000);
        if self.driver().fetch(ANY_OLD_OUT.bind(Before { slot })).await?.is_empty() {
            return Ok(());
        }
        retrying(|| self.write(DROP_OLD_OUT.bind(Before { slot }))).await.map(drop)
    }
}
