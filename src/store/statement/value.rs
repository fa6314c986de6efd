//! A parameter's value, and conversions from the domain's types.

use std::borrow::Cow;

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::domain::{
    Amount, KeyId, Millis, Msat, NodeId, PassThru, PaymentHash, PaymentId, Preimage, Sat,
    SecretHash, Timestamp, TraceContext, WithdrawId,
};

/// A parameter's value. Each variant is bound as the SQL type that its doc names.
#[derive(Clone, Debug)]
pub enum Value<'v> {
    /// bigint
    Int(Option<i64>),
    /// boolean
    Bool(bool),
    /// text
    Text(Option<Cow<'v, str>>),
    /// bytea
    Bytes(Option<[u8; 32]>),
    /// uuid
    Uuid(Option<Uuid>),
    /// numeric (text on SQLite)
    Decimal(Decimal),
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(value: &'v str) -> Self {
        Self::Text(Some(Cow::Borrowed(value)))
    }
}

impl<'v> From<Option<&'v str>> for Value<'v> {
    fn from(value: Option<&'v str>) -> Self {
        Self::Text(value.map(Cow::Borrowed))
    }
}

impl From<Uuid> for Value<'_> {
    fn from(value: Uuid) -> Self {
        Self::Uuid(Some(value))
    }
}

// Money.

impl From<Amount> for Value<'_> {
    fn from(amount: Amount) -> Self {
        Self::Decimal(amount.as_decimal())
    }
}

impl From<Sat> for Value<'_> {
    fn from(amount: Sat) -> Self {
        amount.get().into()
    }
}

impl From<Msat> for Value<'_> {
    fn from(amount: Msat) -> Self {
        amount.get().into()
    }
}

impl From<Option<Msat>> for Value<'_> {
    fn from(amount: Option<Msat>) -> Self {
        amount.map(Msat::get).into()
    }
}

// Time, in milliseconds.

impl From<Timestamp> for Value<'_> {
    fn from(at: Timestamp) -> Self {
        at.as_ms().into()
    }
}

impl From<Option<Timestamp>> for Value<'_> {
    fn from(at: Option<Timestamp>) -> Self {
        at.map(Timestamp::as_ms).into()
    }
}

impl From<Millis> for Value<'_> {
    fn from(length: Millis) -> Self {
        length.as_ms().into()
    }
}

// Ids, hashes and names.

impl From<WithdrawId> for Value<'_> {
    fn from(id: WithdrawId) -> Self {
        id.as_uuid().into()
    }
}

impl From<PaymentId> for Value<'_> {
    fn from(id: PaymentId) -> Self {
        id.as_uuid().into()
    }
}

impl From<Option<PaymentId>> for Value<'_> {
    fn from(id: Option<PaymentId>) -> Self {
        Self::Uuid(id.map(PaymentId::as_uuid))
    }
}

impl From<PaymentHash> for Value<'_> {
    fn from(hash: PaymentHash) -> Self {
        Self::Bytes(Some(*hash.as_bytes()))
    }
}

impl From<SecretHash> for Value<'_> {
    fn from(hash: SecretHash) -> Self {
        Self::Bytes(Some(*hash.as_bytes()))
    }
}

impl From<Preimage> for Value<'_> {
    fn from(preimage: Preimage) -> Self {
        Self::Bytes(Some(*preimage.as_bytes()))
    }
}

impl From<Option<Preimage>> for Value<'_> {
    fn from(preimage: Option<Preimage>) -> Self {
        Self::Bytes(preimage.map(|preimage| *preimage.as_bytes()))
    }
}

impl<'v> From<&'v NodeId> for Value<'v> {
    fn from(node: &'v NodeId) -> Self {
        node.as_str().into()
    }
}

impl<'v> From<Option<&'v NodeId>> for Value<'v> {
    fn from(node: Option<&'v NodeId>) -> Self {
        node.map(NodeId::as_str).into()
    }
}

impl<'v> From<&'v KeyId> for Value<'v> {
    fn from(key: &'v KeyId) -> Self {
        key.as_str().into()
    }
}

impl<'v> From<Option<&'v PassThru>> for Value<'v> {
    fn from(pass_thru: Option<&'v PassThru>) -> Self {
        pass_thru.map(PassThru::as_str).into()
    }
}

/// The span that created a row.
impl From<Option<TraceContext>> for Value<'_> {
    fn from(context: Option<TraceContext>) -> Self {
        Self::Text(context.map(|context| Cow::Owned(context.to_string())))
    }
}
