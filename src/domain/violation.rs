//! What is wrong with what a caller sent: the field, and what is allowed.

use std::fmt;

/// A field that a rule is about. Adapters name it in their own wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Field {
    /// `request_id`
    RequestId,
    /// `min_amount`
    MinAmount,
    /// `max_amount`
    MaxAmount,
    /// `currency`
    Currency,
    /// `ttl`
    Ttl,
    /// `memo`
    Memo,
    /// `statement_descriptor`
    StatementDescriptor,
    /// `pass_thru`
    PassThru,
    /// The entries of a batch.
    Requests,
    /// `id`
    Id,
    /// `page_size`
    PageSize,
    /// `page_token`
    PageToken,
    /// `status`
    Status,
    /// `created_after`
    CreatedAfter,
    /// `created_before`
    CreatedBefore,
    /// `state`
    State,
    /// `withdraw_id`
    WithdrawId,
    /// `payment_hash`
    PaymentHash,
    /// `invoice`
    Invoice,
    /// `open_longer_than`
    OpenLongerThan,
    /// `operator`
    Operator,
    /// `reason`
    Reason,
    /// `ids`
    Ids,
    /// `from`
    From,
    /// `to`
    To,
    /// `paid`: pairs of a withdraw id and a payment hash.
    Paid,
    /// How a payment ended.
    Outcome,
    /// The proof that it was paid.
    PaidPreimage,
    /// What its routing cost.
    PaidFee,
}

/// A rule that a field breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// In which entry of a batch.
    pub entry: Option<usize>,
    /// Which field.
    pub field: Field,
    /// What is allowed.
    pub rule: String,
}

impl Violation {
    /// A violation outside of a batch.
    pub fn new(field: Field, rule: impl fmt::Display) -> Self {
        Self { entry: None, field, rule: rule.to_string() }
    }

    /// The same in an entry of a batch.
    #[must_use]
    pub fn of_entry(self, index: usize) -> Self {
        Self { entry: Some(index), ..self }
    }
}
