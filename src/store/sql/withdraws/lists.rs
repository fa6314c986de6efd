//! Lists of requests: one constant statement for each combination of filters.
//!
//! A single statement with `:status is null or …` would get a generic plan that scans the table.

use super::row::{self, select_views};
use crate::{
    domain::{ListQuery, Status, Timestamp, WithdrawId, WithdrawView},
    ports::StoreError,
    store::{
        sql::Database,
        statement::{BoundStatement, Statement},
    },
};

params! {
    struct Page {
        lowest: WithdrawId,
        bound: WithdrawId,
        limit: i64,
    }

    struct PageOfStatus<'a> {
        lowest: WithdrawId,
        bound: WithdrawId,
        limit: i64,
        status: &'a str,
    }

    struct PageAt {
        lowest: WithdrawId,
        bound: WithdrawId,
        limit: i64,
        now: Timestamp,
    }

    pub struct ByRequestId<'a> {
        caller: &'a str,
        request_id: Option<&'a str>,
    }
}

pub const BY_REQUEST_ID: Statement<ByRequestId> = statement!(
    ByRequestId,
    "find a withdraw request by its request id",
    select_views!(
        "withdraw.by_request_id",
        "where w.caller = :caller and w.request_id = :request_id"
    )
);

const ALL: Statement<Page> = statement!(
    Page,
    "list withdraw requests",
    select_views!(
        "withdraw.list",
        "where w.id >= :lowest and w.id < :bound order by w.id desc limit :limit"
    )
);

const BY_STATUS: Statement<PageOfStatus> = statement!(
    PageOfStatus,
    "list withdraw requests by status",
    select_views!(
        "withdraw.list_by_status",
        "where w.id >= :lowest and w.id < :bound and w.status = :status
         order by w.id desc limit :limit"
    )
);

/// `claimable` may still be set for a while after the expiry, hence the additional exact condition.
const CLAIMABLE: Statement<PageAt> = statement!(
    PageAt,
    "list claimable withdraw requests",
    select_views!(
        "withdraw.list_claimable",
        "where w.claimable and w.claimable_until_ms > :now and w.id >= :lowest and w.id < :bound
         order by w.id desc limit :limit"
    )
);

/// Rows marked unclaimable, and the few expired ones that are not marked yet. Each part has its own index.
const UNCLAIMABLE: Statement<PageAt> = statement!(
    PageAt,
    "list withdraw requests that cannot be claimed",
    select_views!(
        "withdraw.list_unclaimable",
        "where w.id in (select id from (select u.id from withdraws u
                          where not u.claimable and u.id >= :lowest and u.id < :bound
                          order by u.id desc limit :limit) as marked
                        union all
                        select l.id from withdraws l
                          where l.claimable and l.claimable_until_ms <= :now
                            and l.id >= :lowest and l.id < :bound)
         order by w.id desc limit :limit"
    )
);

const UNCLAIMABLE_ACTIVE: Statement<PageAt> = statement!(
    PageAt,
    "list active withdraw requests that cannot be claimed",
    select_views!(
        "withdraw.list_unclaimable_active",
        "where w.id in (select id from (select u.id from withdraws u
                          where not u.claimable and u.status = 'ACTIVE'
                            and u.id >= :lowest and u.id < :bound
                          order by u.id desc limit :limit) as marked
                        union all
                        select l.id from withdraws l
                          where l.claimable and l.claimable_until_ms <= :now
                            and l.id >= :lowest and l.id < :bound)
         order by w.id desc limit :limit"
    )
);

/// The texts of all list statements, for tests of their query plans.
pub const fn list_statements() -> [&'static str; 5] {
    [
        ALL.sql.text,
        BY_STATUS.sql.text,
        CLAIMABLE.sql.text,
        UNCLAIMABLE.sql.text,
        UNCLAIMABLE_ACTIVE.sql.text,
    ]
}

/// Reads one page, newest first.
pub async fn list<D: Database>(
    driver: &D,
    query: &ListQuery,
) -> Result<Vec<WithdrawView>, StoreError> {
    if let Some(request_id) = &query.filter.request_id {
        return by_request_id(driver, query, request_id).await;
    }
    let Some(statement) = choose(query) else {
        return Ok(Vec::new());
    };
    let rows = driver.fetch(statement).await?;
    rows.iter().map(row::view).collect()
}

/// The statement for the filters; none if no request can match them.
fn choose(query: &ListQuery) -> Option<BoundStatement<'static>> {
    let (lowest, bound, limit) = (query.lowest(), query.bound(), query.limit);
    let of_status = |status: Status| {
        BY_STATUS.bind(PageOfStatus { lowest, bound, limit, status: status.name() })
    };
    let now = PageAt { lowest, bound, limit, now: query.now };
    match (query.filter.status, query.filter.claimable) {
        (None, None) => Some(ALL.bind(Page { lowest, bound, limit })),
        (Some(status), None) => Some(of_status(status)),
        (None | Some(Status::Active), Some(true)) => Some(CLAIMABLE.bind(now)),
        (Some(Status::Paid | Status::Deactivated), Some(true)) => None,
        (None, Some(false)) => Some(UNCLAIMABLE.bind(now)),
        (Some(Status::Active), Some(false)) => Some(UNCLAIMABLE_ACTIVE.bind(now)),
        (Some(ended @ (Status::Paid | Status::Deactivated)), Some(false)) => Some(of_status(ended)),
    }
}

/// Reads at most one row, and checks the other filters on it.
async fn by_request_id<D: Database>(
    driver: &D,
    query: &ListQuery,
    request_id: &str,
) -> Result<Vec<WithdrawView>, StoreError> {
    let key = ByRequestId { caller: query.caller, request_id: Some(request_id) };
    let rows = driver.fetch(BY_REQUEST_ID.bind(key)).await?;
    let views: Result<Vec<_>, _> = rows.iter().map(row::view).collect();
    let mut views = views?;
    views.retain(|view| query.admits(&view.withdraw));
    Ok(views)
}
