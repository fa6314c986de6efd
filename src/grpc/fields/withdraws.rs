//! The names of the fields of `WithdrawService`, as its messages have them.

use crate::domain::WithdrawField;

/// The name of a field of `WithdrawService`.
pub const fn name(field: WithdrawField) -> &'static str {
    match field {
        WithdrawField::RequestId => "request_id",
        WithdrawField::MinAmount => "min_amount",
        WithdrawField::MaxAmount => "max_amount",
        WithdrawField::Currency => "currency",
        WithdrawField::Ttl => "ttl",
        WithdrawField::Memo => "memo",
        WithdrawField::StatementDescriptor => "statement_descriptor",
        WithdrawField::PassThru => "pass_thru",
        WithdrawField::Requests => "requests",
        WithdrawField::Status => "status",
    }
}
