//! Pages of lists: their size, and where they begin.

use uuid::Uuid;

use crate::domain::{CommonField, Fingerprint, PageToken, Violation};

const DEFAULT_PAGE_SIZE: i64 = 50;
/// Larger sizes are reduced to this one.
pub const MAX_PAGE_SIZE: i64 = 1000;

/// How many entries a page may have.
pub(super) fn page_limit(page_size: i32, violations: &mut Vec<Violation>) -> i64 {
    if page_size < 0 {
        violations.push(Violation::new(CommonField::PageSize, "must not be negative"));
    }
    match i64::from(page_size) {
        0 => DEFAULT_PAGE_SIZE,
        size => size.min(MAX_PAGE_SIZE),
    }
}

/// The id after which a page begins, from its token. A token belongs to the filter of its list; `filter` is
/// None if the request's filter is invalid, and the token is then not checked.
pub(super) fn page_start(
    token: &str,
    filter: Option<Fingerprint>,
    violations: &mut Vec<Violation>,
) -> Option<Uuid> {
    let filter = filter.filter(|_| !token.is_empty())?;
    let start = PageToken::parse(token, filter);
    start.map_err(|fault| violations.push(Violation::new(CommonField::PageToken, fault))).ok()
}

/// Truncates a list that was read with one entry more than `limit`. Returns whether there is a next page.
pub(super) fn truncate_page<T>(entries: &mut Vec<T>, limit: i64) -> bool {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = entries.len() > limit;
    entries.truncate(limit);
    more
}
