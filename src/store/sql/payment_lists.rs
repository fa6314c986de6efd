//! Lists of payments: which constant statement serves which combination of filters.

use super::{bytes, int, reader as rows, statements::payment_lists as statements, text, uuid};
use crate::{
    domain::payment::{PaymentEntry, PaymentQuery, Span},
    ports::StoreError,
    store::driver::{Driver, Sql, Value},
};

/// Reads a page, newest first.
pub async fn list<D: Driver>(
    driver: &D,
    query: &PaymentQuery,
) -> Result<Vec<PaymentEntry>, StoreError> {
    if let Some(hash) = &query.filter.payment_hash {
        let rows = driver.fetch(statements::BY_HASH, vec![bytes(hash.as_bytes())]).await?;
        let entries: Result<Vec<_>, _> = rows.iter().map(rows::payment_entry).collect();
        let mut entries = entries?;
        entries.retain(|entry| query.admits(&entry.view));
        return Ok(entries);
    }
    let Some((statement, more)) = choose(query) else {
        return Ok(Vec::new());
    };
    let mut values =
        vec![uuid(query.lowest().as_uuid()), uuid(query.bound().as_uuid()), int(query.limit)];
    values.extend(more);
    let rows = driver.fetch(statement, values).await?;
    rows.iter().map(rows::payment_entry).collect()
}

/// The texts of all lists, for those who want to see how a database plans them.
pub const fn payment_list_statements() -> [&'static str; 9] {
    [
        statements::ALL.text,
        statements::BY_STATE.text,
        statements::OPEN.text,
        statements::LATE.text,
        statements::OF_WITHDRAW.text,
        statements::OF_WITHDRAW_BY_STATE.text,
        statements::OF_WITHDRAW_OPEN.text,
        statements::OF_WITHDRAW_LATE.text,
        statements::BY_HASH.text,
    ]
}

/// The statement for the filters, and its parameters from the fourth on. None: nothing can fulfil
/// them.
fn choose(query: &PaymentQuery) -> Option<(Sql, Vec<Value>)> {
    let Some(withdraw) = query.filter.withdraw else {
        return match query.filter.span() {
            Span::Any => Some((statements::ALL, Vec::new())),
            Span::One(state) => Some((statements::BY_STATE, vec![text(state.name())])),
            Span::Open => Some((statements::OPEN, Vec::new())),
            Span::Late => Some((statements::LATE, Vec::new())),
            Span::None => None,
        };
    };
    let withdraw = uuid(withdraw.as_uuid());
    match query.filter.span() {
        Span::Any => Some((statements::OF_WITHDRAW, vec![withdraw])),
        Span::One(state) => {
            Some((statements::OF_WITHDRAW_BY_STATE, vec![withdraw, text(state.name())]))
        }
        Span::Open => Some((statements::OF_WITHDRAW_OPEN, vec![withdraw])),
        Span::Late => Some((statements::OF_WITHDRAW_LATE, vec![withdraw])),
        Span::None => None,
    }
}
