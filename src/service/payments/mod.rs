//! Payments as operators see them: one with its sends, or pages of them.

mod error;
mod reconcile;
mod resolve;

use std::sync::Arc;

use super::{
    Failure,
    paging::{page_limit, page_start, truncate_page},
};
use crate::{
    domain::{
        CommonField, Payment, PaymentId, Principal, Violation,
        payment::{PaymentEntry, PaymentFilter, PaymentQuery},
    },
    lookup::NodeAccess,
    ports::{Recorder, Store},
    runtime::Runtime,
};

pub use error::PaymentError;
pub use reconcile::{Line, ReconcileService};

/// What operators may do with payments.
#[derive(Clone)]
pub struct PaymentService {
    store: Arc<dyn Store>,
    node: Option<NodeAccess>,
    runtime: Runtime,
    recorder: Arc<dyn Recorder>,
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
    /// Over this store, asking the node as the payer does. Without a node nothing can be resolved.
    pub fn new(
        store: Arc<dyn Store>,
        node: Option<NodeAccess>,
        runtime: Runtime,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        Self { store, node, runtime, recorder }
    }

    fn node(&self) -> Result<&NodeAccess, PaymentError> {
        self.node.as_ref().ok_or(PaymentError::Failed(Failure::NodeNotHere))
    }

    /// One payment by its id, with its sends.
    pub async fn get(&self, _: Principal, id: &str) -> Result<Payment, PaymentError> {
        let id = PaymentId::parse(id)
            .map_err(|fault| PaymentError::Invalid(vec![Violation::new(CommonField::Id, fault)]))?;
        let leased = self.store.payment(id).await?.ok_or(PaymentError::NotFound)?;
        Ok(leased.payment)
    }

    /// A page, newest first. `violations` are the fields that the adapter could not read.
    pub async fn list(
        &self,
        _: Principal,
        request: &PaymentPageRequest,
        mut violations: Vec<Violation>,
    ) -> Result<PaymentPage, PaymentError> {
        let print = violations.is_empty().then(|| request.filter.fingerprint());
        let after = page_start(&request.page_token, print, &mut violations);
        let limit = page_limit(request.page_size, &mut violations);
        if !violations.is_empty() {
            return Err(PaymentError::Invalid(violations));
        }
        let query = PaymentQuery {
            filter: request.filter.clone(),
            after: after.map(PaymentId::from_uuid),
            // One more than is shown, to learn whether there is a next page.
            limit: limit + 1,
            now: self.runtime.clock.now(),
        };
        let mut payments = self.store.list_payments(&query).await?;
        let more = truncate_page(&mut payments, limit);
        Ok(PaymentPage { payments, more })
    }
}
