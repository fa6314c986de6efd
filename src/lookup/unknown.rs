//! The node's payments since the store's last one that the store does not know.

use super::{LookupError, NodeVerifier};
use crate::{
    domain::{Millis, Timestamp, can_be_ours, payment::RecordState},
    ports::{LightningNode, ListedPayment, NodeError, PaymentsQuery, Store, StoreError},
};

/// Payments per page of the node's list.
const PAGE: u32 = 100;
/// The most that are listed at once.
pub const MAX_UNKNOWN: usize = 1000;

/// Payments of the node that the database does not know.
#[derive(Clone, Debug)]
pub struct UnknownPayments {
    /// At most [`MAX_UNKNOWN`], in the node's order.
    pub payments: Vec<ListedPayment>,
    /// There are more: those after this index of the node.
    pub more_after: Option<u64>,
}

/// Those since `created_from`, after an index of the node, that succeeded, are in flight, or failed with a
/// lost HTLC result. Any other failed payment moved no money.
pub(super) async fn payments(
    store: &dyn Store,
    node: &dyn LightningNode,
    verifier: &NodeVerifier,
    created_from: Timestamp,
    mut after_index: u64,
) -> Result<UnknownPayments, LookupError> {
    let paying = verifier.paying_node().await?;
    let mut payments: Vec<ListedPayment> = Vec::new();
    loop {
        let query =
            PaymentsQuery { created_from, created_to: Timestamp::MAX, after_index, limit: PAGE };
        let page = node.payments(query).await?;
        if page.node != paying {
            return Err(NodeError::OtherNode { found: page.node, expected: paying }.into());
        }
        let Some(last) = page.payments.last() else {
            return Ok(UnknownPayments { payments, more_after: None });
        };
        after_index = last.index;
        for payment in page.payments {
            let failed = matches!(payment.record.state, RecordState::Failed(_));
            if failed
                || !can_be_ours(&payment.invoice, &paying)
                || store.knows(payment.record.payment_hash).await?
            {
                continue;
            }
            if payments.len() == MAX_UNKNOWN {
                let more_after = payments.last().map(|last| last.index);
                return Ok(UnknownPayments { payments, more_after });
            }
            payments.push(payment);
        }
    }
}

/// Earlier attempts are in the database, or an operator has acknowledged them. While the database is
/// unverified or fenced no attempt is accepted, so the newest one still marks where the loss began.
pub(super) async fn since(
    store: &dyn Store,
    commit_delay: Millis,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    let known = store.known_from(now).await?;
    let newest = store.newest_committed(now).await?.map(|at| at.minus(commit_delay));
    Ok(known.first_started_at.max(known.acknowledged_at).max(newest).unwrap_or(now))
}
