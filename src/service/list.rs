//! Reading withdraw requests: one, or pages of them.

use uuid::Uuid;

use super::{ServiceError, Shown, WithdrawService};
use crate::domain::{
    Field, Filter, Fingerprint, ListQuery, PageToken, REQUEST_ID_RULE, Violation, WithdrawId,
    is_request_id,
};

const DEFAULT_PAGE_SIZE: i64 = 50;
/// Larger pages are cut to this size.
pub const MAX_PAGE_SIZE: i64 = 1000;

/// A page to read.
#[derive(Clone, Debug, Default)]
pub struct PageRequest {
    /// 0 for the default.
    pub page_size: i32,
    /// Empty for the first page.
    pub page_token: String,
    /// Which requests.
    pub filter: Filter,
}

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Newest first.
    pub withdraws: Vec<Shown>,
    /// Whether the list goes on.
    pub more: bool,
}

impl WithdrawService {
    /// One by its id.
    pub async fn get(&self, id: &str) -> Result<Shown, ServiceError> {
        let id = read_id(id)?;
        let view = self.store.withdraw(id).await?.ok_or(ServiceError::NotFound)?;
        Ok(self.show(view))
    }

    /// A page, newest first. `unread` is what the adapter could not read of the request: it is
    /// reported together with all else that is wrong.
    pub async fn list(
        &self,
        request: &PageRequest,
        unread: Vec<Violation>,
    ) -> Result<Page, ServiceError> {
        let query = self.query(request, unread).map_err(ServiceError::Invalid)?;
        let wanted = query.limit;
        // One more than is shown tells whether there is a next page.
        let query = ListQuery { limit: wanted + 1, ..query };
        let mut views = self.store.list(&query).await?;
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let more = views.len() > wanted;
        views.truncate(wanted);
        Ok(Page { withdraws: views.into_iter().map(|view| self.show(view)).collect(), more })
    }

    fn query(
        &self,
        request: &PageRequest,
        mut violations: Vec<Violation>,
    ) -> Result<ListQuery, Vec<Violation>> {
        let filter_is_read = violations.is_empty();
        let limit = page_limit(request.page_size, &mut violations);
        let request_id = request.filter.request_id.as_deref();
        if request_id.is_some_and(|id| !is_request_id(id)) {
            violations.push(Violation::new(Field::RequestId, REQUEST_ID_RULE));
        }
        let print = filter_is_read.then(|| request.filter.fingerprint());
        let after = page_start(&request.page_token, print, &mut violations);
        if !violations.is_empty() {
            return Err(violations);
        }
        let after = after.map(WithdrawId::from_uuid);
        let now = self.runtime.clock.now();
        Ok(ListQuery { filter: request.filter.clone(), after, limit, now })
    }
}

/// How many are wanted on a page.
pub(super) fn page_limit(page_size: i32, violations: &mut Vec<Violation>) -> i64 {
    if page_size < 0 {
        violations.push(Violation::new(Field::PageSize, "must not be negative"));
    }
    match i64::from(page_size) {
        0 => DEFAULT_PAGE_SIZE,
        size => size.min(MAX_PAGE_SIZE),
    }
}

/// After which id a page begins. `filter` is none where it could not be read: then no token can be
/// judged by it.
pub(super) fn page_start(
    token: &str,
    filter: Option<Fingerprint>,
    violations: &mut Vec<Violation>,
) -> Option<Uuid> {
    let filter = filter.filter(|_| !token.is_empty())?;
    let start = PageToken::parse(token, filter);
    start.map_err(|fault| violations.push(Violation::new(Field::PageToken, fault))).ok()
}

/// Reads an id, or says what one looks like.
pub fn read_id(text: &str) -> Result<WithdrawId, ServiceError> {
    WithdrawId::parse(text)
        .map_err(|fault| ServiceError::Invalid(vec![Violation::new(Field::Id, fault)]))
}
