//! Resolves a payment in doubt as an operator decides: the node is asked first, and the domain has the
//! rules.

use super::{PaymentError, PaymentService};
use crate::{
    domain::{
        Actor, Event, Payment, State,
        payment::{
            Advance, NodeSays, Outcome, Pending, Resolution, ResolutionDraft, Trust, resolvable,
            resolve,
        },
    },
    lookup::{LookupError, LookupStart, NodeAccess},
    ports::{Leased, StoreError},
    report::{self, chain},
    service::{Failure, failure::finished},
    trace,
};

/// How often to try. Only the payer and another operator change the row; they cannot do so this often.
const TRIES: usize = 5;

impl PaymentService {
    /// Resolves a payment in doubt. If the payer learns the outcome at the same moment, exactly one of them
    /// wins: the database decides by the version.
    pub async fn resolve(&self, draft: ResolutionDraft) -> Result<Payment, PaymentError> {
        let resolution = draft.validate().map_err(PaymentError::Invalid)?;
        let service = self.clone();
        // The future of a call to the node is large: boxed, to keep it off the caller's stack.
        let work = Box::pin(async move { service.resolve_as(&resolution).await });
        finished(self.runtime.detached(work)).await
    }

    async fn resolve_as(&self, resolution: &Resolution) -> Result<Payment, PaymentError> {
        let node = self.node()?;
        // Set after a COMMIT whose answer was lost: the state before it, and the decision that it may have
        // written.
        let mut doubtful: Option<(State, Actor)> = None;
        for tries in 0..TRIES {
            let found = self.store.payment(resolution.payment).await?;
            let leased = found.ok_or(PaymentError::NotFound)?;
            if tries == 0 {
                trace::link_create(&leased.withdraw);
                trace::link_claim(&leased.payment);
            }
            if let Some((before, by)) = &doubtful
                && self.is_written(&leased.payment, by).await?
            {
                report::transition(&*self.recorder, before, &leased.payment, Some(by));
                return Ok(leased.payment);
            }
            let before = leased.payment.state;
            let (advance, by) = self.decide(node, leased, resolution).await?;
            match self.store.advance(&advance).await {
                Ok(()) => {
                    report::transition(&*self.recorder, &before, &advance.payment, Some(&by));
                    return Ok(advance.payment);
                }
                // The row changed, so that the node's answer is stale too.
                Err(StoreError::Stale) => {}
                Err(StoreError::Unknown(_)) => doubtful = Some((before, by)),
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Stale.into())
    }

    /// What follows from the decision, and who is recorded for it.
    async fn decide(
        &self,
        node: &NodeAccess,
        leased: Leased,
        resolution: &Resolution,
    ) -> Result<(Advance, Actor), PaymentError> {
        let outcome = resolution.outcome;
        resolvable(&leased.payment, outcome).map_err(PaymentError::Unresolvable)?;
        // Before the node is asked: an answer from before the last send was over proves nothing.
        let began = node.witness.begin_lookup(&leased.payment).await?;
        let said = match node.lookup.look_up(&leased, &began).await {
            Ok(look) => {
                let said =
                    NodeSays::of(look.record.as_ref(), look.evidence.report, look.evidence.trust);
                let trust = look.evidence.trust;
                check_stranded(node, said, &leased.payment, trust, outcome, &began).await?
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
        let reason = outcome.note(said, &resolution.by.reason);
        let by = Actor { reason, ..resolution.by.clone() };
        let reopening = node.lookup.reopening();
        let mut advance = payment.resolved(next, said, by.clone(), withdraw, &reopening, late.now);
        advance.decided_on = began.server.map(|server| server.0);
        Ok((node.lookup.scheduled(advance, late.now), by))
    }

    /// Reads back whether exactly this decision was written.
    async fn is_written(&self, payment: &Payment, by: &Actor) -> Result<bool, StoreError> {
        let events = self.store.events_of(payment.withdraw).await?;
        let ours =
            |event: &Event| event.payment == Some(payment.id) && event.by.as_ref() == Some(by);
        Ok(events.iter().any(ours))
    }
}

/// If the operator calls the payment stranded, asks the node whether any channel holds it.
async fn check_stranded(
    node: &NodeAccess,
    said: NodeSays,
    payment: &Payment,
    trust: Trust,
    outcome: Outcome,
    began: &LookupStart,
) -> Result<NodeSays, PaymentError> {
    let Outcome::Failed { stranded: true, .. } = outcome else {
        return Ok(said);
    };
    let stranding = node.lookup.stranding(payment).await.map_err(Failure::Node)?;
    let at = (began.clocks.earlier, node.lookup.clock_skew());
    said.stranded(payment, (trust, stranding), at).map_err(PaymentError::Unresolvable)
}
