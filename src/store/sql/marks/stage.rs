//! The stages of a transaction that advances a mark.

/// How far the transaction has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// COMMIT was not sent. If the move is dropped now, it did not happen.
    Open,
    /// COMMIT was sent. If the move is dropped now, it may have happened.
    CommitSent,
    /// The outcome is known.
    Settled,
}
