//! Write witnesses: what shows that a node stores payments.
//!
//! A time from the future is of a clock that has been set back since: it witnesses nothing, and is taken out
//! before it lies in the past.

use crate::store::{driver::Sql, sql::sql};

pub const LAST_SEND: Sql = sql(
    "read the last send",
    "-- send.last
     select coalesce(max(sequence), 0) as sequence from sends",
);

/// Of those that began late enough, the first one is usually the answer.
pub const ANSWERED_SINCE: Sql = sql(
    "look for a send that the node stored",
    "-- send.stored_since
     select sequence from sends
      where node_id = $1 and begun_at_ms > $2 and begun_at_ms <= $4
        and answer in ('STORED', 'FINAL') and sequence > $3
      limit 1",
);

pub const WITNESSED_SINCE: Sql = sql(
    "look for a write witness",
    "-- node.witnessed_since
     select node_id from nodes
      where node_id = $1 and witnessed_at_ms > $2 and witnessed_at_ms <= $4
        and witnessed_after >= $3",
);

pub const UNANSWERED_IN_A_ROW: Sql = sql(
    "count the sends that were not answered",
    "-- send.unanswered_in_a_row
     select count(*) as counted from (
         select 1 from sends s
          where s.node_id = $1 and s.answer is null and s.begun_at_ms < $2
            and s.begun_at_ms > (select coalesce(max(w.begun_at_ms), 0) from sends w
                                  where w.node_id = $1 and w.begun_at_ms <= $3
                                    and w.answer in ('STORED', 'FINAL'))
            and s.begun_at_ms > (select coalesce(max(n.witnessed_at_ms), 0) from nodes n
                                  where n.node_id = $1 and n.witnessed_at_ms <= $3)
          limit $4) as few",
);

/// Whether what was asked in vain goes on: nothing was stored since, it was not from the future, and the
/// last turn is not long over. `$3` is the present, `$4` a while ago.
macro_rules! still_in_vain {
    () => {
        "witness_in_vain_since_ms <= $3 and witness_due_at_ms > $4
                     and not exists (select 1 from sends s
                                      where s.node_id = $2 and s.begun_at_ms > witness_in_vain_since_ms
                                        and s.begun_at_ms <= $3 and s.answer in ('STORED', 'FINAL'))"
    };
}

/// A turn that ends in the far future was taken by a clock that has been set back since.
pub const BEGIN_WITNESS: Sql = sql(
    "take the turn to make a write witness",
    concat!(
        "-- node.begin_witness
     update nodes
        set witness_due_at_ms = $1,
            witness_in_vain_since_ms = case when ",
        still_in_vain!(),
        "
                then witness_in_vain_since_ms else $3 end,
            witness_in_vain = case when ",
        still_in_vain!(),
        "
                then witness_in_vain + 1 else 1 end,
            witnessed_at_ms = case when witnessed_at_ms <= $3 then witnessed_at_ms end,
            witnessed_after = case when witnessed_at_ms <= $3 then witnessed_after end
      where node_id = $2 and is_current
        and (witness_due_at_ms is null or witness_due_at_ms <= $3 or witness_due_at_ms > $5)"
    ),
);

/// Usually there is none.
pub const FORGET_FUTURE: Sql = sql(
    "take out sends of a clock that was ahead",
    "-- send.forget_future
     update sends set begun_at_ms = 0
      where node_id = $1 and begun_at_ms > $2 and answer in ('STORED', 'FINAL')",
);

pub const RENEW_WITNESS: Sql = sql(
    "keep the turn to make a write witness",
    "-- node.renew_witness
     update nodes set witness_due_at_ms = $1, witness_in_vain = witness_in_vain + 1
      where node_id = $2 and witness_due_at_ms = $3",
);

pub const IN_VAIN_SINCE: Sql = sql(
    "read since when a node stores nothing",
    concat!(
        "-- node.in_vain_since
     select witness_in_vain_since_ms from nodes
      where node_id = $2 and witness_in_vain >= $1 and ",
        still_in_vain!()
    ),
);

/// A later one counts, whatever stands there: another database server may know of fewer sends.
pub const WITNESSED: Sql = sql(
    "write a write witness",
    "-- node.witnessed
     update nodes set witnessed_at_ms = $1, witnessed_after = $2, witness_in_vain_since_ms = null,
                      witness_in_vain = 0
      where node_id = $3
        and (witnessed_at_ms is null or witnessed_after <= $2 or witnessed_at_ms < $1)",
);
