//! Every statement that both databases share, each with its name in a comment.
//!
//! Constant text only: one statement per combination of filters, since `$1 is null or …` makes a
//! generic plan scan. The columns of requests are read as `w_…`, those of attempts as `p_…`.

use super::sql;
use crate::store::driver::Sql;

/// The columns that `rows::withdraw` reads.
macro_rules! withdraw_columns {
    () => {
        "w.id as w_id, w.version as w_version, w.request_id as w_request_id,
         w.min_amount as w_min_amount, w.max_amount as w_max_amount, w.currency as w_currency,
         w.target_currency as w_target_currency, w.exchange_rate as w_exchange_rate,
         w.ttl_s as w_ttl_s, w.target_min_sat as w_target_min_sat,
         w.target_max_sat as w_target_max_sat, w.memo as w_memo,
         w.statement_descriptor as w_statement_descriptor, w.pass_thru as w_pass_thru,
         w.key_id as w_key_id, w.secret_sha256 as w_secret_sha256, w.status as w_status,
         w.expires_at_ms as w_expires_at_ms, w.claimable_until_ms as w_claimable_until_ms,
         w.reopens_at_ms as w_reopens_at_ms, w.claimable as w_claimable,
         w.payment_id as w_payment_id, w.payment_hold as w_payment_hold,
         w.late_success as w_late_success, w.withheld as w_withheld,
         w.modified_at_ms as w_modified_at_ms, w.trace_parent as w_trace_parent"
    };
}

/// The columns that `rows::view` and `rows::payment` read.
macro_rules! payment_columns {
    () => {
        "p.id as p_id, p.version as p_version, p.withdraw_id as p_withdraw_id, p.invoice as p_invoice,
         p.payment_hash as p_payment_hash, p.amount_msat as p_amount_msat,
         p.fee_limit_msat as p_fee_limit_msat,
         p.invoice_expires_at_ms as p_invoice_expires_at_ms, p.send_until_ms as p_send_until_ms,
         p.state as p_state, p.state_at_ms as p_state_at_ms, p.noted_reason as p_noted_reason,
         p.preimage as p_preimage, p.fee_msat as p_fee_msat,
         p.failure_reason as p_failure_reason, p.operator_reason as p_operator_reason,
         p.late_preimage as p_late_preimage, p.late_fee_msat as p_late_fee_msat,
         p.late_at_ms as p_late_at_ms, p.epoch as p_epoch, p.looks as p_looks,
         p.trace_parent as p_trace_parent"
    };
}

pub mod payment_lists;
pub mod tallies;
pub mod upkeep;
pub mod witnesses;

pub use witnesses::LAST_SEND;

/// `select` of requests with their open or last attempts.
macro_rules! select_views {
    ($name:literal, $rest:literal) => {
        concat!(
            "-- ",
            $name,
            "\nselect ",
            withdraw_columns!(),
            ", ",
            payment_columns!(),
            " from withdraws w left join payments p on p.id = w.payment_id ",
            $rest
        )
    };
}

pub const CREATE: Sql = sql(
    "create a withdraw request",
    "-- withdraw.create
     insert into withdraws
         (id, version, request_id, min_amount, max_amount, currency, target_currency,
          exchange_rate, ttl_s, target_min_sat, target_max_sat, memo, statement_descriptor,
          pass_thru, key_id, secret_sha256, expires_at_ms, status, claimable_until_ms,
          reopens_at_ms, claimable, payment_id, payment_hold, late_success, withheld,
          modified_at_ms, trace_parent)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19,
             $20, $21, $22, $23, $24, $25, $26, $27)
     on conflict (caller, request_id) do nothing",
);

pub const CHANGE: Sql = sql(
    "change a withdraw request",
    "-- withdraw.change
     update withdraws
        set status = $1, claimable_until_ms = $2, reopens_at_ms = $3, claimable = $4,
            payment_id = $5, payment_hold = $6, late_success = $7, withheld = $8,
            modified_at_ms = $9, version = version + 1
      where id = $10 and version = $11",
);

pub const BY_ID: Sql =
    sql("read a withdraw request", select_views!("withdraw.by_id", "where w.id = $1"));

pub const BY_SECRET: Sql = sql(
    "find a withdraw request by its secret",
    select_views!("withdraw.by_secret", "where w.secret_sha256 = $1"),
);

pub const BY_REQUEST_ID: Sql = sql(
    "find a withdraw request by its request id",
    select_views!("withdraw.by_request_id", "where w.caller = '' and w.request_id = $1"),
);

pub const LIST_ALL: Sql = sql(
    "list withdraw requests",
    select_views!("withdraw.list", "where w.id >= $1 and w.id < $2 order by w.id desc limit $3"),
);

