//! The use cases, by noun, over domain and ports, for gRPC and the public sidecar.
//!
//! Each noun has its own error; a failure that all of them can have is a [`Failure`]. Workers (the payer,
//! the database verifier, periodic jobs) are built from the same parts ([`crate::lookup`]) and are modules
//! of their own: no use case is built from a worker.

mod claims;
mod failure;
mod instance;
mod notifier;
mod paging;
mod payments;
mod withdraws;

/// A payment as the node lists it.
pub use crate::ports::ListedPayment;
pub use claims::{ClaimError, ClaimService, Offer};
pub use failure::Failure;
pub use instance::{
    Acknowledged, CommitDelays, InstanceError, InstanceService, InstanceView, Pair, ReleaseScope,
    RestoreService, UnknownPage,
};
pub use notifier::Notifier;
pub use paging::MAX_PAGE_SIZE;
pub use payments::{
    Line, PaymentError, PaymentPage, PaymentPageRequest, PaymentService, ReconcileService,
};
pub use withdraws::{Page, PageRequest, Shown, WithdrawError, WithdrawService};
