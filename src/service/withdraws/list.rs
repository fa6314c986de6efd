//! Reading withdraw requests: one, or pages of them.

use super::{Shown, WithdrawError, WithdrawService, read_id};
use crate::{
    domain::{
        Filter, ListQuery, Principal, REQUEST_ID_RULE, Violation, WithdrawField, WithdrawId,
        is_request_id,
    },
    service::paging::{page_limit, page_start, truncate_page},
};

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
    /// One request by its id.
    pub async fn get(&self, _: Principal, id: &str) -> Result<Shown, WithdrawError> {
        let id = read_id(id)?;
        let view = self.store.withdraw(id).await?.ok_or(WithdrawError::NotFound)?;
        Ok(self.show(view))
    }

    /// A page, newest first. `unread` are the fields that the adapter could not read; they are reported
    /// together with all other violations.
    pub async fn list(
        &self,
        principal: Principal,
        request: &PageRequest,
        unread: Vec<Violation>,
    ) -> Result<Page, WithdrawError> {
        let query = self.query(principal, request, unread).map_err(WithdrawError::Invalid)?;
        let wanted = query.limit;
        // One more than is shown, to learn whether there is a next page.
        let query = ListQuery { limit: wanted + 1, ..query };
        let mut views = self.store.list(&query).await?;
        let more = truncate_page(&mut views, wanted);
        Ok(Page { withdraws: views.into_iter().map(|view| self.show(view)).collect(), more })
    }

    fn query(
        &self,
        principal: Principal,
        request: &PageRequest,
        mut violations: Vec<Violation>,
    ) -> Result<ListQuery, Vec<Violation>> {
        let filter_is_read = violations.is_empty();
        let limit = page_limit(request.page_size, &mut violations);
        let request_id = request.filter.request_id.as_deref();
        if request_id.is_some_and(|id| !is_request_id(id)) {
            violations.push(Violation::new(WithdrawField::RequestId, REQUEST_ID_RULE));
        }
        let print = filter_is_read.then(|| request.filter.fingerprint());
        let after = page_start(&request.page_token, print, &mut violations);
        if !violations.is_empty() {
            return Err(violations);
        }
        let after = after.map(WithdrawId::from_uuid);
        let now = self.runtime.clock.now();
        let (filter, caller) = (request.filter.clone(), principal.caller());
        Ok(ListQuery { filter, after, caller, limit, now })
    }
}
