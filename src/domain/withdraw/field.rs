//! The fields by which withdraw requests are created and listed.

/// A field of a withdraw request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum WithdrawField {
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
    /// `status`
    Status,
}
