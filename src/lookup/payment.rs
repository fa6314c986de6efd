//! Looks a payment up at the node, for the payer and for an operator's decision alike.
//!
//! Whether a send can still take effect is read *before* the node is asked. Read afterwards, it could be
//! newer than the answer, and a "not found" from before a send's arrival would close its attempt. This module
//! gathers the evidence; the domain decides what follows from it.

use std::sync::Arc;

use super::{ClockMonitor, ClockReading, LookupError, LookupOptions, NodeVerifier};
use crate::{
    domain::{
        ClockBounds, Millis, NodeId, Timestamp,
        payment::{
            Advance, LookupEvidence, NodeReport, Payment, Pending, PendingFacts, Record, Reopening,
            SendLimits, State, Stranding, Unanswered, next_lookup,
        },
    },
    ports::{Connection, Inherited, Leased, LightningNode, NodeError, Server, Store, StoreError},
    report::chain,
    runtime::Runtime,
};

/// Looks payments up.
pub struct PaymentLookup {
    store: Arc<dyn Store>,
    node: Arc<dyn LightningNode>,
    runtime: Runtime,
    verifier: Arc<NodeVerifier>,
    clocks: ClockMonitor,
    options: LookupOptions,
}

/// What a lookup found, and when.
pub struct LookupResult {
    /// The node's report, and all that decides whether it counts.
    pub evidence: LookupEvidence,
    /// The node's record, unchanged.
    pub record: Option<Record>,
    /// The node that pays.
    pub paying: NodeId,
    /// The connection on which it answered.
    pub connection: Connection,
    /// The database server on which all of it was judged; none if none is registered yet.
    pub server: Option<Server>,
    /// Read after the answer. Settled only if they were settled before it too.
    pub clocks: ClockReading,
}

/// What was read before the node is asked.
pub struct LookupStart {
    /// The clocks.
    pub clocks: ClockReading,
    /// The database server that this process last registered.
    pub server: Option<Server>,
    /// Whether a send of the payment can still take effect.
    pub pending: Pending,
}

impl PaymentLookup {
    pub(super) fn new(
        store: Arc<dyn Store>,
        node: Arc<dyn LightningNode>,
        runtime: Runtime,
        verifier: Arc<NodeVerifier>,
        options: LookupOptions,
    ) -> Self {
        let SendLimits { clock_skew, node_slack, .. } = options.limits;
        let hold = options.send_life.plus(clock_skew).plus(node_slack);
        let clocks = ClockMonitor::new(clock_skew, hold);
        // Sets the baseline: jumps from here on are detected.
        clocks.is_settled(runtime.clock.now(), runtime.clock.monotonic());
        Self { store, node, runtime, verifier, clocks, options }
    }

    /// Reads all clocks.
    pub async fn clocks(&self) -> Result<ClockReading, StoreError> {
        self.clocks.read(&*self.runtime.clock, &*self.store).await
    }

    /// The node that pays.
    pub async fn paying_node(&self) -> Result<NodeId, LookupError> {
        self.verifier.paying_node().await
    }

    /// Reads what must be known of a payment before the node is asked about it.
    pub async fn begin(&self, payment: &Payment) -> Result<LookupStart, StoreError> {
        let clocks = self.clocks().await?;
        let registered = self.store.registered_server();
        let settled = clocks.settled && registered.is_some();
        let carried_over = registered.and_then(|(_, inherited)| carried_over(payment, inherited));
        let LookupOptions { limits, send_life, .. } = &self.options;
        let unanswered = payment.unanswered(carried_over, &self.reopening(), *send_life, limits);
        let mut facts =
            PendingFacts { earlier: clocks.earlier, settled, unanswered, witnessed: false };
        let mut pending = payment.pending(&facts, limits);
        if let (Pending::Unwitnessed, Some(sends)) = (pending, unanswered) {
            facts.witnessed = self.is_witnessed(payment, &sends, clocks.earlier).await?;
            pending = payment.pending(&facts, limits);
        }
        Ok(LookupStart { clocks, server: registered.map(|(server, _)| server), pending })
    }

    /// Whether a write witness for these sends was seen.
    async fn is_witnessed(
        &self,
        payment: &Payment,
        sends: &Unanswered,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let node = match payment.node() {
            Some(node) => Some(node.clone()),
            // No row of a send exists: the only send to wait for is one that was lost with a previous
            // database server.
            None => self.store.current_node().await?,
        };
        match node {
            Some(node) => self.store.is_witnessed(&node, sends, now).await,
            None => Ok(false),
        }
    }

