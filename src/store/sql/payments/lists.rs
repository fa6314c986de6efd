//! Lists of payments, for operators: one constant statement for each combination of filters.

use super::row::{self, payment_columns};
use crate::{
    domain::{
        PaymentHash, PaymentId, WithdrawId,
        payment::{PaymentEntry, PaymentQuery, StateSelection},
    },
    ports::{OpenPayments, StoreError},
    store::{
        driver::Cells,
        sql::Database,
        sql::reader::{Parsed, Reader},
        statement::{BoundStatement, Statement},
    },
};

params! {
    struct Page {
        lowest: PaymentId,
        bound: PaymentId,
        limit: i64,
    }

    struct PageInState<'a> {
        lowest: PaymentId,
        bound: PaymentId,
        limit: i64,
        state: &'a str,
    }

    struct PageOfWithdraw {
        lowest: PaymentId,
        bound: PaymentId,
        limit: i64,
        withdraw_id: WithdrawId,
    }

    struct PageOfWithdrawInState<'a> {
        lowest: PaymentId,
        bound: PaymentId,
        limit: i64,
        withdraw_id: WithdrawId,
        state: &'a str,
    }

    struct ByHash {
        payment_hash: PaymentHash,
    }
}

/// One state's row of `payment.open_by_state`. The index on states serves it, and few payments are open.
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

pub const OPEN_BY_STATE: Statement<()> = statement!(
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
    )
);

/// A `select` of attempts.
macro_rules! select_payments {
    ($name:literal, $where:literal) => {
        concat!(
            "-- ",
            $name,
            "\nselect ",
            payment_columns!(),
            " from payments p where p.id >= :lowest and p.id < :bound ",
            $where,
            " order by p.id desc limit :limit"
        )
    };
}

const ALL: Statement<Page> =
    statement!(Page, "list payments", select_payments!("payment.list", ""));

const BY_STATE: Statement<PageInState> = statement!(
    PageInState,
    "list payments by state",
    select_payments!("payment.list_by_state", "and p.state = :state")
);

const OPEN: Statement<Page> = statement!(
    Page,
    "list open payments",
    select_payments!(
        "payment.list_open",
        "and p.state in ('RESERVED', 'SENDING', 'IN_FLIGHT', 'NEEDS_OPERATOR')"
    )
);

const LATE: Statement<Page> = statement!(
    Page,
    "list payments that were paid late",
    select_payments!("payment.list_late", "and p.late_at_ms is not null")
);

const OF_WITHDRAW: Statement<PageOfWithdraw> = statement!(
    PageOfWithdraw,
    "list the payments of a withdraw request",
    select_payments!("payment.list_of_withdraw", "and p.withdraw_id = :withdraw_id")
);

const OF_WITHDRAW_BY_STATE: Statement<PageOfWithdrawInState> = statement!(
    PageOfWithdrawInState,
    "list the payments of a withdraw request by state",
    select_payments!(
        "payment.list_of_withdraw_by_state",
        "and p.withdraw_id = :withdraw_id and p.state = :state"
    )
);

const OF_WITHDRAW_OPEN: Statement<PageOfWithdraw> = statement!(
    PageOfWithdraw,
    "list the open payments of a withdraw request",
    select_payments!(
        "payment.list_of_withdraw_open",
        "and p.withdraw_id = :withdraw_id
         and p.state in ('RESERVED', 'SENDING', 'IN_FLIGHT', 'NEEDS_OPERATOR')"
    )
);

const OF_WITHDRAW_LATE: Statement<PageOfWithdraw> = statement!(
    PageOfWithdraw,
    "list the payments of a withdraw request that were paid late",
    select_payments!(
        "payment.list_of_withdraw_late",
        "and p.withdraw_id = :withdraw_id and p.late_at_ms is not null"
    )
);

/// Finds at most one row; the other filters are checked on it.
const BY_HASH: Statement<ByHash> = statement!(
    ByHash,
    "find a payment by its hash",
    concat!(
        "-- payment.by_hash\nselect ",
        payment_columns!(),
        " from payments p where p.payment_hash = :payment_hash"
    )
);

/// The texts of all list statements, for tests of their query plans.
pub const fn payment_list_statements() -> [&'static str; 9] {
    [
        ALL.sql.text,
        BY_STATE.sql.text,
        OPEN.sql.text,
        LATE.sql.text,
        OF_WITHDRAW.sql.text,
        OF_WITHDRAW_BY_STATE.sql.text,
        OF_WITHDRAW_OPEN.sql.text,
        OF_WITHDRAW_LATE.sql.text,
        BY_HASH.sql.text,
    ]
}

/// Reads one page, newest first.
pub async fn list<D: Database>(
    driver: &D,
    query: &PaymentQuery,
) -> Result<Vec<PaymentEntry>, StoreError> {
    if let Some(hash) = &query.filter.payment_hash {
        let rows = driver.fetch(BY_HASH.bind(ByHash { payment_hash: *hash })).await?;
        let entries: Result<Vec<_>, _> = rows.iter().map(row::payment_entry).collect();
        let mut entries = entries?;
        entries.retain(|entry| query.admits(&entry.view));
        return Ok(entries);
    }
    let Some(statement) = choose(query) else {
        return Ok(Vec::new());
    };
    let rows = driver.fetch(statement).await?;
    rows.iter().map(row::payment_entry).collect()
}

/// The statement for the filters; none if no payment can match them.
fn choose(query: &PaymentQuery) -> Option<BoundStatement<'static>> {
    let (lowest, bound, limit) = (query.lowest(), query.bound(), query.limit);
    let Some(withdraw_id) = query.filter.withdraw else {
        let page = Page { lowest, bound, limit };
        return match query.filter.states() {
            StateSelection::Any => Some(ALL.bind(page)),
            StateSelection::One(state) => {
                Some(BY_STATE.bind(PageInState { lowest, bound, limit, state: state.name() }))
            }
            StateSelection::Open => Some(OPEN.bind(page)),
            StateSelection::Late => Some(LATE.bind(page)),
            StateSelection::None => None,
        };
    };
    let page = PageOfWithdraw { lowest, bound, limit, withdraw_id };
    match query.filter.states() {
        StateSelection::Any => Some(OF_WITHDRAW.bind(page)),
        StateSelection::One(state) => {
            let state = state.name();
            let page = PageOfWithdrawInState { lowest, bound, limit, withdraw_id, state };
            Some(OF_WITHDRAW_BY_STATE.bind(page))
        }
        StateSelection::Open => Some(OF_WITHDRAW_OPEN.bind(page)),
        StateSelection::Late => Some(OF_WITHDRAW_LATE.bind(page)),
        StateSelection::None => None,
    }
}

/// Reads one state's row of `payment.open_by_state`.
pub fn open_payments(row: &impl Cells) -> Parsed<OpenPayments> {
    let row = Reader(row);
    Ok(OpenPayments {
        state: row.named("state")?,
        number: row.int("number")?,
        oldest: row.opt_uuid("oldest_id")?.map(|id| PaymentId::from_uuid(id).created()),
    })
}
