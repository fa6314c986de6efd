//! The fence: a database that was restored from a backup, or failed over without its last commits, no
//! longer knows payments that were made, and would pay them again.
//!
//! So nothing is claimed or sent over a server that the database itself does not call verified. It is
//! verified once (a) every process that was here lately has found its marks there: each commit that a
//! caller is told of moves one; and (b) the node knows no payment since the store's last one that the
//! store does not. If either fails the instance is fenced for all replicas, until an operator has looked.
//!
//! A process reads its own marks back when it starts, when another server answers, when a connection was
//! made anew, and every minute: a machine that was put back to a snapshot says that it is the server of
//! before.
//!
//! A process that died with the database may have left a send behind that nobody was told of. So the
//! attempts that the server came with are closed only when such a send would be over.
//!
//! Two primaries at once cannot be seen from here, nor what was told by a process that is gone.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    domain::{Act, Actor, FenceReason, Millis, Timestamp, Turn},
    lookup::{LookupError, NodeAccess},
    ports::{Inherited, LostCommits, NodeError, SeenServer, Server, Store, StoreError},
    runtime::Runtime,
};

/// How often the marks are read back from a server that did not change, as far as it says.
const MARKS_EVERY: Millis = Millis::from_secs(60);
/// A process that read its marks within this time counts as alive: more than twice [`MARKS_EVERY`].
const LATELY: Millis = Millis::from_secs(150);

/// How often they are read while the node is asked.
const MEANWHILE: Millis = Millis::from_secs(2);

/// What the verifier needs to know of the node and of timing.
#[derive(Clone, Copy, Debug)]
pub struct VerifierOptions {
    /// Other software pays from the node too: its payments prove nothing.
    pub node_is_shared: bool,
    /// How much later than its id's time an attempt may have been committed.
    pub commit_delay: Millis,
    /// How long a new server stays unverified while a process that was seen lately has not read its marks
    /// there: longer than that may need to find the server.
    pub patience: Millis,
    /// The longest that a send can take to show at the node: then it is looked at once more.
    pub hold: Millis,
}

/// Verifies that the database lost no commits, and fences the instance if it did.
pub struct DatabaseVerifier {
    store: Arc<dyn Store>,
    node: Option<NodeAccess>,
    runtime: Runtime,
    options: VerifierOptions,
    /// One pass at a time: what one has found missing, another one may have fenced.
    passes: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// On the monotonic clock.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// When the marks are read again, though nothing asks for it.
    marks_at: Option<Millis>,
    /// The server that is not verified yet, and since when.
    unverified: Option<(Server, Millis)>,
    /// The server that this process has compared with the node, and the time since which: of the first look,
    /// since what is accepted meanwhile makes a later one too short.
    compared: Option<(Server, Timestamp)>,
    /// When it does so again.
    again_at: Option<Millis>,
    /// The fence that it has heard of.
    fenced_at: Option<Timestamp>,
    told_of_permission: bool,
}

impl DatabaseVerifier {
    /// A verifier of this process. Without a node it reads the process's marks; that a server is verified is
    /// for a process with a node to say.
    pub fn new(
        store: Arc<dyn Store>,
        node: Option<NodeAccess>,
        runtime: Runtime,
        options: VerifierOptions,
    ) -> Self {
        let (passes, state) = (tokio::sync::Mutex::default(), Mutex::default());
        Self { store, node, runtime, options, passes, state }
    }

