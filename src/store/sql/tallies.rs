//! What is asked of the whole instance for each claim, kept instead of summed: see the migration that
//! makes the table `tallies`.
//!
//! A tally moves in the transaction of the step that it counts, so that no crash, restart or resolution
//! leaves it behind; a restored database has the tallies of its rows. They are kept whether or not a limit
//! is set: one that is switched on finds them right. The slot of an attempt follows from its id, so that
//! its end is taken off where its beginning was counted.
//!
//! Every transaction writes the tallies of one payment, in one statement, in the order of the key: no two
//! of them wait for each other in a circle.

use super::{
    SqlStore,
    reader::{Parsed, Reader},
    retry::retrying,
};
use crate::{
    domain::{
        Allowance, Claim, Millis, Msat, PaymentId, Restored, State, Timestamp, payment::Advance,
    },
    ports::StoreError,
    store::{
        driver::{Cells, Driver, Fault, Tx},
        statement::{BoundStatement, Statement},
    },
};

/// The width of a slot of the 24-hour limit. A slot counts whole until it has left the window, so an amount
/// counts for up to this much longer, never for less.
const SPENT_SLOT_LENGTH: Millis = Millis::from_secs(15 * 60);

/// Every heartbeat still in use already reflects what was sent before that.
const OUT_RETENTION: Millis = Millis::from_secs(3600);

params! {
    struct Claimed {
        shard: i64,
        price_msat: i64,
        slot: i64,
    }

    struct Put {
        slot: i64,
        shard: i64,
        price_msat: i64,
    }

    /// The attempt as the row still stands, of version `read_version`, and what is written over it next.
    struct Stepped<'a> {
        id: PaymentId,
        read_version: i64,
        state: &'a str,
        /// Of a late success, too.
        fee_msat: Option<Msat>,
        no_witness: bool,
        known_at_ms: Option<Timestamp>,
        /// Of its acceptance.
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

/// A claim: open, not out, and its whole price counts. It names the payment's shard.
const CLAIMED: Statement<Claimed> = statement!(
    Claimed,
    "count a claim",
    "-- tally.claimed
     insert into tallies (kind, slot, shard, msat, payments)
     values ('OPEN', 0, :shard, :price_msat, 0), ('SPENT', :slot, :shard, :price_msat, 0)
     on conflict (kind, slot, shard) do update set msat = tallies.msat + excluded.msat"
);

/// A payment that was put back: nothing of it is open.
const RESTORED: Statement<Put> = statement!(
    Put,
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

/// A step: the difference between the row as it stands and what is written over it next.
///
/// What is open costs its amount and its fee limit, what was paid its amount and its fee, also late.
/// Whatever is known to the node, and neither failed nor sending, is out.
const STEPPED: Statement<Stepped> = statement!(
    Stepped,
    "count a step",
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

/// Reads slots, not payments: at most 97 × 16 rows, however many payments there were.
pub const SPENT_SINCE: Statement<Since> = statement!(
    Since,
    "read what was accepted",
    "-- tally.spent_since
     select cast(coalesce(sum(t.msat), 0) as bigint) as spent_msat from tallies t
      where t.kind = 'SPENT' and t.slot >= :slot"
);

pub const ANY_OLD_OUT: Statement<Before> = statement!(
    Before,
    "look for what went out long ago",
    "-- tally.any_old_out\nselect slot from tallies where kind = 'OUT' and slot < :slot limit 1"
);

const DROP_OLD_OUT: Statement<Before> = statement!(
    Before,
    "forget what went out long ago",
    "-- tally.drop_old_out\ndelete from tallies where kind = 'OUT' and slot < :slot"
);

/// The slot of what was accepted at this instant.
const fn spent_slot(at: Timestamp) -> i64 {
    at.as_ms().div_euclid(SPENT_SLOT_LENGTH.as_ms())
}

/// Sixteen, by the last bits of the id, which are random: so many steps are written at the same moment.
fn shard(payment: PaymentId) -> i64 {
    i64::from(payment.as_uuid().as_bytes()[15] & 0x0f)
}

/// Counts a claim. Refuses one that goes beyond what may be accepted: false.
pub async fn claimed<T: Tx>(tx: &mut T, claim: &Claim) -> Result<bool, Fault> {
    let payment = &claim.payment;
    let price = payment.amount.get().saturating_add(payment.fee_limit.get());
    let slot = spent_slot(payment.id.created());
    let claimed = Claimed { shard: shard(payment.id), price_msat: price, slot };
    tx.execute(CLAIMED.bind(claimed)).await?;
    match claim.allowance {
        None => Ok(true),
        Some(allowance) => fits(tx, allowance).await,
    }
}

/// Waits for whoever claims within a limit, until the transaction ends: whoever comes next counts this claim
/// too.
pub async fn pass_gate<D: Driver>(store: &SqlStore<D>, tx: &mut D::Tx) -> Result<(), Fault> {
    let gate = store.driver().dialect().pass_limit;
    if tx.fetch(gate.bind(())).await?.is_empty() {
        let source = "the table limit_gate has lost its row".into();
        return Err(StoreError::Failed { doing: gate.sql.doing, source }.into());
    }
    Ok(())
}

async fn fits<T: Tx>(tx: &mut T, allowance: Allowance) -> Result<bool, Fault> {
    let found = tx.fetch(spent_since(allowance.since)).await?;
    Ok(spent(found.first())? <= allowance.most)
}

/// Counts a step, before it is written.
pub async fn stepped<T: Tx>(tx: &mut T, advance: &Advance) -> Result<(), Fault> {
    // What is sent was not out before, and is not known to be now.
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
        no_witness: advance.no_witness,
        known_at_ms: advance.known_at,
        slot: spent_slot(payment.id.created()),
        shard: shard(payment.id),
    };
    tx.execute(STEPPED.bind(stepped)).await?;
    Ok(())
}

/// Counts a payment that was put back.
pub async fn restored<T: Tx>(tx: &mut T, restored: &Restored) -> Result<(), Fault> {
    let price = restored.amount.get().saturating_add(restored.fee.get());
    let slot = spent_slot(restored.id.created());
    let put = Put { slot, shard: shard(restored.id), price_msat: price };
    tx.execute(RESTORED.bind(put)).await?;
    Ok(())
}

/// Reads what was accepted since then.
pub fn spent_since(at: Timestamp) -> BoundStatement<'static> {
    SPENT_SINCE.bind(Since { slot: spent_slot(at) })
}

/// What [`spent_since`] added up; nothing if it was not asked.
pub fn spent<R: Cells>(row: Option<&R>) -> Parsed<Msat> {
    let spent = row.map_or(Ok(0), |row| Reader(row).int("spent_msat"))?;
    Ok(Msat::new(spent.max(0)).unwrap_or(Msat::MAX))
}

impl<D: Driver> SqlStore<D> {
    /// Forgets what of OUT nobody asks for any more at this heartbeat.
    pub(super) async fn drop_old_out(&self, beat: Timestamp) -> Result<(), StoreError> {
        let slot = beat.minus(OUT_RETENTION).as_ms().div_euclid(1000);
        if self.driver().fetch(ANY_OLD_OUT.bind(Before { slot })).await?.is_empty() {
            return Ok(());
        }
        retrying(|| self.write(DROP_OLD_OUT.bind(Before { slot }))).await.map(drop)
    }
}
