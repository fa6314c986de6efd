//! The use cases, over domain and ports: what gRPC and the public sidecar share.

mod claim;
mod clocks;
mod create;
mod deactivate;
mod error;
mod guard;
mod inquiry;
mod list;
mod operations;
mod payer;
mod payments;
mod reconcile;
mod resolve;
mod restore;
mod shown;
mod trust;
mod unknown;
mod waker;

/// A payment as the node lists it.
pub use crate::ports::ListedPayment;
pub use claim::{ClaimService, Offer};
pub use clocks::ClockGuard;
pub use error::ServiceError;
pub use guard::{Guard, GuardOptions};
pub use inquiry::Inquiry;
pub use list::{MAX_PAGE_SIZE, Page, PageRequest};
pub use operations::{Asked, InstanceView, OperationsService};
pub use payer::{Payer, PayerOptions, WriteWitness};
pub use payments::{PaymentPage, PaymentPageRequest, PaymentService};
pub use reconcile::{Line, ReconcileService};
pub use restore::{Acknowledged, Pair, RestoreService, Which};
pub use shown::Shown;
pub use trust::{Distrust, NodeTrust};
pub use waker::Waker;

use std::sync::Arc;

use crate::{
    domain::{Keyring, PublicUrl, Sat},
    ports::Store,
    runtime::Runtime,
};

/// What internal services may do with withdraw requests.
#[derive(Clone)]
pub struct WithdrawService {
    store: Arc<dyn Store>,
    keyring: Keyring,
    public_url: PublicUrl,
    max_amount: Sat,
    runtime: Runtime,
}

impl WithdrawService {
    /// Use cases over this store, showing LNURLs of this public URL, for requests of `max_amount` at
    /// most.
    pub fn new(
        store: Arc<dyn Store>,
        keyring: Keyring,
        public_url: PublicUrl,
        max_amount: Option<Sat>,
        runtime: Runtime,
    ) -> Self {
        Self { store, keyring, public_url, max_amount: max_amount.unwrap_or(Sat::MAX), runtime }
    }
}

impl std::fmt::Debug for WithdrawService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WithdrawService").finish_non_exhaustive()
    }
}
