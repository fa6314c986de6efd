//! Compares the node's payments of a period with ours.

use std::{collections::HashSet, sync::Arc};

use super::PaymentError;
use crate::{
    domain::{
        InstanceField, NodeId, PaymentHash, PaymentId, Principal, Timestamp, Verdict, Violation,
        payment::{PaymentEntry, PaymentFilter, PaymentQuery, PaymentView, Record},
    },
    lookup::NodeAccess,
    ports::{NodeError, PaymentsQuery, Store},
    runtime::Runtime,
    service::Failure,
};

/// The most lines of one answer.
const MAX_LINES: usize = 5000;
/// The most payments of the node that one call compares. Each costs a statement, also those without a line:
/// payments that failed at the node and are no attempt here. A payment that the node does not list costs a
/// lookup there, and always has a line. (`grpc.timeout_ms` ends the call in any case.)
const MAX_LISTED: usize = 10_000;
/// Payments per page, of the node's list and of ours.
const PAGE: u32 = 100;

/// One payment, as both sides have it.
#[derive(Clone, Debug)]
pub struct Line {
    /// Which payment.
    pub payment_hash: PaymentHash,
    /// What the comparison says.
    pub verdict: Verdict,
    /// Our attempt.
    pub here: Option<PaymentView>,
    /// The node's record.
    pub there: Option<Record>,
}

/// The use case.
#[derive(Clone)]
pub struct ReconcileService {
    store: Arc<dyn Store>,
    node: Option<NodeAccess>,
    runtime: Runtime,
}

impl ReconcileService {
    /// Over this store; without a node there is nothing to compare with.
    pub const fn new(store: Arc<dyn Store>, node: Option<NodeAccess>, runtime: Runtime) -> Self {
        Self { store, node, runtime }
    }

    fn node(&self) -> Result<&NodeAccess, PaymentError> {
        self.node.as_ref().ok_or(PaymentError::Failed(Failure::NodeNotHere))
    }

    /// What was made from `from` on and before `to`, by either side's time: first the payments that the
    /// node lists, in its order, then our attempts that it does not list, newest first.
    pub async fn reconcile(
        &self,
        _: Principal,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Line>, PaymentError> {
        if from >= to {
            let rule = "must be later than from";
            return Err(PaymentError::Invalid(vec![Violation::new(InstanceField::To, rule)]));
        }
        let paying = self.node()?.verifier.paying_node().await?;
        let mut lines = Vec::new();
        // All are listed first: a period that is too long costs no statement.
        for record in self.listed(&paying, from, to).await? {
            let here = self.ours(record.payment_hash).await?;
            push(&mut lines, here, Some(record))?;
        }
        let seen: HashSet<PaymentHash> = lines.iter().map(|line| line.payment_hash).collect();
        self.unlisted(&paying, from, to, &seen, &mut lines).await?;
        Ok(lines)
    }

    /// The node's payments of the period.
    async fn listed(
        &self,
        paying: &NodeId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Record>, PaymentError> {
        let created_to = Timestamp::from_ms(to.as_ms() - 1);
        let mut records = Vec::new();
        let mut after_index = 0;
        loop {
            let query = PaymentsQuery { created_from: from, created_to, after_index, limit: PAGE };
            let page = self.node()?.node.payments(query).await.map_err(Failure::Node)?;
            check_node(page.node, paying)?;
            let Some(last) = page.payments.last() else {
                return Ok(records);
            };
            after_index = last.index;
            records.extend(page.payments.into_iter().map(|listed| listed.record));
            if records.len() > MAX_LISTED {
                let counted = "payments of the node, failed ones included";
                return Err(too_long(MAX_LISTED, counted));
            }
        }
    }

    async fn unlisted(
        &self,
        paying: &NodeId,
        from: Timestamp,
        to: Timestamp,
        seen: &HashSet<PaymentHash>,
        lines: &mut Vec<Line>,
    ) -> Result<(), PaymentError> {
        let filter = PaymentFilter {
            created_after: Some(from),
            created_before: Some(to),
            ..PaymentFilter::default()
        };
        let mut after = None;
        loop {
            let page = self.page(filter.clone(), after).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some(last.view.id);
            for entry in page {
                let hash = entry.view.payment_hash;
                if seen.contains(&hash) {
                    continue;
                }
                // The node may have made its record just outside of this period.
                let found = self.node()?.node.look_up(hash).await.map_err(Failure::Node)?;
                check_node(found.node, paying)?;
                push(lines, Some(entry.view), found.record)?;
            }
        }
    }

    async fn ours(&self, hash: PaymentHash) -> Result<Option<PaymentView>, PaymentError> {
        let filter = PaymentFilter { payment_hash: Some(hash), ..PaymentFilter::default() };
        Ok(self.page(filter, None).await?.pop().map(|entry| entry.view))
    }

    async fn page(
        &self,
        filter: PaymentFilter,
        after: Option<PaymentId>,
    ) -> Result<Vec<PaymentEntry>, PaymentError> {
        let now = self.runtime.clock.now();
        let query = PaymentQuery { filter, after, limit: PAGE.into(), now };
        Ok(self.store.list_payments(&query).await?)
    }
}

fn push(
    lines: &mut Vec<Line>,
    here: Option<PaymentView>,
    there: Option<Record>,
) -> Result<(), PaymentError> {
    let hash = here.as_ref().map(|payment| payment.payment_hash);
    let hash = hash.or_else(|| there.as_ref().map(|record| record.payment_hash));
    let (Some(verdict), Some(payment_hash)) = (Verdict::of(here.as_ref(), there.as_ref()), hash)
    else {
        return Ok(());
    };
    if lines.len() == MAX_LINES {
        return Err(too_long(MAX_LINES, "payments"));
    }
    lines.push(Line { payment_hash, verdict, here, there });
    Ok(())
}

fn too_long(most: usize, counted: &str) -> PaymentError {
    let rule = format!("must leave at most {most} {counted}; choose a shorter period");
    PaymentError::Invalid(vec![Violation::new(InstanceField::To, rule)])
}

fn check_node(found: NodeId, expected: &NodeId) -> Result<(), PaymentError> {
    if found == *expected {
        return Ok(());
    }
    let other = NodeError::OtherNode { found, expected: expected.clone() };
    Err(Failure::Node(other).into())
}
