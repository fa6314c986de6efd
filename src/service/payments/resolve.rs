//! Ending a doubt as an operator says: the node is asked first, the rules are the domain's.

use super::{PaymentError, PaymentService};
use crate::{
    domain::{
        Event, Operator, Payment, State,
        payment::{
            Advance, NodeSays, Outcome, Pending, Resolution, ResolutionDraft, Trust, resolvable,
            resolve,
        },
    },
    lookup::{Began, LookupError, NodeAccess},
    ports::{Leased, StoreError},
    report::chain,
    service::{Failure, failure::finished},
    trace,
};

/// A row that moves so often is being fought over by more than a payer and an operator.
const TRIES: usize = 5;

impl PaymentService {
    /// Ends a payment in doubt. Against the payer, which may learn its end at the same instant,
    /// exactly one wins: the database decides by the version.
    pub async fn resolve(&self, draft: ResolutionDraft) -> Result<Payment, PaymentError> {
        let resolution = draft.validate().map_err(PaymentError::Invalid)?;
        let service = self.clone();
        // Asking a node keeps large futures alive: not on the caller's stack.
        let work = Box::pin(async move { service.resolve_as(&resolution).await });
        finished(self.runtime.detached(work)).await
    }

    async fn resolve_as(&self, resolution: &Resolution) -> Result<Payment, PaymentError> {
        let node = self.node()?;
        // What may have been written by a COMMIT whose answer was lost.
        let mut doubtful: Option<Operator> = None;
        for tries in 0..TRIES {
            let found = self.store.payment(resolution.payment).await?;
            let leased = found.ok_or(PaymentError::NotFound)?;
            if tries == 0 {
                trace::link_made(&leased.withdraw);
                trace::link_claimed(&leased.payment);
            }
            if let Some(by) = &doubtful
                && self.is_written(&leased.payment, by).await?
            {
                return Ok(leased.payment);
            }
            let before = leased.payment.state;
            let (advance, by) = self.decide(node, leased, resolution).await?;
            match self.store.advance(&advance).await {
                Ok(()) => {
                    told(&advance.payment, &by);
                    self.meter.stepped(&before, &advance.payment);
                    return Ok(advance.payment);
                }
                // The row moved: what the node said is stale with it.
                Err(StoreError::Stale) => {}
                Err(StoreError::Unknown(_)) => doubtful = Some(by),
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Stale.into())
    }

    /// What follows from the decision, and who is to stand for it.
    async fn decide(
        &self,
        node: &NodeAccess,
        leased: Leased,
        resolution: &Resolution,
    ) -> Result<(Advance, Operator), PaymentError> {
        let outcome = resolution.outcome;
        resolvable(&leased.payment, outcome).map_err(PaymentError::Unresolvable)?;
        // Before the node is asked: an answer from before the last send was over changes nothing.
        let began = node.witness.begin_look(&leased.payment).await?;
        let said = match node.lookup.look(&leased, &began).await {
            Ok(look) => {
                let said = NodeSays::of(look.record.as_ref(), look.looked.word, look.looked.trust);
                let trust = look.looked.trust;
                stranded(node, said, &leased.payment, trust, outcome, &began).await?
            }
            Err(LookupError::Store(error)) => return Err(error.into()),
            Err(LookupError::Node(error)) => {
                let payment = leased.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "the node could not be asked");
                NodeSays::Nothing
            }
        };
        let late = node.lookup.clocks().await?;
        let pending = match began.pending {
            Pending::Over | Pending::Unwitnessed if !late.settled => Pending::Unsettled,
            pending => pending,
        };
        let Leased { payment, withdraw, .. } = leased;
        let next = resolve(&payment, outcome, said, pending).map_err(PaymentError::Unresolvable)?;
        let reason = outcome.note(said, &resolution.reason);
        let by = Operator { name: resolution.operator.clone(), note: reason };
        let reopening = node.lookup.reopening();
        let mut advance = payment.resolved(next, said, by.clone(), withdraw, &reopening, late.now);
        advance.decided_on = began.server.map(|server| server.0);
        Ok((node.lookup.scheduled(advance, late.now), by))
    }

    /// Reads back whether this very decision was written.
    async fn is_written(&self, payment: &Payment, by: &Operator) -> Result<bool, StoreError> {
        let events = self.store.events_of(payment.withdraw).await?;
        let ours =
            |event: &Event| event.payment == Some(payment.id) && event.by.as_ref() == Some(by);
        Ok(events.iter().any(ours))
    }
}

/// What an operator calls stranded: the node is asked whether any channel holds it.
async fn stranded(
    node: &NodeAccess,
    said: NodeSays,
    payment: &Payment,
    trust: Trust,
    outcome: Outcome,
    began: &Began,
) -> Result<NodeSays, PaymentError> {
    let Outcome::Failed { stranded: true, .. } = outcome else {
        return Ok(said);
    };
    let stranding = node.lookup.stranding(payment).await.map_err(Failure::Node)?;
    let at = (began.clocks.earlier, node.lookup.clock_skew());
    said.stranded(payment, (trust, stranding), at).map_err(PaymentError::Unresolvable)
}

/// The reason stays out of the log: it is free text, and stands in the event.
fn told(payment: &Payment, by: &Operator) {
    let Payment { id, withdraw, payment_hash, .. } = payment;
    let (operator, state) = (&by.name, payment.state.name());
    let claim_trace_id = trace::claim_trace_id(payment);
    tracing::warn!(payment = %id, %withdraw, %payment_hash, operator, state, claim_trace_id,
        "resolved by an operator");
    if let State::Paid { fee, .. } = payment.state
        && fee > payment.fee_limit
    {
        tracing::error!(payment = %id, fee_msat = fee.get(),
            fee_limit_msat = payment.fee_limit.get(), "paid, above the fee limit");
    }
}
