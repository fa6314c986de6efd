//! The use cases, over domain and ports: what gRPC and the public sidecar share.

mod claim;
mod clocks;
mod create;
mod deactivate;
mod error;
mod inquiry;
mod list;
mod payer;
mod payments;
mod resolve;
mod shown;
mod trust;
mod waker;

pub use claim::{ClaimService, Offer};
pub use clocks::ClockGuard;
pub use error::ServiceError;
pub use inquiry::Inquiry;
pub use list::{MAX_PAGE_SIZE, Page, PageRequest};
pub use payer::{Payer, PayerOptions};
pub use payments::{PaymentPage, PaymentPageRequest, PaymentService};
pub use shown::Shown;
pub use trust::{Distrust, NodeTrust};
pub use waker::Waker;

use std::sync::Arc;

use crate::{
    domain::{Keyring, PublicUrl},
    ports::Store,
    runtime::Runtime,
};

/// What internal services may do with withdraw requests.
#[derive(Clone)]
pub struct WithdrawService {
    store: Arc<dyn Store>,
    keyring: Keyring,
    public_url: PublicUrl,
    runtime: Runtime,
}

impl WithdrawService {
    /// Use cases over this store, showing LNURLs of this public URL.
    pub fn new(
        store: Arc<dyn Store>,
        keyring: Keyring,
        public_url: PublicUrl,
        runtime: Runtime,
    ) -> Self {
        Self { store, keyring, public_url, runtime }
    }
}

impl std::fmt::Debug for WithdrawService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WithdrawService").finish_non_exhaustive()
    }
}
