//! Asking the node about a payment: what the payer's looks and an operator's decision share.
//!
//! Whether every send is over is judged by clocks that were read *before* the node is asked: an
//! earlier look-up's answer changes nothing.

use std::sync::Arc;

use super::{ClockGuard, Distrust, NodeTrust, PayerOptions, clocks::Reading};
use crate::{
    domain::{
        NodeId, Timestamp,
        payment::{
            Advance, LookedUp, Payment, Pending, Record, Reopening, SendLimits, Word, next_look,
        },
    },
    ports::{Connection, LightningNode, Store, StoreError},
    runtime::Runtime,
};

/// Asks about payments.
pub struct Inquiry {
    store: Arc<dyn Store>,
    node: Arc<dyn LightningNode>,
    runtime: Runtime,
    trust: Arc<NodeTrust>,
    clocks: ClockGuard,
    options: PayerOptions,
}

/// What a look-up told, and when.
pub(super) struct Look {
    /// The word, and whose it is.
    pub looked: LookedUp,
    /// The node's record as it came.
    pub record: Option<Record>,
    /// The node that pays.
    pub paying: NodeId,
    /// On which it answered.
    pub connection: Connection,
    /// Before it was asked.
    pub asked_at: Timestamp,
    /// Read after the answer; settled only if they were before it too.
    pub clocks: Reading,
}

impl std::fmt::Debug for Inquiry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inquiry").finish_non_exhaustive()
    }
}

impl Inquiry {
    pub(super) fn new(
        store: Arc<dyn Store>,
        node: Arc<dyn LightningNode>,
        runtime: Runtime,
        trust: Arc<NodeTrust>,
        options: PayerOptions,
    ) -> Self {
        let SendLimits { clock_skew, node_slack, .. } = options.limits;
        let hold = options.send_life.plus(clock_skew).plus(node_slack);
        let clocks = ClockGuard::new(clock_skew, hold);
        // What jumps from here on is seen.
        clocks.is_settled(runtime.clock.now(), runtime.clock.monotonic());
        Self { store, node, runtime, trust, clocks, options }
    }

    /// Reads all clocks.
    pub(super) async fn clocks(&self) -> Result<Reading, StoreError> {
        self.clocks.read(&*self.runtime.clock, &*self.store).await
    }

    /// The node that pays.
    pub(super) async fn paying_node(&self) -> Result<NodeId, Distrust> {
        self.trust.paying_node().await
    }

    /// Looks a payment up. `began` was read before.
    pub(super) async fn look(&self, payment: &Payment, began: &Reading) -> Result<Look, Distrust> {
        let limits = &self.options.limits;
        let over = payment.all_over(began.earlier, limits);
        let paying = self.paying_node().await?;
        let found = self.node.look_up(payment.payment_hash).await?;
        let word = Word::of(found.record.as_ref(), payment, limits.clock_skew);
        let tells_nothing = matches!(word, Word::NotFound | Word::Failed(..));
        let trust = self.trust.judge(payment, &paying, &found, tells_nothing).await?;
        // Too late is judged after the answer, by the later clock.
        let late = self.clocks().await?;
        let looked = LookedUp {
            word,
            over,
            too_late: payment.too_late(late.later),
            trust,
            node_dedupes: self.node.traits().dedupes_by_hash,
            max_errors: limits.max_errors,
        };
        let settled = began.settled && late.settled;
        let (record, connection) = (found.record, found.connection);
        let (asked_at, clocks) = (began.now, Reading { settled, ..late });
        Ok(Look { looked, record, paying, connection, asked_at, clocks })
    }

    /// When a failed attempt lets its request go, at this node.
    pub(super) fn reopening(&self) -> Reopening {
        let traits = self.node.traits();
        Reopening {
            node_refuses_late_sends: traits.refuses_late_sends,
            node_refuses_expired_invoices: traits.refuses_expired_invoices,
            clock_skew: self.options.limits.clock_skew,
            claim_grace: self.options.claim_grace,
        }
    }

    /// Whether a send can still reach the node, for an operator's decision.
    pub(super) fn pending(&self, payment: &Payment, began: &Reading, settled: bool) -> Pending {
        let PayerOptions { limits, send_life, .. } = &self.options;
        payment.pending(limits, &self.reopening(), *send_life, began.earlier, settled)
    }

    /// When to look at a payment next.
    pub(super) fn next_look(
        &self,
        payment: &Payment,
        looks: i64,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let jitter = self.runtime.jitter();
        next_look(payment, looks, now, jitter, &self.options.pace, &self.options.limits)
    }

    /// Adds when to look again.
    pub(super) fn scheduled(&self, advance: Advance, now: Timestamp) -> Advance {
        let due_at = self.next_look(&advance.payment, 0, now);
        Advance { due_at, ..advance }
    }
}
