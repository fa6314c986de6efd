//! The names of the fields of `PaymentService`, as its messages have them.

use crate::domain::PaymentField;

/// The name of a field of `PaymentService`.
pub const fn name(field: PaymentField) -> &'static str {
    match field {
        PaymentField::State => "state",
        PaymentField::WithdrawId => "withdraw_id",
        PaymentField::PaymentHash => "payment_hash",
        PaymentField::Invoice => "invoice",
        PaymentField::OpenLongerThan => "open_longer_than",
        PaymentField::Outcome => "outcome",
        PaymentField::PaidPreimage => "paid.preimage",
        PaymentField::PaidFee => "paid.fee_msat",
    }
}
