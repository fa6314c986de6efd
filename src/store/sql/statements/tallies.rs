//! What is kept of the whole instance, moved by each step of a payment in its own transaction.
//!
//! Every transaction writes the tallies of one payment, in one statement, in the order of the key: no two
//! of them wait for each other in a circle.

use crate::store::{driver::Sql, sql::sql};

/// A claim: open, not out, and its whole price counts. It names the payment's shard.
pub const CLAIMED: Sql = sql(
    "count a claim",
    "-- tally.claimed
     insert into tallies (kind, slot, shard, msat, payments)
     values ('OPEN', 0, $1, $2, 0), ('SPENT', $3, $1, $2, 0)
     on conflict (kind, slot, shard) do update set msat = tallies.msat + excluded.msat",
);

/// A payment that was put back: nothing of it is open.
pub const RESTORED: Sql = sql(
    "count a restored payment",
    "-- tally.restored
     insert into tallies (kind, slot, shard, msat, payments) values ('SPENT', $1, $2, $3, 0)
     on conflict (kind, slot, shard) do update set msat = tallies.msat + excluded.msat",
);

/// A step: the difference between the row as it stands, of version `$2`, and what is written over it next:
/// state `$3`, fee `$4` (of a late success, too), no witness `$5`, known at `$6`. `$7` is the slot of its
/// acceptance, `$8` its shard.
///
/// What is open costs its amount and its fee limit, what was paid its amount and its fee, also late.
/// Whatever is known to the node, and neither failed nor sending, is out.
pub const STEPPED: Sql = sql(
    "count a step",
    "-- tally.stepped
     insert into tallies (kind, slot, shard, msat, payments)
     select d.kind, d.slot, $8, d.msat, d.payments
       from (select 'OPEN' as kind, 0 as slot,
                    (p.amount_msat + p.fee_limit_msat)
                    * ((case when $3 in ('RESERVED', 'SENDING') then 1 else 0 end)
                       - (case when p.state in ('RESERVED', 'SENDING') then 1 else 0 end)) as msat,
                    (case when $3 = 'IN_FLIGHT' then 1 else 0 end)
                    - (case when p.state = 'IN_FLIGHT' then 1 else 0 end) as payments
               from payments p where p.id = $1 and p.version = $2
              union all
             select 'OUT', coalesce(p.known_at_ms, cast($6 as bigint)) / 1000,
                    (p.amount_msat + p.fee_limit_msat)
                    * ((case when $3 in ('SENDING', 'FAILED') or $5
                                  or coalesce(p.known_at_ms, cast($6 as bigint)) is null
                             then 0 else 1 end)
                       - (case when p.state in ('SENDING', 'FAILED') or p.known_at_ms is null
                               then 0 else 1 end)),
                    0
               from payments p where p.id = $1 and p.version = $2
              union all
             select 'SPENT', cast($7 as bigint),
                    (case when $3 not in ('PAID', 'FAILED') then p.amount_msat + p.fee_limit_msat
                          when cast($4 as bigint) is null then 0
                          else p.amount_msat + cast($4 as bigint) end)
                    - (case when p.state = 'PAID' then p.amount_msat + p.fee_msat
                            when p.state <> 'FAILED' then p.amount_msat + p.fee_limit_msat
                            when p.late_at_ms is null then 0
                            else p.amount_msat + coalesce(p.late_fee_msat, 0) end),
                    0
               from payments p where p.id = $1 and p.version = $2) as d
      where d.msat <> 0 or d.payments <> 0
      order by d.kind
     on conflict (kind, slot, shard) do update
        set msat = tallies.msat + excluded.msat, payments = tallies.payments + excluded.payments",
);

/// Reads slots, not payments: at most 97 × 16 rows, however many payments there were.
pub const SPENT_SINCE: Sql = sql(
    "read what was accepted",
    "-- tally.spent_since
     select cast(coalesce(sum(t.msat), 0) as bigint) as spent_msat from tallies t
      where t.kind = 'SPENT' and t.slot >= $1",
);

pub const ANY_OLD_OUT: Sql = sql(
    "look for what went out long ago",
    "-- tally.any_old_out\nselect slot from tallies where kind = 'OUT' and slot < $1 limit 1",
);

pub const DROP_OLD_OUT: Sql = sql(
    "forget what went out long ago",
    "-- tally.drop_old_out\ndelete from tallies where kind = 'OUT' and slot < $1",
);
