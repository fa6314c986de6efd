//! Asks the node what it can pay, and writes it down for every process, those without any credential
//! included; and tells when the instance stops to accept claims, and when it accepts them again.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    domain::{
        FeePolicy, Halt, Heartbeat, Millis, NodeId, NodeTrouble, PayingLimits, Standing, Timestamp,
        TroubleKind,
    },
    ports::{LightningNode, OverdueSends, Store, StoreError},
    runtime::Runtime,
    service::{Distrust, NodeTrust, WriteWitness},
};

/// So many sends in a row without an answer, and nothing new is accepted or sent: the node may be unable
/// to store payments, though it answers everything else.
const UNANSWERED_MOST: i64 = 3;

/// The heartbeat pass.
pub struct Heartbeats {
    store: Arc<dyn Store>,
    node: Arc<dyn LightningNode>,
    trust: Arc<NodeTrust>,
    witness: Arc<WriteWitness>,
    limits: PayingLimits,
    fees: FeePolicy,
    /// A send is overdue after this.
    answer_overdue: Millis,
    runtime: Runtime,
    /// What was told last.
    told: Mutex<Option<Halt>>,
    /// One pass at a time: of two, the one that had asked first could write last.
    turn: tokio::sync::Mutex<()>,
}

impl std::fmt::Debug for Heartbeats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heartbeats").finish_non_exhaustive()
    }
}

impl Heartbeats {
    /// Of this node, into this store.
    pub fn new(
        store: Arc<dyn Store>,
        node: Arc<dyn LightningNode>,
        (trust, witness): (Arc<NodeTrust>, Arc<WriteWitness>),
        (limits, fees): (PayingLimits, FeePolicy),
        answer_overdue: Millis,
        runtime: Runtime,
    ) -> Self {
        Self {
            store,
            node,
            trust,
            witness,
            limits,
            fees,
            answer_overdue,
            runtime,
            told: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// One pass. A node that is silent leaves its last heartbeat to grow old.
    pub async fn run_once(&self) -> Result<(), Distrust> {
        let _turn = self.turn.lock().await;
        let beaten = self.beat().await;
        let mut standing = self.store.standing(self.limits.clock_skew, None).await?;
        let trouble = match &beaten {
            Ok(trouble) => trouble.clone(),
            Err(Distrust::Node(error)) => Some(error.trouble()),
            // Of the node nothing new is known.
            Err(Distrust::Store(_)) => standing.trouble.clone(),
        };
        if trouble != standing.trouble {
            self.store.report_trouble(trouble.as_ref(), self.runtime.clock.now()).await?;
            standing.trouble = trouble;
        }
        self.tell(&standing);
        beaten.map(drop)
    }

    /// Asks the node, and writes down what it says. What is wrong although it answers, if anything is.
    async fn beat(&self) -> Result<Option<NodeTrouble>, Distrust> {
        // Before the node is asked: what it says holds since then.
        let at = self.runtime.clock.now();
        let health = self.node.health().await?;
        let paying = self.trust.paying_node().await?;
        let seen = health.introduction;
        if seen.id != paying {
            // Told already by whoever keeps the trust.
            return Ok(Some(TroubleKind::OtherNode.into()));
        }
        let remembers = self.trust.has_memory(&seen).await?;
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
        self.node.try_permissions().await?;
        Ok(None)
    }

    /// Whether the node answers what it is sent. Where it does not, a write witness is asked for: its
    /// answer is the first sign that the node pays again.
    async fn answers_sends(&self, node: &NodeId, at: Timestamp) -> Result<bool, StoreError> {
        let most = UNANSWERED_MOST;
        let overdue = OverdueSends { begun_before: at.minus(self.answer_overdue), now: at, most };
        let answers = self.store.unanswered_in_a_row(node, overdue).await? < most;
        if !answers {
            // Not waited for: what the node says of itself would grow old meanwhile.
            self.witness.make_beside();
        }
        Ok(answers)
    }

    fn tell(&self, standing: &Standing) {
        let halt = self.halt(standing);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
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
        Halt::of_all(standing.room(&self.limits, &self.fees, self.runtime.clock.now()))
    }
}
