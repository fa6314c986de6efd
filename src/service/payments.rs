//! Payments as operators see them: one with its sends, or pages of them.

use std::sync::Arc;

use super::{
    Inquiry, ServiceError, WriteWitness,
    list::{page_limit, page_start},
};
use crate::{
    domain::{
        Field, Payment, PaymentId, Violation,
        payment::{PaymentEntry, PaymentFilter, PaymentQuery},
    },
    ports::{Meter, Store},
    runtime::Runtime,
};

/// What operators may do with payments.
#[derive(Clone)]
pub struct PaymentService {
    pub(super) store: Arc<dyn Store>,
    pub(super) inquiry: Arc<Inquiry>,
    pub(super) witness: Arc<WriteWitness>,
    pub(super) runtime: Runtime,
    pub(super) meter: Arc<dyn Meter>,
}

impl std::fmt::Debug for PaymentService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaymentService").finish_non_exhaustive()
    }
}

/// A page of payments to read.
#[derive(Clone, Debug, Default)]
pub struct PaymentPageRequest {
    /// 0 for the default.
    pub page_size: i32,
    /// Empty for the first page.
    pub page_token: String,
    /// Which payments.
    pub filter: PaymentFilter,
}

/// A page of payments.
#[derive(Debug)]
pub struct PaymentPage {
    /// Newest first.
    pub payments: Vec<PaymentEntry>,
    /// Whether the list goes on.
    pub more: bool,
}

impl PaymentService {
    /// Over this store, asking the node as the payer does.
    pub fn new(
        store: Arc<dyn Store>,
        (inquiry, witness): (Arc<Inquiry>, Arc<WriteWitness>),
        runtime: Runtime,
        meter: Arc<dyn Meter>,
    ) -> Self {
        Self { store, inquiry, witness, runtime, meter }
    }

    /// One by its id, with its sends.
    pub async fn get(&self, id: &str) -> Result<Payment, ServiceError> {
        let id = PaymentId::parse(id)
            .map_err(|fault| ServiceError::Invalid(vec![Violation::new(Field::Id, fault)]))?;
        let leased = self.store.payment(id).await?.ok_or(ServiceError::PaymentNotFound)?;
        Ok(leased.payment)
    }

    /// A page, newest first. `violations` is what the adapter could not read of the request.
    pub async fn list(
        &self,
        request: &PaymentPageRequest,
        mut violations: Vec<Violation>,
    ) -> Result<PaymentPage, ServiceError> {
        let print = violations.is_empty().then(|| request.filter.fingerprint());
        let after = page_start(&request.page_token, print, &mut violations);
        let limit = page_limit(request.page_size, &mut violations);
        if !violations.is_empty() {
            return Err(ServiceError::Invalid(violations));
        }
        let query = PaymentQuery {
            filter: request.filter.clone(),
            after: after.map(PaymentId::from_uuid),
            // One more than is shown tells whether there is a next page.
            limit: limit + 1,
            now: self.runtime.clock.now(),
        };
        let mut payments = self.store.list_payments(&query).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = payments.len() > limit;
        payments.truncate(limit);
        Ok(PaymentPage { payments, more })
    }
}
