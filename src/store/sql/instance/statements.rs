//! The whole instance: its switches, its standing, and what a restored database needs.

use crate::store::{driver::Sql, sql::sql};

/// The sums are of kept values, a few rows each, however many payments are open. A payment was out by the
/// time that it was known to be in flight, so one known before the heartbeat was counted by it.
///
/// They name nothing of the outer rows: Postgres would guess hundreds of those (it knows nothing of
/// tables as small), and compile the statement anew, for a second, each time.
pub const STANDING: Sql = sql(
    "read the instance's standing",
    "-- instance.standing
     select i.paused_at_ms, i.paused_by, i.pause_reason, i.fenced_at_ms, i.fence_reason,
            n.node_id, n.alias, n.network, n.heartbeat_at_ms, n.synced, n.remembers, n.answers_sends,
            n.can_send_msat, n.active_channels, n.busiest_channel_htlcs,
            (select t.kind from node_trouble t) as trouble,
            (select t.subject from node_trouble t) as trouble_subject,
            cast((select coalesce(sum(t.msat), 0) from tallies t
                   where t.kind = 'OPEN') as bigint) as not_out_msat,
            cast((select coalesce(sum(t.msat), 0) from tallies t
                   where t.kind = 'OUT'
                     and t.slot >= ((select c.heartbeat_at_ms from nodes c
                                      where c.is_current) - $1) / 1000) as bigint) as just_out_msat,
            cast((select coalesce(sum(t.payments), 0) from tallies t
                   where t.kind = 'OPEN') as bigint) as in_flight
       from instance i left join nodes n on n.is_current",
);

pub const BEAT: Sql = sql(
    "write the node's heartbeat",
    "-- node.beat
     update nodes set alias = $1, heartbeat_at_ms = $2, synced = $3, remembers = $4,
                      answers_sends = $5, can_send_msat = $6, active_channels = $7,
                      busiest_channel_htlcs = $8
      where node_id = $9 and is_current",
);

pub const TROUBLE: Sql = sql(
    "write what keeps the node from us",
    "-- node.trouble
     insert into node_trouble (only_row, kind, subject, at_ms) values (true, $1, $2, $3)
     on conflict (only_row) do update set kind = $1, subject = $2, at_ms = $3",
);

pub const NO_TROUBLE: Sql = sql(
    "write that nothing keeps the node from us",
    "-- node.no_trouble\ndelete from node_trouble",
);

pub const PAUSE: Sql = sql(
    "pause",
    "-- instance.pause
     update instance set paused_at_ms = $1, paused_by = $2, pause_reason = $3
      where paused_at_ms is null",
);

pub const RESUME: Sql = sql(
    "resume",
    "-- instance.resume
     update instance set paused_at_ms = null, paused_by = null, pause_reason = null
      where paused_at_ms is not null",
);

/// A loss that is found while the instance is fenced is another one: what was created since the first
/// may have been paid after an acknowledgement that was lost with it.
pub const FENCE: Sql = sql(
    "fence",
    "-- instance.fence
     update instance set fenced_at_ms = $1, fence_reason = $2
      where fenced_at_ms is null or fenced_at_ms < $1",
);

pub const NEW_ACTION: Sql = sql(
    "write what an operator did",
    "-- instance.action
     insert into operator_actions (at_ms, action, operator, reason) values ($1, $2, $3, $4)",
);

pub const ACKNOWLEDGE: Sql = sql(
    "end a fence",
    "-- instance.acknowledge
     update instance set fenced_at_ms = null, fence_reason = null, acknowledged_at_ms = $1
      where fenced_at_ms = $2",
);

pub const FIRST_START: Sql = sql(
    "write when the instance first started",
    "-- instance.first_start
     update instance set first_started_at_ms = $1 where first_started_at_ms is null",
);

/// What was put back after a loss is no newest attempt: it would hide the rest of that loss. No node was
/// asked to pay it by this database.
pub const KNOWN_FROM: Sql = sql(
    "read since when the instance knows the node's payments",
    "-- instance.known_from
     select first_started_at_ms, acknowledged_at_ms,
            (select p.id from payments p where p.state <> 'PAID' or p.node_id is not null
              order by p.id desc limit 1) as newest_id
       from instance",
);

pub const HASH_EXISTS: Sql = sql(
    "look for a payment hash",
    "-- payment.knows_hash\nselect id from payments where payment_hash = $1",
);

/// A payment that the node made and the database lost, as an operator assigned it.
pub const RESTORE: Sql = sql(
    "restore a payment",
    "-- payment.restore
     insert into payments
         (id, version, withdraw_id, invoice, payment_hash, amount_msat, fee_limit_msat,
          invoice_expires_at_ms, send_until_ms, state, state_at_ms, preimage, fee_msat, tallied)
     values ($1, 1, $2, $3, $4, $5, $6, $7, $8, 'PAID', $9, $10, $11, 1)
     on conflict (payment_hash) do nothing",
);

pub const TO_WITHHOLD: Sql = sql(
    "find withdraw requests to withhold",
    concat!(
        "-- withdraw.to_withhold\nselect ",
        withdraw_columns!(),
        " from withdraws w
          where w.status = 'ACTIVE' and w.id < $1 and not w.withheld
          order by w.id desc limit $2"
    ),
);

pub const WITHHELD: Sql = sql(
    "find withheld withdraw requests",
    concat!(
        "-- withdraw.withheld\nselect ",
        withdraw_columns!(),
        " from withdraws w where w.withheld order by w.id limit $1"
    ),
);
