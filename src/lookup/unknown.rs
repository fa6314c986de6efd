//! The node's payments since the store's last one that the store does not know.

use super::{LookupError, NodeVerifier};
use crate::{
    domain::{Millis, Timestamp, can_be_ours, payment::RecordState},
    ports::{LightningNode, ListedPayment, NodeError, PaymentsQuery, Store, StoreError},
};

/// Payments per page of the node's list.
const PAGE: u32 = 100;
/// Once this many are found, the rest is left out.
const MAX_LISTED: usize = 1000;

/// Those since `created_from` that succeeded, are in flight, or failed with a lost HTLC result. Any other
/// failed payment moved no money.
pub(super) async fn payments(
    store: &dyn Store,
    node: &dyn LightningNode,
    verifier: &NodeVerifier,
    created_from: Timestamp,
) -> Result<Vec<ListedPayment>, LookupError> {
    let paying = verifier.paying_node().await?;
    let mut unknown = Vec::new();
    let mut after_index = 0;
    loop {
        let query =
            PaymentsQuery { created_from, created_to: Timestamp::MAX, after_index, limit: PAGE };
        let page = node.payments(query).await?;
        if page.node != paying {
            return Err(NodeError::OtherNode { found: page.node, expected: paying }.into());
        }
        let Some(last) = page.payments.last() else {
            return Ok(unknown);
        };
        after_index = last.index;
        for payment in page.payments {
            let failed = matches!(payment.record.state, RecordState::Failed(_));
            if !failed
                && can_be_ours(&payment.invoice, &paying)
                && !store.knows(payment.record.payment_hash).await?
            {
                unknown.push(payment);
            }
        }
        if unknown.len() >= MAX_LISTED {
            return Ok(unknown);
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
