//! Verifies that the database lost no commits, and fences the instance if it did. A database that was
//! restored from a backup, or failed over without its last commits, no longer knows payments that were
//! made, and would pay them again.
//!
//! Each commit that is acknowledged to a caller advances a *mark*: a counter of its process, in the database.
//! A server is verified once (a) every recently active process has found its marks there, and (b) the node
//! has no payment since the store's last one that the store lacks. Nothing is claimed or sent on a server
//! that the database does not record as verified. If either check fails, all replicas are fenced until an
//! operator acknowledges the loss.
//!
//! A process reads its own marks back when it starts, when another server answers, after a reconnect, and
//! every minute: a machine that was reset to a snapshot claims to be the same server as before.
//!
//! A process that died with the previous server may have sent a payment whose row is lost. So an attempt
//! that the server already held when this process registered it is closed only once such a lost send can no
//! longer take effect.
//!
//! Two primaries at once cannot be detected from here, nor the loss of what only a dead process had
//! acknowledged.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    domain::{Act, Actor, FenceReason, InstanceCommand, Millis, Timestamp},
    lookup::{LookupError, NodeAccess},
    ports::{Inherited, LostCommits, NodeError, SeenServer, Server, Store, StoreError},
    runtime::Runtime,
};

/// How often the marks are read back from a server that identifies itself as the same one.
const MARKS_EVERY: Millis = Millis::from_secs(60);
/// A process that read its marks within this time counts as alive: more than twice [`MARKS_EVERY`].
const ALIVE_WITHIN: Millis = Millis::from_secs(150);

/// How often the marks are read while the node is being asked.
const MARKS_EVERY_WHILE_COMPARING: Millis = Millis::from_secs(2);

/// What the verifier needs to know about the node and about timing.
#[derive(Clone, Copy, Debug)]
pub struct VerifierOptions {
    /// Other software pays from the node too, so payments that the database does not know prove no loss.
    pub node_is_shared: bool,
    /// How long after the time in its id an attempt may have been committed.
    pub commit_delay: Millis,
    /// How long a new server stays unverified while a process that was recently alive has not read its
    /// marks there. Longer than a process may need to find the server.
    pub patience: Millis,
    /// The longest time until a send shows in the node's records. After that, payments are compared once
    /// more.
    pub hold: Millis,
}

/// Verifies that the database lost no commits, and fences the instance if it did.
pub struct DatabaseVerifier {
    store: Arc<dyn Store>,
    node: Option<NodeAccess>,
    runtime: Runtime,
    options: VerifierOptions,
    /// One run at a time: otherwise a second run could fence again for a loss that the first has fenced.
    runs: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// On the monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// When the marks are read again even if nothing requires it.
    marks_at: Option<Millis>,
    /// The server that is not verified yet, and since when.
    unverified: Option<(Server, Millis)>,
    /// The server whose payments this process has compared with the node's, and the start of the compared
    /// period. The second comparison starts there, too: computed anew, the start would move past payments
    /// that were lost.
    compared: Option<(Server, Timestamp)>,
    /// When it compares a second time.
    again_at: Option<Millis>,
    /// The fence that it has seen.
    fenced_at: Option<Timestamp>,
    logged_missing_permission: bool,
}

impl DatabaseVerifier {
    /// The verifier of this process. Without a node it only reads the process's marks: a process with a
    /// node declares a server verified.
    pub fn new(
        store: Arc<dyn Store>,
        node: Option<NodeAccess>,
        runtime: Runtime,
        options: VerifierOptions,
    ) -> Self {
        let (runs, state) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { store, node, runtime, options, runs, state }
    }

    /// One run. While the same server answers there is nothing to do, except to read the marks each minute.
    pub async fn run_once(&self) -> Result<(), LookupError> {
        let _only = self.runs.lock().await;
        let SeenServer { server, verified, fenced_at } = self.store.server().await?;
        self.register_if_new(server, fenced_at).await?;
        let now = self.runtime.clock.monotonic();
        let lost = self.read_marks(server, verified, now).await?;
        let Some(node) = &self.node else { return Ok(()) };
        if !verified && self.waits_for_others(server, now).await? {
            return Ok(());
        }
        let state = self.locked(|state| *state);
        let compared = state.compared.filter(|(compared, _)| verified && *compared == server);
        if compared.is_some() && state.again_at.is_none_or(|at| now < at) {
            return Ok(());
        }
        let since = match compared {
            // What an operator has acknowledged since is not compared again.
            Some((_, since)) => self.acknowledged_at().await?.map_or(since, |at| since.max(at)),
            None => self.unknown_since(node).await?,
        };
        // The second comparison finds payments that showed late at the node. An existing fence covers them;
        // fencing again would also withhold requests that were created in between.
        let fenced = lost || verified && fenced_at.is_some();
        if !fenced && self.compare(node, since).await? {
            self.fence(FenceReason::UnknownPayments).await?;
        }
        if !verified && !self.store.verify(server, self.runtime.clock.now()).await? {
            // Yet another server answers.
            return Ok(());
        }
        self.locked(|state| {
            state.unverified = None;
            state.compared = Some((server, since));
            // What was sent just before the server was lost may not show yet.
            state.again_at = compared.is_none().then(|| now.plus(self.options.hold));
        });
        Ok(())
    }

