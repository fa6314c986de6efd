//! Events: what happened to a withdraw request, appended in the transaction that made it so.

use strum::{EnumString, IntoStaticStr, VariantArray};

use super::{Actor, PaymentId, Timestamp, WithdrawId};

/// One change of a withdraw request. Keyed by request and version; carries no secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Of which request.
    pub withdraw: WithdrawId,
    /// The request's version after the change.
    pub version: i64,
    /// What happened.
    pub kind: EventKind,
    /// The payment that it is about, if any.
    pub payment: Option<PaymentId>,
    /// Why (a failure's or a doubt's reason by its name), if there is a why.
    pub detail: Option<&'static str>,
    /// When.
    pub at: Timestamp,
    /// Who decided it, where a person did.
    pub by: Option<Actor>,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum EventKind {
    /// The request was made.
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
    /// Ended by its creator.
    Deactivated,
    /// Its time ran out.
    Expired,
    /// It can be claimed again after waiting for an old invoice.
    Reopened,
    /// The database was restored: it cannot be claimed until an operator has looked.
    Withheld,
    /// An operator has looked.
    Released,
}

impl EventKind {
    /// The name that SQL and docs use.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
