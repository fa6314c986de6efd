//! Asks the node what it can pay, and writes it down for every process, those without any credential
//! included; and tells when the instance stops to accept claims, and when it accepts them again.

use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{Job, JobError};
use crate::{
    domain::{
        FeePolicy, Halt, Heartbeat, Millis, NodeId, NodeTrouble, PayingLimits, Standing, Timestamp,
        TroubleKind,
    },
    lookup::{LookupError, NodeAccess},
    ports::{OverdueSends, Store, StoreError},
    runtime::Runtime,
};

/// So many sends in a row without an answer, and nothing new is accepted or sent: the node may be unable
/// to store payments, though it answers everything else.
const UNANSWERED_MOST: i64 = 3;

/// By what the node's word is judged.
#[derive(Clone, Copy, Debug)]
pub struct HeartbeatOptions {
    /// What the whole instance may pay.
    pub limits: PayingLimits,
    /// What routing may cost.
    pub fees: FeePolicy,
    /// A send that was not answered for so long is overdue.
    pub answer_overdue: Millis,
    /// How often the node is asked.
    pub every: Millis,
}

/// The heartbeat pass.
pub struct Heartbeats {
    store: Arc<dyn Store>,
    node: NodeAccess,
    options: HeartbeatOptions,
    runtime: Runtime,
    /// What was told last.
    told: Mutex<Option<Halt>>,
    /// One pass at a time: of two, the one that had asked first could write last.
    turn: tokio::sync::Mutex<()>,
}

impl Heartbeats {
    /// Of this node, into this store.
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
            told: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// Asks once. A node that is silent leaves its last heartbeat to grow old.
    pub async fn beat(&self) -> Result<(), LookupError> {
        let _turn = self.turn.lock().await;
        let beaten = self.ask().await;
        let mut standing = self.store.standing(self.options.limits.clock_skew, None).await?;
        let trouble = match &beaten {
            Ok(trouble) => trouble.clone(),
            Err(LookupError::Node(error)) => Some(error.trouble()),
            // Of the node nothing new is known.
            Err(LookupError::Store(_)) => standing.trouble.clone(),
        };
        if trouble != standing.trouble {
            self.store.report_trouble(trouble.as_ref(), self.runtime.clock.now()).await?;
            standing.trouble = trouble;
        }
        self.tell(&standing);
        beaten.map(drop)
    }

    /// Asks the node, and writes down what it says. What is wrong although it answers, if anything is.
    async fn ask(&self) -> Result<Option<NodeTrouble>, LookupError> {
        // Before the node is asked: what it says holds since then.
        let at = self.runtime.clock.now();
        let health = self.node.node.health().await?;
        let paying = self.node.verifier.paying_node().await?;
        let seen = health.introduction;
        if seen.id != paying {
            // Told already by whoever keeps the trust.
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
        self.store.beat(&beat).await?;
        self.node.node.try_permissions().await?;
        Ok(None)
    }

    /// Whether the node answers what it is sent. Where it does not, a write witness is asked for: its
    /// answer is the first sign that the node pays again.
    async fn answers_sends(&self, node: &NodeId, at: Timestamp) -> Result<bool, StoreError> {
        let most = UNANSWERED_MOST;
        let overdue =
            OverdueSends { begun_before: at.minus(self.options.answer_overdue), now: at, most };
        let answers = self.store.unanswered_in_a_row(node, overdue).await? < most;
        if !answers {
            // Not waited for: what the node says of itself would grow old meanwhile.
            self.node.witness.make_beside();
        }
        Ok(answers)
    }

    fn tell(&self, standing: &Standing) {
        let halt = self.halt(standing);
        let mut told = self.told.lock();
        if *told == halt {
            return;
        }
        let trouble = standing.trouble.as_ref();
        match halt {
            Some(halt @ Halt::ChannelsFull) => {
                let in_flight = standing.in_flight;
                tracing::error!(in_flight, halt = halt.name(), "too many payments are in flight");
            }
            Some(halt @ Halt::NodeForgot) => {
                tracing::error!(
                    halt = halt.name(),
                    "the node was restored or wiped, or its records deleted"
                );
            }
            Some(halt @ Halt::NodeNotPaying) => {
                tracing::error!(
                    halt = halt.name(),
                    "the node does not answer sends, though it answers look-ups: its database may take \
                     no writes"
                );
            }
            Some(halt @ Halt::NodeNotPermitted) => {
                let why = trouble.map(tracing::field::display);
                tracing::error!(
                    halt = halt.name(),
                    why,
                    "nothing can be paid until this is mended"
                );
            }
            Some(halt) => {
                let why = trouble.map(tracing::field::display);
                tracing::warn!(halt = halt.name(), why, "nothing new is accepted");
            }
            None => tracing::info!("claims are accepted again"),
        }
        *told = halt;
    }

    fn halt(&self, standing: &Standing) -> Option<Halt> {
        Halt::of_all(standing.room(
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