pub const LIST_BY_STATUS: Sql = sql(
    "list withdraw requests by status",
    select_views!(
        "withdraw.list_by_status",
        "where w.id >= $1 and w.id < $2 and w.status = $4 order by w.id desc limit $3"
    ),
);

/// The mark may be late after an expiry, hence the exact condition beside it.
pub const LIST_CLAIMABLE: Sql = sql(
    "list claimable withdraw requests",
    select_views!(
        "withdraw.list_claimable",
        "where w.claimable and w.claimable_until_ms > $4 and w.id >= $1 and w.id < $2
         order by w.id desc limit $3"
    ),
);

/// Marked rows, and the few whose mark is late: each side is served by its own index.
pub const LIST_UNCLAIMABLE: Sql = sql(
    "list withdraw requests that cannot be claimed",
    select_views!(
        "withdraw.list_unclaimable",
        "where w.id in (select id from (select u.id from withdraws u
                          where not u.claimable and u.id >= $1 and u.id < $2
                          order by u.id desc limit $3) as marked
                        union all
                        select l.id from withdraws l
                          where l.claimable and l.claimable_until_ms <= $4
                            and l.id >= $1 and l.id < $2)
         order by w.id desc limit $3"
    ),
);

pub const LIST_UNCLAIMABLE_ACTIVE: Sql = sql(
    "list active withdraw requests that cannot be claimed",
    select_views!(
        "withdraw.list_unclaimable_active",
        "where w.id in (select id from (select u.id from withdraws u
                          where not u.claimable and u.status = 'ACTIVE'
                            and u.id >= $1 and u.id < $2
                          order by u.id desc limit $3) as marked
                        union all
                        select l.id from withdraws l
                          where l.claimable and l.claimable_until_ms <= $4
                            and l.id >= $1 and l.id < $2)
         order by w.id desc limit $3"
    ),
);

pub const DUE_TO_EXPIRE: Sql = sql(
    "find expired withdraw requests",
    concat!(
        "-- withdraw.due_to_expire\nselect ",
        withdraw_columns!(),
        " from withdraws w
          where w.claimable and w.claimable_until_ms <= $1
          order by w.claimable_until_ms limit $2"
    ),
);

pub const DUE_TO_REOPEN: Sql = sql(
    "find withdraw requests that reopen",
    concat!(
        "-- withdraw.due_to_reopen\nselect ",
        withdraw_columns!(),
        " from withdraws w
          where w.reopens_at_ms is not null and w.reopens_at_ms <= $1
          order by w.reopens_at_ms limit $2"
    ),
);

/// Both in one snapshot: a claim that has used the hash has also moved its request.
pub const HASH_USED: Sql = sql(
    "look for a used invoice",
    "-- payment.hash_used
     select w.version from withdraws w
      where w.id = $1 and exists (select 1 from payments p where p.payment_hash = $2)",
);

pub const RESERVE: Sql = sql(
    "reserve a payment",
    "-- payment.reserve
     insert into payments
         (id, version, withdraw_id, invoice, payment_hash, amount_msat, fee_limit_msat,
          invoice_expires_at_ms, send_until_ms, state, due_at_ms, trace_parent, tallied)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'RESERVED', $10, $11, $2)
     on conflict (payment_hash) do nothing",
);

pub const PAYMENT_BY_ID: Sql = sql(
    "read a payment",
    concat!(
        "-- payment.by_id\nselect ",
        withdraw_columns!(),
        ", ",
        payment_columns!(),
        " from payments p join withdraws w on w.id = p.withdraw_id where p.id = $1"
    ),
);

pub const ANY_DUE_FRESH: Sql = sql(
    "look for reserved payments",
    "-- payment.any_due_fresh
     select id from payments where state = 'RESERVED' and due_at_ms <= $1 limit 1",
);

pub const ANY_DUE_FOLLOW: Sql = sql(
    "look for payments to follow",
    "-- payment.any_due_follow
     select id from payments where state <> 'RESERVED' and due_at_ms <= $1 limit 1",
);

/// A batch that was leased. `$1` is a JSON array of ids, which the two databases take apart in their
/// own ways.
macro_rules! select_leased {
    ($ids:literal) => {
        sql(
            "read leased payments",
            concat!(
                "-- payment.leased\nselect ",
                withdraw_columns!(),
                ", ",
                payment_columns!(),
                " from payments p join withdraws w on w.id = p.withdraw_id where p.id in (",
                $ids,
                ")"
            ),
        )
    };
}

