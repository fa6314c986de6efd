//! Whether the database still holds what it was told, and which server of it may be relied on.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Millis, PaymentHash, Restored, Timestamp, Withdraw, WithdrawId};

/// One life of a database server: another number after its restart, a failover or a restore, a dump put
/// into the running server included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server(pub i64);

/// The attempts that a server came with. Beside the sends that it knows, another server may have known
/// more, made by processes that died with it: the node may still receive one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// When the newest of them was accepted.
    pub newest: Timestamp,
    /// After this the time of such a send has passed; like any that was never answered, it is over once a
    /// write witness was seen.
    pub over_at: Timestamp,
    /// The last send that the server knew when it was met.
    pub sequence: i64,
}

/// The server that answers, and whether it may be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenServer {
    /// Which it is.
    pub server: Server,
    /// The database itself says that this server was verified, by whichever process.
    pub verified: bool,
    /// When the instance was fenced, if it is.
    pub fenced_at: Option<Timestamp>,
}

/// Commits that callers of this process were told of, and that the database does not have: of the last
/// thousand, which are the first to be lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostCommits {
    /// How many, by what they did.
    pub kinds: BTreeMap<&'static str, usize>,
    /// What the newest of them were about, the last one first.
    pub newest: Vec<String>,
}

/// Since when the instance knows the node's payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownFrom {
    /// When the instance first started.
    pub first_started_at: Option<Timestamp>,
    /// When an operator last acknowledged a restore.
    pub acknowledged_at: Option<Timestamp>,
    /// When the newest attempt was accepted.
    pub newest_accepted_at: Option<Timestamp>,
}

/// Whether the database still holds what callers of this process were told it holds, and putting back
/// what it lost.
///
/// Every commit that a caller is told of moves a mark of this process in the same transaction. A
/// transaction that would move a mark that is older than it was told to be, or meets a server on which
/// the marks were not read yet, reads all of them first; one that is missing or older refuses it, and
/// all that follow, until the loss is fenced.
#[async_trait]
pub trait Integrity: Send + Sync {
    /// The server that answers now. While the database does not call it verified, no claim and no send
    /// is committed; while it was not met, no attempt is closed.
    async fn server(&self) -> Result<SeenServer, StoreError>;

    /// Whether the marks of this process must be read back before it serves: another server answers, or
    /// one of them was seen to be older.
    fn must_read_marks(&self, server: Server) -> bool;

    /// Reads the marks of this process back. None if all are there, which is then written for other
    /// processes to see; else what was told since. A [`crate::domain::Turn::Fence`] with `MARK_LOST` makes what is there
    /// the new beginning.
    async fn lost_commits(&self) -> Result<Option<LostCommits>, StoreError>;

    /// A caller is about to be told that this request stands as in this version, whoever made it so: from here
    /// on this process knows, too, should it be lost. Errors: [`StoreError::Halted`] over a loss;
    /// [`StoreError::Stale`] if it does not stand so.
    async fn vouch(&self, id: WithdrawId, version: i64) -> Result<(), StoreError>;

    /// How many other processes have been here within `lately` and have not read their marks on this
    /// server.
    async fn yet_to_read_marks(&self, server: Server, lately: Millis) -> Result<i64, StoreError>;

    /// Writes that this server is verified, if it is the one that answers: whether it is. From here on
    /// every process relies on it that finds its own marks there.
    async fn verify(&self, server: Server, at: Timestamp) -> Result<bool, StoreError>;

    /// Whether this is the server that was met last.
    fn has_met(&self, server: Server) -> bool;

    /// From here on attempts are closed on this server: those that it came with only when no lost send
    /// can start them anew. It takes no word of a node: an operator must be able to end what a node that
    /// is gone has left.
    fn meet(&self, server: Server, inherited: Option<Inherited>);

    /// The server that was met last, and what it came with.
    fn met(&self) -> Option<(Server, Option<Inherited>)>;

    /// The last send in the store's order; 0 for none.
    async fn last_send(&self) -> Result<i64, StoreError>;

    /// Since when the instance knows the node's payments; it first starts `now`, if it never did.
    async fn known_from(&self, now: Timestamp) -> Result<KnownFrom, StoreError>;

    /// When the newest attempt was committed, or earlier: an id's time is that of a process whose clock may
    /// have been ahead, and what was lost after the commit must not look older than it.
    async fn newest_committed(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Whether an attempt of this payment hash is there.
    async fn knows(&self, hash: PaymentHash) -> Result<bool, StoreError>;

    /// Writes a payment that was lost, and its request as PAID; fails with [`StoreError::Stale`] if
    /// the request has moved or the hash is known.
    async fn restore(&self, restored: &Restored) -> Result<(), StoreError>;

    /// ACTIVE requests made before `before` that are not withheld yet, newest first.
    async fn to_withhold(&self, before: Timestamp, limit: i64)
    -> Result<Vec<Withdraw>, StoreError>;

    /// Requests that are withheld, oldest first.
    async fn withheld(&self, limit: i64) -> Result<Vec<Withdraw>, StoreError>;
}