    /// Looks a payment up.
    pub async fn look_up(
        &self,
        leased: &Leased,
        began: &LookupStart,
    ) -> Result<LookupResult, LookupError> {
        let payment = &leased.payment;
        let limits = &self.options.limits;
        let paying = self.paying_node().await?;
        let found = self.node.look_up(payment.payment_hash).await?;
        let report = NodeReport::of(found.record.as_ref(), payment, limits.clock_skew);
        let absent_or_failed = matches!(report, NodeReport::NotFound | NodeReport::Failed(..));
        let trust = self.verifier.judge(payment, &paying, &found, absent_or_failed).await?;
        let may_send = matches!(payment.state, State::Reserved | State::Sending);
        let halted = absent_or_failed && may_send && self.sends_are_stopped(leased).await;
        let in_vain_since = match began.pending {
            Pending::Unwitnessed => self.store.in_vain_since(&paying, began.clocks.earlier).await?,
            Pending::Over | Pending::Until(_) | Pending::Unsettled => None,
        };
        // Whether it is too late is judged after the answer, by the later clock.
        let late = self.clocks().await?;
        let settled = began.clocks.settled && late.settled && began.server.is_some();
        let evidence = LookupEvidence {
            report,
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
        Ok(LookupResult { evidence, record, paying, connection, server, clocks })
    }

    /// Whether nothing may be sent for this attempt now: the instance is paused or fenced, the node does
    /// not answer sends, its channels are full, or the request is withheld after a fence, since a lost
    /// payment may have paid it. Waiting attempts are still looked up, so that one that waits too long is
    /// closed as failed. The database checks pause and fence again when it commits the send.
    async fn sends_are_stopped(&self, leased: &Leased) -> bool {
        let paying = &self.options.paying;
        if leased.withdraw.withheld {
            return true;
        }
        match self.store.instance_status(paying.clock_skew, None).await {
            Ok(status) => status.sends_nothing(paying),
            Err(error) => {
                let payment = leased.payment.id;
                tracing::warn!(%payment, error = %chain(&error),
                    "not sent: could not read the instance's status");
                true
            }
        }
    }

    /// Whether the database server already held the payment when this process registered it: a send that
    /// was lost with the previous server may restart the payment.
    pub fn is_older_than_server(&self, payment: &Payment) -> bool {
        let registered = self.store.registered_server();
        registered.is_some_and(|(_, inherited)| carried_over(payment, inherited).is_some())
    }

    /// The database server that this process last registered.
    pub fn server(&self) -> Option<Server> {
        self.store.registered_server().map(|(server, _)| server)
    }

    /// Whether a channel holds an HTLC of a payment that the node reports as in flight.
    pub async fn stranding(&self, payment: &Payment) -> Result<Stranding, NodeError> {
        let held = self.node.has_htlc(payment.payment_hash).await?;
        Ok(if held { Stranding::Held } else { Stranding::NotHeld })
    }

    /// How far clocks may disagree.
    pub const fn clock_skew(&self) -> Millis {
        self.options.limits.clock_skew
    }

    /// When a failed attempt releases its request, at this node.
    pub fn reopening(&self) -> Reopening {
        let traits = self.node.traits();
        Reopening {
            node_refuses_late_sends: traits.refuses_late_sends,
            node_refuses_expired_invoices: traits.refuses_expired_invoices,
            clock_skew: self.options.limits.clock_skew,
            claim_grace: self.options.claim_grace,
        }
    }

    /// When to look a payment up next.
    pub fn next_lookup(
        &self,
        payment: &Payment,
        lookups: i64,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let jitter = self.runtime.jitter();
        next_lookup(payment, lookups, now, jitter, &self.options.pace, &self.options.limits)
    }

    /// Schedules the next lookup.
    pub fn scheduled(&self, advance: Advance, now: Timestamp) -> Advance {
        let due_at = self.next_lookup(&advance.payment, 0, now);
        Advance { due_at, ..advance }
    }
}

/// The sends of a payment that may have been lost with another database server.
fn carried_over(payment: &Payment, inherited: Option<Inherited>) -> Option<Unanswered> {
    let inherited = inherited.filter(|inherited| payment.id.created() <= inherited.newest)?;
    Some(Unanswered { until: inherited.over_at, sequence: Some(inherited.sequence) })
}
