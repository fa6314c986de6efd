//! The lists of payments, for operators: one statement per combination of filters.
//!
//! `$1` and `$2` bound the ids, `$3` is the limit; `$4` and `$5` are a request or a state.

use crate::store::{driver::Sql, sql::sql};

/// One state's line of `payment.open_by_state`: served by the index on states, of which few rows are open.
macro_rules! open_in {
    ($state:literal) => {
        concat!(
            "select '",
            $state,
            "' as state, (select count(*) from payments where state = '",
            $state,
            "') as number, (select id from payments where state = '",
            $state,
            "' order by id limit 1) as oldest_id"
        )
    };
}

pub const OPEN_BY_STATE: Sql = sql(
    "count open payments",
    concat!(
        "-- payment.open_by_state\n",
        open_in!("RESERVED"),
        "\nunion all ",
        open_in!("SENDING"),
        "\nunion all ",
        open_in!("IN_FLIGHT"),
        "\nunion all ",
        open_in!("NEEDS_OPERATOR")
    ),
);

/// `select` of attempts.
macro_rules! select_payments {
    ($name:literal, $where:literal) => {
        concat!(
            "-- ",
            $name,
            "\nselect ",
            payment_columns!(),
            " from payments p where p.id >= $1 and p.id < $2 ",
            $where,
            " order by p.id desc limit $3"
        )
    };
}

pub const ALL: Sql = sql("list payments", select_payments!("payment.list", ""));

pub const BY_STATE: Sql =
    sql("list payments by state", select_payments!("payment.list_by_state", "and p.state = $4"));

pub const OPEN: Sql = sql(
    "list open payments",
    select_payments!(
        "payment.list_open",
        "and p.state in ('RESERVED', 'SENDING', 'IN_FLIGHT', 'NEEDS_OPERATOR')"
    ),
);

pub const LATE: Sql = sql(
    "list payments that were paid late",
    select_payments!("payment.list_late", "and p.late_at_ms is not null"),
);

pub const OF_WITHDRAW: Sql = sql(
    "list the payments of a withdraw request",
    select_payments!("payment.list_of_withdraw", "and p.withdraw_id = $4"),
);

pub const OF_WITHDRAW_BY_STATE: Sql = sql(
    "list the payments of a withdraw request by state",
    select_payments!(
        "payment.list_of_withdraw_by_state",
        "and p.withdraw_id = $4 and p.state = $5"
    ),
);

pub const OF_WITHDRAW_OPEN: Sql = sql(
    "list the open payments of a withdraw request",
    select_payments!(
        "payment.list_of_withdraw_open",
        "and p.withdraw_id = $4
         and p.state in ('RESERVED', 'SENDING', 'IN_FLIGHT', 'NEEDS_OPERATOR')"
    ),
);

pub const OF_WITHDRAW_LATE: Sql = sql(
    "list the payments of a withdraw request that were paid late",
    select_payments!(
        "payment.list_of_withdraw_late",
        "and p.withdraw_id = $4 and p.late_at_ms is not null"
    ),
);

/// At most one: the other conditions are checked on it.
pub const BY_HASH: Sql = sql(
    "find a payment by its hash",
    concat!(
        "-- payment.by_hash\nselect ",
        payment_columns!(),
        " from payments p where p.payment_hash = $1"
    ),
);
