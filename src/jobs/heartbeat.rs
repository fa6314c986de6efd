//! Asks the node what it can pay, and stores the answer for every process, including those without
//! credentials for the node. Logs when the instance stops accepting claims, and when it accepts them again.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Job, JobError};
use crate::{
    domain::{
        FeePolicy, HaltReason, Heartbeat, InstanceStatus, Millis, NodeId, NodeTrouble,
        PayingLimits, Timestamp, TroubleKind,
    },
    lookup::{LookupError, NodeAccess},
    ports::{OverdueSends, Store, StoreError},
    runtime::Runtime,
};

/// After this many consecutive unanswered sends, new claims and sends stop: the node may be unable to store
/// payments although it answers everything else.
const MAX_UNANSWERED: i64 = 3;

/// The limits that the node's answers are judged by.
#[derive(Clone, Copy, Debug)]
pub struct HeartbeatOptions {
    /// What the whole instance may pay.
    pub limits: PayingLimits,
    /// What routing may cost.
    pub fees: FeePolicy,
    /// A send that was not answered within this time is overdue.
    pub answer_overdue: Millis,
    /// How often the node is asked.
    pub every: Millis,
}

/// The heartbeat job.
pub struct Heartbeats {
    store: Arc<dyn Store>,
    node: NodeAccess,
    options: HeartbeatOptions,
    runtime: Runtime,
    /// The reason that was logged last, if claims were refused.
    logged: Mutex<Option<HaltReason>>,
    /// Serializes runs: of two concurrent ones, the older answer of the node could be stored last.
    running: tokio::sync::Mutex<()>,
}

impl Heartbeats {
    /// From this node, into this store.
    pub fn new(
        store: Arc<dyn Store>,
        node: NodeAccess,
        options: HeartbeatOptions,
        runtime: Runtime,
    ) -> Self {
        Self {
            store,
            node,
            options,
            runtime,
            logged: Mutex::default(),
            running: tokio::sync::Mutex::default(),
        }
    }

    /// Asks once. If the node is silent, its last heartbeat grows stale.
    pub async fn beat(&self) -> Result<(), LookupError> {
        let _only = self.running.lock().await;
        let beaten = self.ask().await;
        let mut status = self.store.instance_status(self.options.limits.clock_skew, None).await?;
        let trouble = match &beaten {
            Ok(trouble) => trouble.clone(),
            Err(LookupError::Node(error)) => Some(error.trouble()),
            // Nothing new is known about the node.
            Err(LookupError::Store(_)) => status.trouble.clone(),
        };
        if trouble != status.trouble {
            self.store.report_trouble(trouble.as_ref(), self.runtime.clock.now()).await?;
            status.trouble = trouble;
        }
        self.log_change(&status);
        beaten.map(drop)
    }

    /// Asks the node and stores its answer. Returns the trouble of a node that answers but cannot be used.
    async fn ask(&self) -> Result<Option<NodeTrouble>, LookupError> {
        // Read before the node is asked: the answer is at least as recent as this.
        let at = self.runtime.clock.now();
        let health = self.node.node.health().await?;
        let paying = self.node.verifier.paying_node().await?;
        let seen = health.introduction;
        if seen.id != paying {
            // Logged already by the node verifier.
            return Ok(Some(TroubleKind::OtherNode.into()));
        }
        let remembers = self.node.verifier.has_memory(&seen).await?;
        let answers_sends = self.answers_sends(&seen.id, at).await?;
        let beat = Heartbeat {
            node: seen.id,
            alias: seen.alias,
            network: seen.network,
            at,
            synced: health.synced,
            remembers,
            answers_sends,
            can_send: health.can_send,
            active_channels: health.active_channels.into(),
            busiest_channel_htlcs: health.busiest_channel_htlcs.into(),
        };
        self.store.store_heartbeat(&beat).await?;
        self.node.node.try_permissions().await?;
        Ok(None)
    }

    /// Whether the node answers sends. If not, a write witness is requested: its answer is the first sign
    /// that the node can pay again.
    async fn answers_sends(&self, node: &NodeId, at: Timestamp) -> Result<bool, StoreError> {
        let most = MAX_UNANSWERED;
        let overdue =
            OverdueSends { begun_before: at.minus(self.options.answer_overdue), now: at, most };
        let answers = self.store.unanswered_in_a_row(node, overdue).await? < most;
        if !answers {
            // Not awaited: a node that stores nothing may take long, and this heartbeat would be late.
            self.node.witness.make_in_background();
        }
        Ok(answers)
    }

    fn log_change(&self, status: &InstanceStatus) {
        let halt = self.halt_reason(status);
        let mut logged = self.logged.lock();
        if *logged == halt {
            return;
        }
        let trouble = status.trouble.as_ref();
        match halt {
            Some(halt @ HaltReason::ChannelsFull) => {
                let in_flight = status.in_flight;
                tracing::error!(in_flight, halt = halt.name(), "too many payments are in flight");
            }
            Some(halt @ HaltReason::NodeForgot) => {
                tracing::error!(
                    halt = halt.name(),
                    "the node was restored or wiped, or its records were deleted"
                );
            }
            Some(halt @ HaltReason::NodeNotPaying) => {
                tracing::error!(
                    halt = halt.name(),
                    "the node does not answer sends, though it answers lookups: its database may refuse \
                     writes"
                );
            }
            Some(halt @ HaltReason::NodeNotPermitted) => {
                let why = trouble.map(tracing::field::display);
                tracing::error!(halt = halt.name(), why, "nothing can be paid until this is fixed");
            }
            Some(halt) => {
                let why = trouble.map(tracing::field::display);
                tracing::warn!(halt = halt.name(), why, "new claims are refused");
            }
            None => tracing::info!("claims are accepted again"),
        }
        *logged = halt;
    }

    fn halt_reason(&self, status: &InstanceStatus) -> Option<HaltReason> {
        HaltReason::of_all(status.capacity(
            &self.options.limits,
            &self.options.fees,
            self.runtime.clock.now(),
        ))
    }
}

#[async_trait]
impl Job for Heartbeats {
    fn name(&self) -> &'static str {
        "heartbeat"
    }

    fn every(&self) -> Millis {
        self.options.every
    }

    async fn run_once(&self) -> Result<(), JobError> {
        self.beat().await?;
        Ok(())
    }
}
