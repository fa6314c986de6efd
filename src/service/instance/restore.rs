//! Recovery after a restored backup, or after a failover that lost commits: lists the node's payments that
//! the database lacks, lets an operator assign them to the requests that they paid, and ends the fence.

use std::sync::Arc;

use super::{
    InstanceError,
    unknown::{self, Unknown, UnknownPage},
    validated,
};
use crate::{
    domain::{
        Act, ActorDraft, Change, CommonField, FailureReason, FenceReason, Hold, InstanceCommand,
        InstanceField, Millis, Payment, PaymentHash, PaymentId, Principal, Restored, State,
        Timestamp, Violation, Withdraw, WithdrawId, WithdrawView,
        payment::{Next, PaymentView, Pending},
    },
    lookup::NodeAccess,
    ports::{ListedPayment, Store, StoreError},
    runtime::Runtime,
    service::{Failure, failure::finished},
};

/// Requests per transaction.
const BATCH: i64 = 500;
/// Ids per call.
const MAX_IDS: usize = 1000;

/// A request, and the payment that it was paid with.
#[derive(Clone, Debug)]
pub struct Pair {
    /// `wr_…`
    pub withdraw: String,
    /// Hex.
    pub payment_hash: String,
}

/// Which withheld requests an operator releases.
#[derive(Clone, Debug)]
pub enum ReleaseScope {
    /// The requests with these ids.
    Ids(Vec<String>),
    /// Every withheld request.
    All,
}

/// The result of an acknowledgement.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// Payments that were assigned to no request: the first [`crate::lookup::MAX_UNKNOWN`].
    pub unknown: Vec<ListedPayment>,
    /// There are more of them.
    pub more: bool,
    /// Requests that it withheld.
    pub withheld: u64,
}

/// The use cases.
#[derive(Clone)]
pub struct RestoreService {
    store: Arc<dyn Store>,
    node: Option<NodeAccess>,
    delays: CommitDelays,
    runtime: Runtime,
}

/// How far the time in a row may differ from the time of its commit.
#[derive(Clone, Copy, Debug)]
pub struct CommitDelays {
    /// How long after the time in its id an attempt may have been committed.
    pub commit_delay: Millis,
    /// How far replicas' clocks may disagree.
    pub clock_skew: Millis,
}

impl RestoreService {
    /// Use cases over this store; without a node nothing can be compared with it.
    pub fn new(
        store: Arc<dyn Store>,
        node: Option<NodeAccess>,
        delays: CommitDelays,
        runtime: Runtime,
    ) -> Self {
        Self { store, node, delays, runtime }
    }

    fn node(&self) -> Result<&NodeAccess, InstanceError> {
        self.node.as_ref().ok_or(InstanceError::Failed(Failure::NodeNotHere))
    }

    /// Fences by hand: for example after the promotion of a standby, if the node is shared.
    pub async fn fence(&self, actor: ActorDraft) -> Result<(), InstanceError> {
        let act = validated(actor, &self.runtime)?;
        let (service, operator) = (self.clone(), act.by.name.clone());
        let command = InstanceCommand::Fence(FenceReason::ByHand, act);
        let fenced = async move {
            service.store.execute_command(&command).await?;
            tracing::error!(operator, "FENCED by an operator");
            Ok(())
        };
        finished(self.runtime.detached(fenced)).await
    }

    /// A page of the node's payments that the database does not know, and that may have been paid.
    pub async fn unknown(
        &self,
        _: Principal,
        page_token: &str,
    ) -> Result<UnknownPage, InstanceError> {
        unknown::page(self.node()?, self.unknown_since().await?, page_token).await
    }

    async fn unknown_since(&self) -> Result<Timestamp, InstanceError> {
        let now = self.runtime.clock.now();
        Ok(self.node()?.unknown_since(self.delays.commit_delay, now).await?)
    }

    /// Marks as paid the requests that the operator assigns payments to, withholds every ACTIVE request made
    /// before the fence, and ends the fence. A repeat after an error continues where the first call stopped.
    ///
    /// If there are more unknown payments than one answer lists, the fence stays, unless `all_listed` says
    /// that the operator has listed them all: once it has ended, they are not listed again, and a request
    /// that one of them paid would be released as unpaid.
    pub async fn acknowledge(
        &self,
        actor: ActorDraft,
        pairs: Vec<Pair>,
        all_listed: bool,
    ) -> Result<Acknowledged, InstanceError> {
        let act = validated(actor, &self.runtime)?;
        let pairs = read_pairs(&pairs)?;
        let service = self.clone();
        let work = async move { service.acknowledge_all(act, &pairs, all_listed).await };
        finished(self.runtime.detached(work)).await
    }

