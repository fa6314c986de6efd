//! Withdraw requests, payments and the instance: pure values and decisions.
//!
//! No tokio, sqlx, tonic or hyper here, and no clock or randomness: both are passed in. Every rule is
//! decided here once; stores and adapters only carry it out.

mod actor;
pub(crate) mod bolt11;
mod event;
mod ids;
pub mod instance;
pub mod invoice;
#[cfg(test)]
mod invoice_test;
pub mod lnurl;
mod money;
mod network;
mod page;
pub mod payment;
mod secret;
mod time;
mod trace;
mod violation;
pub mod withdraw;

pub use actor::{Actor, ActorDraft, Principal};
pub use bolt11::{Bolt11Invoice, Currency as InvoiceCurrency, Malformed, NewInvoice, Unwritable};
pub use event::{Event, EventKind};
pub use ids::{Id, InvalidId, Kind, PaymentId, WithdrawId};
pub use instance::{
    Act, Capacity, FenceReason, HaltReason, Heartbeat, InstanceCommand, InstanceField,
    InstanceStatus, NodeTrouble, NotRestorable, PayingLimits, Restored, TroubleKind, can_be_ours,
};
pub use invoice::{Invoice, InvoiceFault, InvoiceRules, PaymentHash, Preimage};
pub use lnurl::{InvalidLnurl, InvalidPublicUrl, PublicUrl};
pub use money::{Amount, Currency, FeePolicy, Msat, Sat, SatRange};
pub use network::{Network, NodeId};
pub use page::{Cursor, Filter, Fingerprint, InvalidToken, ListQuery, PageToken};
pub use payment::{
    Allowance, Claim, ClaimRules, FailureReason, OperatorReason, Payment, PaymentField, Presented,
    Refusal, Sends, State, Verdict,
};
pub use secret::{InvalidKey, KeyId, Keyring, MasterKey, Secret, SecretHash};
pub use time::{ClockBounds, Millis, Timestamp};
pub use trace::TraceContext;
pub use violation::{CommonField, Field, Violation};
#[cfg(test)]
pub(crate) use withdraw::tests as withdraw_test;
pub use withdraw::{
    Attempt, Change, Draft, DraftTtl, Hold, NotDeactivatable, Order, PassThru, PassThruFault,
    Quote, REQUEST_ID_RULE, Rate, Status, Terms, Unclaimable, Withdraw, WithdrawField,
    is_request_id,
};

/// A withdraw request with its open or last attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WithdrawView {
    /// The request.
    pub withdraw: Withdraw,
    /// Its open or last attempt.
    pub payment: Option<payment::PaymentView>,
}
