//! How far a commit has come.

/// Of the transaction that moves a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// COMMIT was not sent: if dropped, the move did not happen.
    Open,
    /// COMMIT was sent: if dropped, the move may have happened.
    CommitSent,
    /// The outcome is known.
    Settled,
}
