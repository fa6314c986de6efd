//! Asking the node about a payment: what the payer's looks and an operator's decision share.
//!
//! Whether a send can still take effect is judged by what was read *before* the node is asked: an
//! earlier look-up's answer changes nothing. Here facts are gathered; what follows from them is the
//! domain's.

use std::sync::Arc;

use super::{ClockMonitor, ClockReading, LookupError, LookupOptions, NodeVerifier};
use crate::{
    domain::{
        ClockBounds, Millis, NodeId, Timestamp,
        payment::{
            Advance, LookedUp, Payment, Pending, PendingFacts, Record, Reopening, SendLimits,
            State, Stranding, Unanswered, Word, next_look,
        },
    },
    ports::{Connection, Inherited, Leased, LightningNode, NodeError, Server, Store, StoreError},
    report::chain,
    runtime::Runtime,
};

/// Asks about payments.
pub struct PaymentLookup {
    store: Arc<dyn Store>,
    node: Arc<dyn LightningNode>,
    runtime: Runtime,
    trust: Arc<NodeVerifier>,
    clocks: ClockMonitor,
    options: LookupOptions,
}

/// What a look-up told, and when.
pub struct Look {
    /// The word, and whose it is.
    pub looked: LookedUp,
    /// The node's record as it came.
    pub record: Option<Record>,
    /// The node that pays.
    pub paying: NodeId,
    /// On which it answered.
    pub connection: Connection,
    /// The database server on which all of it was judged; none if it was not met.
    pub server: Option<Server>,
    /// Read after the answer; settled only if they were before it too.
    pub clocks: ClockReading,
}

/// What is known before the node is asked.
pub struct Began {
    /// The clocks.
    pub clocks: ClockReading,
    /// The database server that was met last.
    pub server: Option<Server>,
    /// Whether a send of the payment can still take effect.
    pub pending: Pending,
}

impl PaymentLookup {
    pub(super) fn new(
        store: Arc<dyn Store>,
        node: Arc<dyn LightningNode>,
        runtime: Runtime,
        trust: Arc<NodeVerifier>,
        options: LookupOptions,
    ) -> Self {
        let SendLimits { clock_skew, node_slack, .. } = options.limits;
        let hold = options.send_life.plus(clock_skew).plus(node_slack);
        let clocks = ClockMonitor::new(clock_skew, hold);
        // What jumps from here on is seen.
        clocks.is_settled(runtime.clock.now(), runtime.clock.monotonic());
        Self { store, node, runtime, trust, clocks, options }
    }

    /// Reads all clocks.
    pub async fn clocks(&self) -> Result<ClockReading, StoreError> {
        self.clocks.read(&*self.runtime.clock, &*self.store).await
    }

    /// The node that pays.
    pub async fn paying_node(&self) -> Result<NodeId, LookupError> {
        self.trust.paying_node().await
    }

    /// What is known of a payment before the node is asked about it.
    pub async fn begin(&self, payment: &Payment) -> Result<Began, StoreError> {
        let clocks = self.clocks().await?;
        let met = self.store.met();
        let settled = clocks.settled && met.is_some();
        let carried_over = met.and_then(|(_, inherited)| carried_over(payment, inherited));
        let LookupOptions { limits, send_life, .. } = &self.options;
        let unanswered = payment.unanswered(carried_over, &self.reopening(), *send_life, limits);
        let mut facts =
            PendingFacts { earlier: clocks.earlier, settled, unanswered, witnessed: false };
        let mut pending = payment.pending(&facts, limits);
        if let (Pending::Unwitnessed, Some(sends)) = (pending, unanswered) {
            facts.witnessed = self.is_witnessed(payment, &sends, clocks.earlier).await?;
            pending = payment.pending(&facts, limits);
        }
        Ok(Began { clocks, server: met.map(|(server, _)| server), pending })
    }

    /// Whether the node has shown since that it stores payments.
    async fn is_witnessed(
        &self,
        payment: &Payment,
        sends: &Unanswered,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let node = match payment.node() {
            Some(node) => Some(node.clone()),
            // Only a send that was lost with a database is waited for.
            None => self.store.current_node().await?,
        };
        match node {
            Some(node) => self.store.is_witnessed(&node, sends, now).await,
            None => Ok(false),
        }
    }