    async fn acknowledge_all(
        &self,
        act: Act,
        pairs: &[(WithdrawId, PaymentHash)],
        all_listed: bool,
    ) -> Result<Acknowledged, InstanceError> {
        // On the operator's connection: a flood of wallets' calls does not keep an operator waiting.
        let status = self.store.instance_status_for_operator(Millis::ZERO, None).await?;
        let Some((fence, _)) = status.fenced else {
            return Err(InstanceError::NotFenced);
        };
        let hashes = pairs.iter().map(|(_, hash)| *hash).collect();
        let since = self.unknown_since().await?;
        let mut unknown = unknown::all(self.node()?, since, &hashes).await?;
        let refused = unknown.is_too_long() && !all_listed;
        // All pairs are checked first, so that a mistake in one changes nothing.
        for (withdraw, hash) in pairs {
            let view =
                self.store.withdraw(*withdraw).await?.ok_or(InstanceError::WithdrawNotFound)?;
            assigned_index(&view, *hash, &unknown.assigned)?;
        }
        for (withdraw, hash) in pairs {
            self.mark_paid(*withdraw, *hash, &mut unknown.assigned, &act).await?;
        }
        if refused {
            let (operator, marked_paid) = (&act.by.name, pairs.len());
            tracing::warn!(operator, marked_paid, "the fence stays: too many payments are unknown");
            return Err(InstanceError::TooManyUnknown);
        }
        let withheld = self.withhold(fence).await?;
        // Changes nothing if a newer fence was set in the meantime: the operator has not seen that loss.
        if !self.store.execute_command(&InstanceCommand::Acknowledge(fence, act.clone())).await? {
            return Err(StoreError::Stale.into());
        }
        // None is left that was to be assigned.
        let Unknown { others: unknown, more, .. } = unknown;
        let left = unknown.len();
        tracing::warn!(
            operator = act.by.name,
            withheld,
            marked_paid = pairs.len(),
            left,
            more,
            "the fence was ended by an operator"
        );
        Ok(Acknowledged { unknown, more, withheld })
    }

    async fn mark_paid(
        &self,
        id: WithdrawId,
        hash: PaymentHash,
        unknown: &mut Vec<ListedPayment>,
        act: &Act,
    ) -> Result<(), InstanceError> {
        let view = self.store.withdraw(id).await?.ok_or(InstanceError::WithdrawNotFound)?;
        let Some(index) = assigned_index(&view, hash, unknown)? else { return Ok(()) };
        let listed = &unknown[index];
        let view = self.give_up_unsent(view, act).await?;
        let now = self.runtime.clock.now();
        let new = PaymentId::new(now, &self.runtime.id_bits());
        let (invoice, by) = (listed.invoice.clone(), act.by.clone());
        let restored = Restored::new(&view, &listed.record, invoice, new, by, now);
        let restored =
            restored.map_err(|why| InstanceError::NotRestorable { withdraw: id, why })?;
        self.store.restore(&restored).await?;
        let (payment, operator) = (restored.id, &act.by.name);
        tracing::warn!(%payment, withdraw = %id, payment_hash = %hash, operator, state = "PAID",
            "marked as paid by an operator");
        unknown.remove(index);
        Ok(())
    }

    /// Closes an attempt of which this database has no send as failed: the request was paid by another
    /// payment.
    async fn give_up_unsent(
        &self,
        view: WithdrawView,
        act: &Act,
    ) -> Result<WithdrawView, InstanceError> {
        let open = view.withdraw.attempt.filter(|attempt| attempt.hold == Hold::Open);
        let Some(attempt) = open else { return Ok(view) };
        let leased =
            self.store.payment(attempt.id).await?.ok_or(InstanceError::WithdrawNotFound)?;
        if leased.payment.state != State::Reserved {
            return Ok(view);
        }
        let node = self.node()?;
        // A send of it that was lost with the previous database server may still take effect.
        let began = node.witness.begin_lookup(&leased.payment).await?;
        if began.pending != Pending::Over {
            return Err(Failure::Halted.into());
        }
        let now = self.runtime.clock.now();
        let reopening = node.lookup.reopening();
        let next = Next::Fail(FailureReason::ResolvedByOperator);
        let mut advance = leased.payment.follow(next, leased.withdraw, &reopening, now);
        advance.change = advance.change.map(|change| change.signed(act.by.clone()));
        advance.decided_on = began.server.map(|server| server.0);
        self.store.advance(&advance).await?;
        let Payment { id: payment, withdraw, payment_hash, .. } = &advance.payment;
        let operator = &act.by.name;
        tracing::warn!(%payment, %withdraw, %payment_hash, operator, state = "FAILED",
            "closed as failed by an operator: it was never sent, and another payment paid its request");
        self.store.withdraw(view.withdraw.id).await?.ok_or(InstanceError::WithdrawNotFound)
    }

    async fn withhold(&self, fence: Timestamp) -> Result<u64, InstanceError> {
        // Also withholds a request made in the same millisecond as the fence, and one made by a replica
        // whose clock is ahead.
        let before = fence.plus(self.delays.clock_skew).plus(Millis::from_ms(1));
        let mut done = 0;
        loop {
            let page = self.store.to_withhold(before, BATCH).await?;
            let now = self.runtime.clock.now();
            let changes: Vec<Change> =
                page.into_iter().filter_map(|withdraw| withdraw.withhold(now)).collect();
            if changes.is_empty() {
                return Ok(done);
            }
            done += self.write_changes(&changes).await?;
        }
    }

