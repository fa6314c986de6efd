//! Ending a doubt as an operator says: the node is asked first, the rules are the domain's.

use super::{Distrust, PaymentService, ServiceError};
use crate::{
    domain::{
        Event, Operator, Payment, State, Timestamp,
        payment::{Advance, NodeSays, Pending, Resolution, ResolutionDraft, resolvable, resolve},
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
        let Leased { payment, withdraw, .. } = leased;
        let outcome = resolution.outcome;
        resolvable(&payment, outcome).map_err(ServiceError::Unresolvable)?;
        // Read before the node is asked: an answer from before the last send was over changes nothing.
        let began = self.inquiry.clocks().await?;
        let said = match self.inquiry.look(&payment, &began).await {
            Ok(look) => NodeSays::of(look.record.as_ref(), look.looked.word, look.looked.trust),
            Err(Distrust::Store(error)) => return Err(error.into()),
            Err(Distrust::Node(error)) => {
                let payment = payment.id;
                tracing::warn!(%payment, error = %chain(&error), "the node could not be asked");
                NodeSays::Nothing
            }
        };
        let late = self.inquiry.clocks().await?;
        let pending = self.inquiry.pending(&payment, &began, began.settled && late.settled);
        let pending = self.held(&payment, pending, began.now);
        let next = resolve(&payment, outcome, said, pending).map_err(ServiceError::Unresolvable)?;
        let note = outcome.note(said, &resolution.reason);
        let by = Operator { name: resolution.operator.clone(), note };
        let reopening = self.inquiry.reopening();
        let mut advance = payment.resolved(next, said, by.clone(), withdraw, &reopening, late.now);
        advance.asked_at = Some(began.now);
        Ok((self.inquiry.scheduled(advance, late.now), by))
    }

    /// A send that was lost with another database server may still arrive: the store would not close the
    /// attempt, and could not tell the operator until when.
    fn held(&self, payment: &Payment, pending: Pending, now: Timestamp) -> Pending {
        match (pending, self.store.inherited()) {
            (Pending::Over, Some(held)) if held.holds(payment.id, now) => {
                Pending::Until(held.over_at)
            }
            (pending, _) => pending,
        }
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