    /// Looks a payment up.
    pub async fn look(&self, leased: &Leased, began: &Began) -> Result<Look, LookupError> {
        let payment = &leased.payment;
        let limits = &self.options.limits;
        let paying = self.paying_node().await?;
        let found = self.node.look_up(payment.payment_hash).await?;
        let word = Word::of(found.record.as_ref(), payment, limits.clock_skew);
        let tells_nothing = matches!(word, Word::NotFound | Word::Failed(..));
        let trust = self.trust.judge(payment, &paying, &found, tells_nothing).await?;
        let may_send = matches!(payment.state, State::Reserved | State::Sending);
        let halted = tells_nothing && may_send && self.is_halted(leased).await;
        let in_vain_since = match began.pending {
            Pending::Unwitnessed => self.store.in_vain_since(&paying, began.clocks.earlier).await?,
            Pending::Over | Pending::Until(_) | Pending::Unsettled => None,
        };
        // Too late is judged after the answer, by the later clock.
        let late = self.clocks().await?;
        let settled = began.clocks.settled && late.settled && began.server.is_some();
        let looked = LookedUp {
            word,
            pending: began.pending,
            settled,
            too_late: payment.too_late(late.later),
            too_late_for_a_witness: payment.too_late_for_a_witness(
                ClockBounds { earlier: late.earlier, later: late.later },
                in_vain_since,
                limits,
            ),
            halted,
            trust,
            node_dedupes: self.node.traits().dedupes_by_hash,
            max_refusals: limits.max_refusals,
        };
        let (record, connection) = (found.record, found.connection);
        let (server, clocks) = (began.server, ClockReading { settled, ..late });
        Ok(Look { looked, record, paying, connection, server, clocks })
    }

    /// Whether nothing is sent now: a pause, a fence, a node that does not answer sends, channels full of
    /// payments in flight, or a request that a restored database may have forgotten to be paid. Those who
    /// wait are looked up meanwhile, so that whoever waits too long is told. Pause and fence are judged
    /// once more, by the database, when the send is committed.
    async fn is_halted(&self, leased: &Leased) -> bool {
        let paying = &self.options.paying;
        if leased.withdraw.withheld {
            return true;
        }
        match self.store.standing(paying.clock_skew, None).await {
            Ok(standing) => standing.sends_nothing(paying),
            Err(error) => {
                let payment = leased.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "does not send");
                true
            }
        }
    }

    /// Whether a lost send of this payment may start it anew: it came with the database server.
    pub fn is_carried_over(&self, payment: &Payment) -> bool {
        let met = self.store.met();
        met.is_some_and(|(_, inherited)| carried_over(payment, inherited).is_some())
    }

    /// The database server that was met last.
    pub fn server(&self) -> Option<Server> {
        self.store.met().map(|(server, _)| server)
    }

    /// Whether any channel holds what the node calls in flight.
    pub async fn stranding(&self, payment: &Payment) -> Result<Stranding, NodeError> {
        let held = self.node.has_htlc(payment.payment_hash).await?;
        Ok(if held { Stranding::Held } else { Stranding::NotHeld })
    }

    /// How far clocks may disagree.
    pub const fn clock_skew(&self) -> Millis {
        self.options.limits.clock_skew
    }

    /// When a failed attempt lets its request go, at this node.
    pub fn reopening(&self) -> Reopening {
        let traits = self.node.traits();
        Reopening {
            node_refuses_late_sends: traits.refuses_late_sends,
            node_refuses_expired_invoices: traits.refuses_expired_invoices,
            clock_skew: self.options.limits.clock_skew,
            claim_grace: self.options.claim_grace,
        }
    }

    /// When to look at a payment next.
    pub fn next_look(&self, payment: &Payment, looks: i64, now: Timestamp) -> Option<Timestamp> {
        let jitter = self.runtime.jitter();
        next_look(payment, looks, now, jitter, &self.options.pace, &self.options.limits)
    }

    /// Adds when to look again.
    pub fn scheduled(&self, advance: Advance, now: Timestamp) -> Advance {
        let due_at = self.next_look(&advance.payment, 0, now);
        Advance { due_at, ..advance }
    }
}

/// The sends of a payment that may have been lost with another database server.
fn carried_over(payment: &Payment, inherited: Option<Inherited>) -> Option<Unanswered> {
    let inherited = inherited.filter(|inherited| payment.id.created() <= inherited.newest)?;
    Some(Unanswered { until: inherited.over_at, sequence: Some(inherited.sequence) })
}
