//! The fields by which payments are listed and resolved.

/// A field of a payment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum PaymentField {
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
    /// How a payment ended.
    Outcome,
    /// The proof that it was paid.
    PaidPreimage,
    /// Its routing fee.
    PaidFee,
}