    /// Makes requests claimable again, after somebody has verified that they were not paid.
    pub async fn release(
        &self,
        actor: ActorDraft,
        scope: ReleaseScope,
    ) -> Result<u64, InstanceError> {
        let act = validated(actor, &self.runtime)?;
        let service = self.clone();
        let released = async move {
            let released = match scope {
                ReleaseScope::Ids(ids) => service.release_ids(&ids, &act).await?,
                ReleaseScope::All => service.release_all(&act).await?,
            };
            tracing::warn!(
                operator = act.by.name,
                released,
                "withheld requests were released by an operator"
            );
            Ok(released)
        };
        finished(self.runtime.detached(released)).await
    }

    async fn release_ids(&self, ids: &[String], act: &Act) -> Result<u64, InstanceError> {
        if ids.is_empty() || ids.len() > MAX_IDS {
            let rule = format!("must have 1 to {MAX_IDS} entries, or all must be set");
            return Err(InstanceError::Invalid(vec![Violation::new(InstanceField::Ids, rule)]));
        }
        let ids: Result<Vec<WithdrawId>, InstanceError> =
            ids.iter().map(|id| read_id(id)).collect();
        let now = self.runtime.clock.now();
        let mut changes = Vec::new();
        for id in ids? {
            let view = self.store.withdraw(id).await?.ok_or(InstanceError::WithdrawNotFound)?;
            changes.extend(view.withdraw.release(act.by.clone(), now));
        }
        self.write_changes(&changes).await
    }

    async fn release_all(&self, act: &Act) -> Result<u64, InstanceError> {
        let mut done = 0;
        loop {
            let now = self.runtime.clock.now();
            let page = self.store.withheld(BATCH).await?;
            let release = |withdraw: Withdraw| withdraw.release(act.by.clone(), now);
            let changes: Vec<Change> = page.into_iter().filter_map(release).collect();
            if changes.is_empty() {
                return Ok(done);
            }
            done += self.write_changes(&changes).await?;
        }
    }

    /// Writes the changes, and returns how many rows still had the version that was read.
    async fn write_changes(&self, changes: &[Change]) -> Result<u64, InstanceError> {
        let written = self.store.change(changes).await?;
        Ok(written.into_iter().map(u64::from).sum())
    }
}

/// The index of the payment that is assigned to the request. None if an earlier acknowledgement, which was
/// not answered or stopped halfway, has marked the request as paid already.
fn assigned_index(
    view: &WithdrawView,
    hash: PaymentHash,
    unknown: &[ListedPayment],
) -> Result<Option<usize>, InstanceError> {
    let is_paid = |payment: &PaymentView| {
        payment.payment_hash == hash && matches!(payment.state, State::Paid { .. })
    };
    if view.payment.as_ref().is_some_and(is_paid) {
        return Ok(None);
    }
    let index = unknown.iter().position(|listed| listed.record.payment_hash == hash);
    let index = index.ok_or(InstanceError::NotUnknown { payment_hash: hash })?;
    let withdraw = view.withdraw.id;
    Restored::fits(&view.withdraw, &unknown[index].record)
        .map_err(|why| InstanceError::NotRestorable { withdraw, why })?;
    Ok(Some(index))
}

fn read_pairs(pairs: &[Pair]) -> Result<Vec<(WithdrawId, PaymentHash)>, InstanceError> {
    let mut violations = Vec::new();
    let mut read = Vec::with_capacity(pairs.len());
    if pairs.len() > MAX_IDS {
        let rule = format!("must have at most {MAX_IDS} entries");
        violations.push(Violation::new(InstanceField::Paid, rule));
    }
    for (index, pair) in pairs.iter().take(MAX_IDS).enumerate() {
        match (WithdrawId::parse(&pair.withdraw), PaymentHash::parse(&pair.payment_hash)) {
            (Ok(withdraw), Some(hash))
                if read.iter().any(|(other, its)| *other == withdraw || *its == hash) =>
            {
                let rule = "repeats a request or a payment of an earlier entry";
                violations.push(Violation::new(InstanceField::Paid, rule).of_entry(index));
            }
            (Ok(withdraw), Some(hash)) => read.push((withdraw, hash)),
            (Err(_), _) | (_, None) => {
                let rule = "must be a withdraw id (wr_…) and a payment hash (64 hex digits)";
                violations.push(Violation::new(InstanceField::Paid, rule).of_entry(index));
            }
        }
    }
    if violations.is_empty() { Ok(read) } else { Err(InstanceError::Invalid(violations)) }
}

fn read_id(text: &str) -> Result<WithdrawId, InstanceError> {
    WithdrawId::parse(text)
        .map_err(|fault| InstanceError::Invalid(vec![Violation::new(CommonField::Id, fault)]))
}
