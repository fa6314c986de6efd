//! What is wrong with a caller's input: the field and the rule.

use std::fmt;

use super::{InstanceField, PaymentField, WithdrawField};

/// A field that a rule concerns. Each adapter uses its own name for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Field {
    /// Of a withdraw request.
    Withdraw(WithdrawField),
    /// Of a payment.
    Payment(PaymentField),
    /// Of a command for the instance.
    Instance(InstanceField),
    /// Shared by several of these.
    Common(CommonField),
}

/// A field that several kinds of requests share.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum CommonField {
    /// `id`
    Id,
    /// `page_size`
    PageSize,
    /// `page_token`
    PageToken,
    /// `created_after`
    CreatedAfter,
    /// `created_before`
    CreatedBefore,
}

impl From<WithdrawField> for Field {
    fn from(field: WithdrawField) -> Self {
        Self::Withdraw(field)
    }
}

impl From<PaymentField> for Field {
    fn from(field: PaymentField) -> Self {
        Self::Payment(field)
    }
}

impl From<InstanceField> for Field {
    fn from(field: InstanceField) -> Self {
        Self::Instance(field)
    }
}

impl From<CommonField> for Field {
    fn from(field: CommonField) -> Self {
        Self::Common(field)
    }
}

/// A rule that a field violates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The entry of a batch; None outside a batch.
    pub entry: Option<usize>,
    /// The field.
    pub field: Field,
    /// The rule: what is allowed.
    pub rule: String,
}

impl Violation {
    /// A violation outside a batch.
    pub fn new(field: impl Into<Field>, rule: impl fmt::Display) -> Self {
        Self { entry: None, field: field.into(), rule: rule.to_string() }
    }

    /// The same in an entry of a batch.
    #[must_use]
    pub fn of_entry(self, index: usize) -> Self {
        Self { entry: Some(index), ..self }
    }
}
