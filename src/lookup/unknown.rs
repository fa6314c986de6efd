//! The payments that the node made since the store's last one, and that the store does not know.

use super::{LookupError, NodeVerifier};
use crate::{
    domain::{Millis, Timestamp, can_be_ours, payment::RecordState},
    ports::{LightningNode, ListedPayment, NodeError, PaymentsQuery, Store, StoreError},
};

/// Of a page of the node's payments.
const PAGE: u32 = 100;
/// More than these are not told one by one.
const MOST: usize = 1000;

/// Those since `created_from` that succeeded or are on their way; a payment that failed moved nothing.
pub(super) async fn payments(
    store: &dyn Store,
    node: &dyn LightningNode,
    trust: &NodeVerifier,
    created_from: Timestamp,
) -> Result<Vec<ListedPayment>, LookupError> {
    let paying = trust.paying_node().await?;
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
        if unknown.len() >= MOST {
            return Ok(unknown);
        }
    }
}

/// Attempts that were accepted before are known, or were looked at by an operator. While the database
/// is not trusted no attempt is accepted, so that the newest one stays where the loss began.
pub(super) async fn since(
    store: &dyn Store,
    commit_delay: Millis,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    let known = store.known_from(now).await?;
    let newest = store.newest_committed(now).await?.map(|at| at.minus(commit_delay));
    Ok(known.first_started_at.max(known.acknowledged_at).max(newest).unwrap_or(now))
}