    /// Registers a server that is new to this process, and registers it again after a new fence: a machine
    /// that was reset to a snapshot claims to be the same server as before.
    async fn register_if_new(
        &self,
        server: Server,
        fenced_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let last_seen = self.locked(|state| state.fenced_at);
        if !self.store.is_registered(server) || fenced_at.is_some() && fenced_at != last_seen {
            let inherited = self.inherited().await?;
            self.store.register_server(server, inherited);
        }
        self.locked(|state| state.fenced_at = fenced_at);
        Ok(())
    }

    /// Reads this process's marks. Fences the instance, and returns true, if an acknowledged commit is
    /// missing.
    async fn read_marks(
        &self,
        server: Server,
        verified: bool,
        now: Millis,
    ) -> Result<bool, StoreError> {
        let due = self.locked(|state| state.marks_at.is_none_or(|at| at <= now));
        if verified && !due && !self.store.must_read_marks(server) {
            return Ok(false);
        }
        let mut is_lost = false;
        if let Some(lost) = self.store.lost_commits().await? {
            match self.fence(FenceReason::MarkLost).await {
                Ok(()) => {
                    is_lost = true;
                    log_lost(&lost);
                    // This server has lost sends: attempts that it holds must wait for those.
                    let inherited = self.inherited().await?;
                    self.store.register_server(server, inherited);
                }
                // No mark is missing after all. The first answer came from another server, such as a standby
                // that lagged behind.
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error),
            }
            // Records for the other processes that this one has read its marks.
            self.store.lost_commits().await?;
        }
        self.locked(|state| state.marks_at = Some(now.plus(MARKS_EVERY)));
        Ok(is_lost)
    }

    /// Whether the node knows payments that the database does not. However long that takes, the marks are
    /// read meanwhile: another process may be waiting for this one on yet another server.
    async fn compare(&self, node: &NodeAccess, since: Timestamp) -> Result<bool, LookupError> {
        let mut comparing = std::pin::pin!(self.node_knows_more(node, since));
        loop {
            tokio::select! {
                biased;
                knows_more = &mut comparing => return knows_more,
                () = self.runtime.clock.sleep(MARKS_EVERY_WHILE_COMPARING) => {
                    let SeenServer { server, verified, fenced_at } = self.store.server().await?;
                    self.register_if_new(server, fenced_at).await?;
                    let now = self.runtime.clock.monotonic();
                    self.read_marks(server, verified, now).await?;
                }
            }
        }
    }

    async fn acknowledged_at(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.store.known_from(self.runtime.clock.now()).await?.acknowledged_at)
    }

    /// Whether another process, whose commits may be missing, has not read its marks on the new server yet.
    /// One that stays silent for too long counts as dead.
    async fn waits_for_others(&self, server: Server, now: Millis) -> Result<bool, StoreError> {
        let since = self.locked(|state| match state.unverified {
            Some((seen, since)) if seen == server => since,
            Some(_) | None => {
                state.unverified = Some((server, now));
                now
            }
        });
        if self.store.yet_to_read_marks(server, ALIVE_WITHIN).await? == 0 {
            return Ok(false);
        }
        Ok(now < since.plus(self.options.patience))
    }

    /// The attempts that were in the database when this process first saw the server: another server may
    /// have known of more sends.
    async fn inherited(&self) -> Result<Option<Inherited>, StoreError> {
        let now = self.runtime.clock.now();
        let newest = self.store.known_from(now).await?.newest_accepted_at;
        let over_at = now.plus(self.options.hold);
        let sequence = self.store.last_send().await?;
        Ok(newest.map(|newest| Inherited { newest, over_at, sequence }))
    }

    /// Since when the node may know payments that the database does not. (For a shared node too: an
    /// operator who fences by hand asks what it has paid since the first start.)
    async fn unknown_since(&self, node: &NodeAccess) -> Result<Timestamp, StoreError> {
        node.unknown_since(self.options.commit_delay, self.runtime.clock.now()).await
    }

    /// Whether the node knows payments since `since` that the database does not.
    async fn node_knows_more(
        &self,
        node: &NodeAccess,
        since: Timestamp,
    ) -> Result<bool, LookupError> {
        if self.options.node_is_shared {
            return Ok(false);
        }
        match node.unknown_payments(since, 0).await {
            Ok(unknown) => Ok(!unknown.payments.is_empty()),
            Err(LookupError::Node(NodeError::NotPermitted(call))) => {
                if !self
                    .locked(|state| std::mem::replace(&mut state.logged_missing_permission, true))
                {
                    tracing::warn!(
                        call,
                        "the node's payments cannot be compared with the database's: a restored \
                         backup would go unnoticed; permit the call, or set node.shared"
                    );
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Fences the instance, even if it is fenced already. [`StoreError::Stale`] if no mark is missing after
    /// all.
    async fn fence(&self, reason: FenceReason) -> Result<(), StoreError> {
        let act = Act { by: Actor::service(reason.name()), at: self.runtime.clock.now() };
        self.store.execute_command(&InstanceCommand::Fence(reason, act)).await?;
        tracing::error!(
            reason = reason.name(),
            "FENCED: the database may have lost commits; nothing is claimed or sent until an operator \
             acknowledges it (withdrawd acknowledge-restore)"
        );
        Ok(())
    }

    fn locked<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock())
    }
}

/// Logs the acknowledged commits that are missing. The newest ones show where to look in the logs.
fn log_lost(lost: &LostCommits) {
    let kinds: Vec<String> =
        lost.kinds.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
    tracing::error!(
        lost = kinds.join(", "),
        newest = lost.newest.join(" "),
        "the database lacks commits that this process has acknowledged to callers"
    );
}
