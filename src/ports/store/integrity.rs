//! Detection and repair of lost commits, and which database server may be relied on.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{Millis, PaymentHash, Restored, Timestamp, Withdraw, WithdrawId};

/// One incarnation of a database server. The number changes with a restart, a failover or a restore,
/// including a dump loaded into the running server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server(pub i64);

/// The attempts that a server already held when this process registered it. The previous server may have
/// held more sends, made by processes that died with it: the node may still receive one of those.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// When the newest of these attempts was accepted.
    pub newest: Timestamp,
    /// The end of the time window of such a lost send. Like any unanswered send, it is over once a
    /// write witness was seen as well.
    pub over_at: Timestamp,
    /// The sequence number of the last send that the server held when it was registered.
    pub sequence: i64,
}

/// The server that answers, and whether it may be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenServer {
    /// Which server.
    pub server: Server,
    /// Whether the database records this server as verified, by any process.
    pub verified: bool,
    /// When the instance was fenced, if it is.
    pub fenced_at: Option<Timestamp>,
}

/// Commits that this process acknowledged to callers and that the database no longer has. Only the last
/// thousand commits are checked, since the newest are lost first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostCommits {
    /// Their number, by kind of change.
    pub kinds: BTreeMap<&'static str, usize>,
    /// What the newest of them changed, newest first.
    pub newest: Vec<String>,
}

/// From when on the database should know the node's payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownFrom {
    /// When the instance first started.
    pub first_started_at: Option<Timestamp>,
    /// When an operator last acknowledged a restore.
    pub acknowledged_at: Option<Timestamp>,
    /// When the newest attempt was accepted.
    pub newest_accepted_at: Option<Timestamp>,
}

/// Detects the loss of commits that were acknowledged to callers, and restores what was lost.
///
/// Every acknowledged commit also advances a mark (a counter) of this process in the same transaction.
/// A transaction reads all marks first if it finds a mark older than this process left it, or runs on a
/// server on which the marks were not read yet. If a mark is missing or older, this transaction and all
/// later ones are refused until the loss is fenced.
#[async_trait]
pub trait Integrity: Send + Sync {
    /// The server that answers now. No claim or send is committed until the database records the server
    /// as verified. No attempt is closed until this process has registered it
    /// ([`Self::register_server`]).
    async fn server(&self) -> Result<SeenServer, StoreError>;

    /// Whether this process must read back its marks before it serves: a different server answers, or a
    /// mark was found to be older than expected.
    fn must_read_marks(&self, server: Server) -> bool;

    /// Reads back the marks of this process. If none is lost, records that for other processes and
    /// returns None; otherwise returns the lost commits. A [`crate::domain::InstanceCommand::Fence`] with
    /// `MARK_LOST` makes the database's present content the new baseline.
    async fn lost_commits(&self) -> Result<Option<LostCommits>, StoreError>;

    /// Call this before answering that a request has this version, whichever process wrote it: from
    /// then on this process would notice its loss, too. Fails with [`StoreError::Halted`] if commits
    /// were lost, and with [`StoreError::Stale`] if the request does not have this version.
    async fn confirm_version(&self, id: WithdrawId, version: i64) -> Result<(), StoreError>;

    /// How many other processes were active within the last `window` and have not read back their marks
    /// on this server.
    async fn yet_to_read_marks(&self, server: Server, window: Millis) -> Result<i64, StoreError>;

    /// Records this server as verified, if it is still the one that answers; returns whether it is.
    /// From then on every process that finds its own marks there relies on it.
    async fn verify(&self, server: Server, at: Timestamp) -> Result<bool, StoreError>;

    /// Whether this is the server that this process registered last.
    fn is_registered(&self, server: Server) -> bool;

    /// Registers the server with this process: from now on the process may close attempts on it. The
    /// attempts that it already held (`inherited`) are closed only when no lost send can restart them.
    /// This needs no answer from a node, so that an operator can end the payments of a node that is gone.
    fn register_server(&self, server: Server, inherited: Option<Inherited>);

    /// The server that was registered last, and what it already held.
    fn registered_server(&self) -> Option<(Server, Option<Inherited>)>;

    /// The sequence number of the last send; 0 if there is none.
    async fn last_send(&self) -> Result<i64, StoreError>;

    /// From when on the database should know the node's payments. Records `now` as the first start if
    /// none is recorded.
    async fn known_from(&self, now: Timestamp) -> Result<KnownFrom, StoreError>;

    /// When the newest attempt was committed, or earlier. The time in its id comes from a process whose
    /// clock may have been ahead, and a payment lost after that commit must not look older than it.
    async fn newest_committed(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Whether an attempt with this payment hash exists.
    async fn knows(&self, hash: PaymentHash) -> Result<bool, StoreError>;

    /// Writes a lost payment, and its request as PAID. Fails with [`StoreError::Stale`] if the request
    /// has changed or the hash is known.
    async fn restore(&self, restored: &Restored) -> Result<(), StoreError>;

    /// ACTIVE requests created before `before` that are not withheld yet, newest first.
    async fn to_withhold(&self, before: Timestamp, limit: i64)
    -> Result<Vec<Withdraw>, StoreError>;

    /// Withheld requests, oldest first.
    async fn withheld(&self, limit: i64) -> Result<Vec<Withdraw>, StoreError>;
}
