//! The fence: a database that was restored from a backup, or failed over without its last commits, no
//! longer knows payments that were made, and would pay them again.
//!
//! So nothing is claimed or sent until this process has made sure, when it starts and each time that
//! another life of a database server answers, that (a) every send that it was told is durable is
//! there, and (b) the node knows no payment since the store's last one that the store does not. If
//! either fails the instance is fenced for all replicas, until an operator has looked.
//!
//! A process that died with the database may have left a send behind that nobody was told of. So the
//! attempts that the server came with are closed only when such a send would be over.
//!
//! Two primaries at once cannot be seen from here.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Distrust, NodeTrust, unknown::unknown_payments};
use crate::{
    domain::{Act, FenceReason, Millis, Turn},
    ports::{Inherited, LightningNode, NodeError, Store, StoreError},
    runtime::Runtime,
};

/// How the guard looks.
#[derive(Clone, Copy, Debug)]
pub struct GuardOptions {
    /// Other software pays from the node too: its payments prove nothing.
    pub node_is_shared: bool,
    /// How much later than its id's time an attempt may have been committed.
    pub commit_delay: Millis,
    /// The longest that a send can take to show at the node: then it is looked at once more.
    pub hold: Millis,
}

/// Makes sure of the database.
pub struct Guard {
    store: Arc<dyn Store>,
    node: Arc<dyn LightningNode>,
    trust: Arc<NodeTrust>,
    runtime: Runtime,
    options: GuardOptions,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// On the monotonic clock.
    again_at: Option<Millis>,
    told_of_permission: bool,
}

impl std::fmt::Debug for Guard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guard").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Guard {
    /// A guard of this process.
    pub fn new(
        store: Arc<dyn Store>,
        node: Arc<dyn LightningNode>,
        trust: Arc<NodeTrust>,
        runtime: Runtime,
        options: GuardOptions,
    ) -> Self {
        Self { store, node, trust, runtime, options, state: Mutex::default() }
    }

    /// One pass: nothing to do as long as the same server answers.
    pub async fn run_once(&self) -> Result<(), Distrust> {
        let server = self.store.server().await?;
        if !self.store.has_met(server) {
            let inherited = self.inherited().await?;
            self.store.meet(server, inherited);
        }
        let state = self.locked(|state| *state);
        let now = self.runtime.clock.monotonic();
        let known = self.store.trusts(server);
        if known && state.again_at.is_none_or(|at| now < at) {
            return Ok(());
        }
        // The second look is for what the node shows late. A fence that stands is enough for that: a later
        // one would withhold what was created meanwhile.
        let fenced = known && self.store.standing(Millis::ZERO, None).await?.fenced.is_some();
        if !fenced && let Some(reason) = self.loss().await? {
            self.fence(reason).await?;
        }
        if !known {
            self.store.trust(server);
        }
        self.locked(|state| {
            // What was sent just before the server was lost may not have shown yet.
            state.again_at = (!known).then(|| now.plus(self.options.hold));
        });
        Ok(())
    }

    /// The attempts that another server may have known more about.
    async fn inherited(&self) -> Result<Option<Inherited>, StoreError> {
        let now = self.runtime.clock.now();
        let [_, _, newest] = self.store.known_from(now).await?;
        let over_at = now.plus(self.options.hold);
        let sequence = self.store.last_send().await?;
        Ok(newest.map(|newest| Inherited { newest, over_at, sequence }))
    }

    /// What the database has lost, if anything shows that it has.
    async fn loss(&self) -> Result<Option<FenceReason>, Distrust> {
        if self.store.has_lost_a_send().await? {
            return Ok(Some(FenceReason::MarkLost));
        }
        let now = self.runtime.clock.now();
        if self.options.node_is_shared {
            // An operator who fences by hand asks what the node paid since the first start.
            self.store.known_from(now).await?;
            return Ok(None);
        }
        let found = unknown_payments(
            &*self.store,
            &*self.node,
            &self.trust,
            self.options.commit_delay,
            now,
        );
        match found.await {
            Ok(unknown) => Ok((!unknown.is_empty()).then_some(FenceReason::UnknownPayments)),
            Err(Distrust::Node(NodeError::NotPermitted(call))) => {
                if !self.locked(|state| std::mem::replace(&mut state.told_of_permission, true)) {
                    tracing::warn!(
                        call,
                        "the node's payments cannot be compared with the database's: a restored \
                         backup is not noticed; permit the call, or set node.shared"
                    );
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn fence(&self, reason: FenceReason) -> Result<(), StoreError> {
        let act = Act {
            operator: "withdrawd".to_owned(),
            reason: reason.name().to_owned(),
            at: self.runtime.clock.now(),
        };
        self.store.turn(&Turn::Fence(reason, act)).await?;
        tracing::error!(
            reason = reason.name(),
            "FENCED: the database has lost commits; nothing is claimed or sent until an operator \
             has looked (withdrawd acknowledge-restore)"
        );
        Ok(())
    }

    fn locked<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