/// The sends of such a batch.
macro_rules! select_leased_sends {
    ($ids:literal) => {
        sql(
            "read the sends of leased payments",
            concat!(
                "-- send.of_leased
     select payment_id, number, epoch, node_id, sent_at_ms, begun_at_ms, send_deadline_ms,
            answer, sequence
       from sends where payment_id in (",
                $ids,
                ") order by payment_id, number"
            ),
        )
    };
}

pub const LEASED_POSTGRES: Sql =
    select_leased!("select cast(value as uuid) from jsonb_array_elements_text(cast($1 as jsonb))");
pub const LEASED_SQLITE: Sql = select_leased!("select unhex(value) from json_each($1)");
pub const LEASED_SENDS_POSTGRES: Sql = select_leased_sends!(
    "select cast(value as uuid) from jsonb_array_elements_text(cast($1 as jsonb))"
);
pub const LEASED_SENDS_SQLITE: Sql = select_leased_sends!("select unhex(value) from json_each($1)");

pub const SENDS_OF: Sql = sql(
    "read the sends of a payment",
    "-- send.of_payment
     select number, epoch, node_id, sent_at_ms, begun_at_ms, send_deadline_ms, answer, sequence
       from sends where payment_id = $1 order by number",
);

pub const ADVANCE: Sql = sql(
    "advance a payment",
    "-- payment.advance
     update payments
        set state = $1, state_at_ms = $2, noted_reason = $3, preimage = $4, fee_msat = $5,
            failure_reason = $6, operator_reason = $7, late_preimage = $8, late_fee_msat = $9,
            late_at_ms = $10, node_id = $11,
            known_at_ms = case when $12 then null else coalesce(known_at_ms, $13) end,
            due_at_ms = $14, looks = $15, version = version + 1, tallied = version + 1
      where id = $16 and version = $17",
);

pub const POSTPONE: Sql = sql(
    "postpone a payment",
    "-- payment.postpone
     update payments set due_at_ms = $1, looks = $2
      where id = $3 and epoch = $4 and version = $5",
);

/// No plan for an open attempt reaches as far as a clock that went wrong.
pub const ANY_FAR: Sql = sql(
    "look for payments that are due too late",
    "-- payment.any_far
     select id from payments
      where state in ('RESERVED', 'SENDING', 'IN_FLIGHT', 'NEEDS_OPERATOR') and due_at_ms > $1
      limit 1",
);

pub const PULL_FAR: Sql = sql(
    "pull in payments that are due too late",
    "-- payment.pull_far
     update payments set due_at_ms = $2
      where state in ('RESERVED', 'SENDING', 'IN_FLIGHT', 'NEEDS_OPERATOR') and due_at_ms > $1",
);

pub const NEW_SEND: Sql = sql(
    "write a send",
    "-- send.create
     insert into sends
         (payment_id, number, epoch, node_id, sent_at_ms, begun_at_ms, send_deadline_ms)
     values ($1, $2, $3, $4, $5, $6, $7)",
);

pub const ANSWER_SEND: Sql = sql(
    "write how a send was answered",
    "-- send.answer
     update sends set answer = $1
      where payment_id = $2 and number = $3 and epoch = $4
        and (answer is null or $1 = 'FINAL')",
);

pub const SEND_EXISTS: Sql = sql(
    "read back a send",
    "-- send.exists
     select payment_id from sends where payment_id = $1 and number = $2 and epoch = $3",
);

/// Not the one that is asked about, and none that failed: those may be deleted at the node.
pub const NEWEST_KNOWN: Sql = sql(
    "find the newest payment that a node knew",
    "-- payment.newest_known
     select payment_hash from payments
      where known_at_ms is not null and state <> 'FAILED' and noted_reason is null
        and node_id = $1 and id <> $2
      order by known_at_ms desc limit 1",
);

pub const NEW_EVENT: Sql = sql(
    "write an event",
    "-- event.append
     insert into events (withdraw_id, version, kind, payment_id, detail, at_ms, operator, note)
     values ($1, $2, $3, $4, $5, $6, $7, $8)",
);

pub const EVENTS_OF: Sql = sql(
    "read the events of a withdraw request",
    "-- event.of_withdraw
     select withdraw_id, version, kind, payment_id, detail, at_ms, operator, note
       from events where withdraw_id = $1 order by version",
);

pub const CURRENT_NODE: Sql =
    sql("read which node pays", "-- node.current\nselect node_id from nodes where is_current");

pub const RETIRE_NODES: Sql = sql(
    "retire the node that paid so far",
    "-- node.retire\nupdate nodes set is_current = $1 where is_current and node_id <> $2",
);

pub const REMEMBER_NODE: Sql = sql(
    "remember a node",
    "-- node.remember
     insert into nodes (node_id, alias, network, backend, first_seen_at_ms, is_current)
     values ($1, $2, $3, $4, $5, $6)
     on conflict (node_id) do update set alias = excluded.alias, is_current = excluded.is_current",
);
