//! Lists: which constant statement serves which combination of filters.

use crate::store::sql::{int, reader as rows, statements, text, uuid};
use crate::{
    domain::{ListQuery, Status, WithdrawView},
    ports::StoreError,
    store::driver::{Driver, Sql, Value},
};

/// Reads a page, newest first.
pub async fn list<D: Driver>(
    driver: &D,
    query: &ListQuery,
) -> Result<Vec<WithdrawView>, StoreError> {
    if let Some(request_id) = &query.filter.request_id {
        return by_request_id(driver, query, request_id).await;
    }
    let Some((statement, fourth)) = choose(query) else {
        return Ok(Vec::new());
    };
    let mut values =
        vec![uuid(query.lowest().as_uuid()), uuid(query.bound().as_uuid()), int(query.limit)];
    values.extend(fourth);
    let rows = driver.fetch(statement, values).await?;
    rows.iter().map(rows::view).collect()
}

/// The texts of all lists, for those who want to see how a database plans them.
pub const fn list_statements() -> [&'static str; 5] {
    [
        statements::LIST_ALL.text,
        statements::LIST_BY_STATUS.text,
        statements::LIST_CLAIMABLE.text,
        statements::LIST_UNCLAIMABLE.text,
        statements::LIST_UNCLAIMABLE_ACTIVE.text,
    ]
}

/// The statement for the filters, and its fourth parameter. None: nothing can fulfil them.
fn choose(query: &ListQuery) -> Option<(Sql, Option<Value>)> {
    let now = Some(int(query.now.as_ms()));
    let of_status = |status: Status| (statements::LIST_BY_STATUS, Some(text(status.name())));
    match (query.filter.status, query.filter.claimable) {
        (None, None) => Some((statements::LIST_ALL, None)),
        (Some(status), None) => Some(of_status(status)),
        (None | Some(Status::Active), Some(true)) => Some((statements::LIST_CLAIMABLE, now)),
        (Some(Status::Paid | Status::Deactivated), Some(true)) => None,
        (None, Some(false)) => Some((statements::LIST_UNCLAIMABLE, now)),
        (Some(Status::Active), Some(false)) => Some((statements::LIST_UNCLAIMABLE_ACTIVE, now)),
        (Some(ended @ (Status::Paid | Status::Deactivated)), Some(false)) => Some(of_status(ended)),
    }
}

/// At most one row: the other conditions are checked on it.
async fn by_request_id<D: Driver>(
    driver: &D,
    query: &ListQuery,
    request_id: &str,
) -> Result<Vec<WithdrawView>, StoreError> {
    let rows = driver.fetch(statements::BY_REQUEST_ID, vec![text(request_id)]).await?;
    let views: Result<Vec<_>, _> = rows.iter().map(rows::view).collect();
    let mut views = views?;
    views.retain(|view| query.admits(&view.withdraw));
    Ok(views)
}
