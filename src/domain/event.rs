//! Events: what happened to a withdraw request, appended in the same transaction as the change.

use strum::{EnumString, IntoStaticStr, VariantArray};

use super::{Actor, PaymentId, Timestamp, WithdrawId};

/// One change of a withdraw request. Keyed by request and version; contains no secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The request.
    pub withdraw: WithdrawId,
    /// The request's version after the change.
    pub version: i64,
    /// What happened.
    pub kind: EventKind,
    /// The payment that it concerns, if any.
    pub payment: Option<PaymentId>,
    /// The name of the failure or doubt reason, if there is one.
    pub detail: Option<&'static str>,
    /// When.
    pub at: Timestamp,
    /// Who decided it, if an operator did.
    pub by: Option<Actor>,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum EventKind {
    /// The request was created.
    Created,
    /// An invoice was accepted.
    Claimed,
    /// The payee has the money.
    Paid,
    /// The attempt failed; the request can be claimed again.
    PaymentFailed,
    /// The attempt's outcome is in doubt.
    NeedsOperator,
    /// A failed attempt was paid after all, when the request was no longer free.
    LateSuccess,
    /// The creator deactivated the request.
    Deactivated,
    /// The request expired.
    Expired,
    /// The request can be claimed again, after waiting for an old invoice to expire.
    Reopened,
    /// The database was restored: the request cannot be claimed until an operator has examined it.
    Withheld,
    /// An operator released a withheld request.
    Released,
}

impl EventKind {
    /// The name that SQL and docs use.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