    /// One pass: nothing to do as long as the same server answers, but for a look each minute.
    pub async fn run_once(&self) -> Result<(), LookupError> {
        let _only = self.passes.lock().await;
        let SeenServer { server, verified, fenced_at } = self.store.server().await?;
        self.meet(server, fenced_at).await?;
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
            // What an operator has looked at since is not asked about again.
            Some((_, since)) => self.acknowledged_at().await?.map_or(since, |at| since.max(at)),
            None => self.unknown_since(node).await?,
        };
        // The second look is for what the node shows late. A fence that stands is enough for that: a later
        // one would withhold what was created meanwhile.
        let fenced = lost || verified && fenced_at.is_some();
        if !fenced && self.compare(node, since).await? {
            self.fence(FenceReason::UnknownPayments).await?;
        }
        if !verified && !self.store.verify(server, self.runtime.clock.now()).await? {
            // Yet another one answers.
            return Ok(());
        }
        self.locked(|state| {
            state.unverified = None;
            state.compared = Some((server, since));
            // What was sent just before the server was lost may not have shown yet.
            state.again_at = compared.is_none().then(|| now.plus(self.options.hold));
        });
        Ok(())
    }

    /// Meets a server that is new. The same when the instance was fenced since: one that was put back to a
    /// snapshot says that it is the one of before.
    async fn meet(&self, server: Server, fenced_at: Option<Timestamp>) -> Result<(), StoreError> {
        let heard = self.locked(|state| state.fenced_at);
        if !self.store.has_met(server) || fenced_at.is_some() && fenced_at != heard {
            let inherited = self.inherited().await?;
            self.store.meet(server, inherited);
        }
        self.locked(|state| state.fenced_at = fenced_at);
        Ok(())
    }

    /// Reads this process's marks. Fences, and returns true, if an acknowledged commit is missing.
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
                    // What is closed from here on is closed on a server that has lost sends.
                    let inherited = self.inherited().await?;
                    self.store.meet(server, inherited);
                }
                // What said so was another server: a standby that lagged behind, say.
                Err(StoreError::Stale) => {}
                Err(error) => return Err(error),
            }
            // For the others to see that this one has looked.
            self.store.lost_commits().await?;
        }
        self.locked(|state| state.marks_at = Some(now.plus(MARKS_EVERY)));
        Ok(is_lost)
    }

    /// Whether the node knows payments that the database does not. However long that takes, the marks are
    /// read meanwhile: another process may wait for it on yet another server.
    async fn compare(&self, node: &NodeAccess, since: Timestamp) -> Result<bool, LookupError> {
        let mut comparing = std::pin::pin!(self.node_knows_more(node, since));
        loop {
            tokio::select! {
                biased;
                knows_more = &mut comparing => return knows_more,
                () = self.runtime.clock.sleep(MEANWHILE) => {
                    let SeenServer { server, verified, fenced_at } = self.store.server().await?;
                    self.meet(server, fenced_at).await?;
                    let now = self.runtime.clock.monotonic();
                    self.read_marks(server, verified, now).await?;
                }
            }
        }
    }

    async fn acknowledged_at(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.store.known_from(self.runtime.clock.now()).await?.acknowledged_at)
    }

    /// Whether another process, which may miss something, has not looked at the new server yet. One that
    /// is silent for long is taken for dead.
    async fn waits_for_others(&self, server: Server, now: Millis) -> Result<bool, StoreError> {
        let since = self.locked(|state| match state.unverified {
            Some((seen, since)) if seen == server => since,
            Some(_) | None => {
                state.unverified = Some((server, now));
                now
            }
        });
        if self.store.yet_to_read_marks(server, LATELY).await? == 0 {
            return Ok(false);
        }
        Ok(now < since.plus(self.options.patience))
    }

    /// The attempts that another server may have known more about.
    async fn inherited(&self) -> Result<Option<Inherited>, StoreError> {
        let now = self.runtime.clock.now();
        let newest = self.store.known_from(now).await?.newest_accepted_at;
        let over_at = now.plus(self.options.hold);
        let sequence = self.store.last_send().await?;
        Ok(newest.map(|newest| Inherited { newest, over_at, sequence }))
    }

    /// Since when the node may know payments that the database does not. (Also of a shared one: an operator
    /// who fences by hand asks what it paid since the first start.)
    async fn unknown_since(&self, node: &NodeAccess) -> Result<Timestamp, StoreError> {
        node.unknown_since(self.options.commit_delay, self.runtime.clock.now()).await
    }

    /// Whether it does.
    async fn node_knows_more(
        &self,
        node: &NodeAccess,
        since: Timestamp,
    ) -> Result<bool, LookupError> {
        if self.options.node_is_shared {
            return Ok(false);
        }
        match node.unknown_payments(since).await {
            Ok(unknown) => Ok(!unknown.is_empty()),
            Err(LookupError::Node(NodeError::NotPermitted(call))) => {
                if !self.locked(|state| std::mem::replace(&mut state.told_of_permission, true)) {
                    tracing::warn!(
                        call,
                        "the node's payments cannot be compared with the database's: a restored \
                         backup is not noticed; permit the call, or set node.shared"
                    );
                }
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Also where a later fence stands. [`StoreError::Stale`] if no mark is lost after all.
    async fn fence(&self, reason: FenceReason) -> Result<(), StoreError> {
        let act = Act { by: Actor::service(reason.name()), at: self.runtime.clock.now() };
        self.store.turn(&Turn::Fence(reason, act)).await?;
        tracing::error!(
            reason = reason.name(),
            "FENCED: the database has lost commits; nothing is claimed or sent until an operator \
             has looked (withdrawd acknowledge-restore)"
        );
        Ok(())
    }

    fn locked<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock())
    }
}

/// What was told and is not there: the newest tell where to look in the logs.
fn log_lost(lost: &LostCommits) {
    let kinds: Vec<String> =
        lost.kinds.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
    tracing::error!(
        lost = kinds.join(", "),
        newest = lost.newest.join(" "),
        "the database lacks commits that this process has told its callers of"
    );
}
