//! Ending a doubt as an operator says: the node is asked first, the rules are the domain's.

use super::{Distrust, PaymentService, ServiceError, inquiry::Began};
use crate::{
    domain::{
        Event, Operator, Payment, State,
        payment::{
            Advance, NodeSays, Outcome, Pending, Resolution, ResolutionDraft, Trust, resolvable,
            resolve,
        },
    },
    ports::{Leased, StoreError},
    report::chain,
    trace,
};

/// A row that moves so often is being fought over by more than a payer and an operator.
const TRIES: usize = 5;

impl PaymentService {
    /// Ends a payment in doubt. Against the payer, which may learn its end at the same instant,
    /// exactly one wins: the database decides by the version.
    pub async fn resolve(&self, draft: ResolutionDraft) -> Result<Payment, ServiceError> {
        let resolution = draft.validate().map_err(ServiceError::Invalid)?;
        let service = self.clone();
        // Asking a node keeps large futures alive: not on the caller's stack.
        let work = Box::pin(async move { service.resolve_as(&resolution).await });
        self.runtime.detached(work).await.ok_or(ServiceError::Stopping)?
    }

    async fn resolve_as(&self, resolution: &Resolution) -> Result<Payment, ServiceError> {
        // What may have been written by a COMMIT whose answer was lost.
        let mut doubtful: Option<Operator> = None;
        for tries in 0..TRIES {
            let found = self.store.payment(resolution.payment).await?;
            let leased = found.ok_or(ServiceError::PaymentNotFound)?;
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
            let (advance, by) = self.decide(leased, resolution).await?;
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
        leased: Leased,
        resolution: &Resolution,
    ) -> Result<(Advance, Operator), ServiceError> {
        let outcome = resolution.outcome;
        resolvable(&leased.payment, outcome).map_err(ServiceError::Unresolvable)?;
        // Before the node is asked: an answer from before the last send was over changes nothing.
        let began = self.witness.begin_look(&leased.payment).await?;
        let said = match self.inquiry.look(&leased, &began).await {
            Ok(look) => {
                let said = NodeSays::of(look.record.as_ref(), look.looked.word, look.looked.trust);
                let trust = look.looked.trust;
                self.stranded(said, &leased.payment, trust, outcome, &began).await?
            }
            Err(Distrust::Store(error)) => return Err(error.into()),
            Err(Distrust::Node(error)) => {
                let payment = leased.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "the node could not be asked");
                NodeSays::Nothing
            }
        };
        let late = self.inquiry.clocks().await?;
        let pending = match began.pending {
            Pending::Over | Pending::Unwitnessed if !late.settled => Pending::Unsettled,
            pending => pending,
        };
        let Leased { payment, withdraw, .. } = leased;
        let next = resolve(&payment, outcome, said, pending).map_err(ServiceError::Unresolvable)?;
        let note = outcome.note(said, &resolution.reason);
        let by = Operator { name: resolution.operator.clone(), note };
        let reopening = self.inquiry.reopening();
        let mut advance = payment.resolved(next, said, by.clone(), withdraw, &reopening, late.now);
        advance.decided_on = began.server.map(|server| server.0);
        Ok((self.inquiry.scheduled(advance, late.now), by))
    }

    /// What an operator calls stranded: the node is asked whether any channel holds it.
    async fn stranded(
        &self,
        said: NodeSays,
        payment: &Payment,
        trust: Trust,
        outcome: Outcome,
        began: &Began,
    ) -> Result<NodeSays, ServiceError> {
        let Outcome::Failed { stranded: true, .. } = outcome else {
            return Ok(said);
        };
        let stranding = self.inquiry.stranding(payment).await;
        let stranding = stranding.map_err(ServiceError::Node)?;
        let at = (began.clocks.earlier, self.inquiry.clock_skew());
        said.stranded(payment, (trust, stranding), at).map_err(ServiceError::Unresolvable)
    }

    /// Reads back whether this very decision was written.
    async fn is_written(&self, payment: &Payment, by: &Operator) -> Result<bool, StoreError> {
        let events = self.store.events_of(payment.withdraw).await?;
        let ours =
            |event: &Event| event.payment == Some(payment.id) && event.by.as_ref() == Some(by);
        Ok(events.iter().any(ours))
    }
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
