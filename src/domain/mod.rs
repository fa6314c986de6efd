//! What withdrawd knows about withdraw requests and payments: pure values and decisions.
//!
//! No tokio, sqlx, tonic or hyper in here, no clock and no randomness: both are passed in. Every
//! rule is decided here once; stores and adapters only carry it out.

pub(crate) mod bolt11;
mod claim;
mod draft;
mod event;
mod ids;
pub mod invoice;
#[cfg(test)]
mod invoice_test;
pub mod lnurl;
mod money;
mod network;
mod node_trouble;
mod operator;
mod page;
mod pass_thru;
pub mod payment;
mod reconcile;
mod restore;
mod secret;
mod standing;
mod time;
mod trace;
mod withdraw;
#[cfg(test)]
pub(crate) mod withdraw_test;

pub use bolt11::{Bolt11Invoice, Malformed};
pub use claim::{Allowance, Claim, ClaimRules, Presented, Refusal};
pub use draft::{Draft, DraftTtl, Field, REQUEST_ID_RULE, Valid, Violation, is_request_id};
pub use event::{Event, EventKind};
pub use ids::{InvalidId, PaymentId, WithdrawId};
pub use invoice::{Invoice, InvoiceFault, InvoiceRules, PaymentHash, Preimage};
pub use lnurl::{InvalidLnurl, PublicUrl};
pub use money::{Amount, FeePolicy, Msat, Sat};
pub use network::{Network, NodeId};
pub use node_trouble::{NodeTrouble, TroubleKind};
pub use operator::{Operator, operator_violations};
pub use page::{Cursor, Filter, Fingerprint, InvalidToken, ListQuery, PageToken};
pub use pass_thru::{PassThru, PassThruFault};
pub use payment::{FailureReason, OperatorReason, Payment, Sends, State};
pub use reconcile::Verdict;
pub use restore::{NotRestorable, Restored, can_be_ours};
pub use secret::{InvalidKey, KeyId, Keyring, MasterKey, Secret, SecretHash};
pub use standing::{Act, FenceReason, Halt, Heartbeat, PayingLimits, Room, Standing, Turn};
pub use time::{Millis, Timestamp};
pub use trace::TraceContext;
pub use withdraw::{Attempt, Change, Hold, NotDeactivatable, Status, Terms, Unclaimable, Withdraw};

/// A withdraw request with its open or last attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WithdrawView {
    /// The request.
    pub withdraw: Withdraw,
    /// Its open or last attempt.
    pub payment: Option<payment::PaymentView>,
}
