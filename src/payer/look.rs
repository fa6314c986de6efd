//! Looks an attempt up, and does what the decision table decides.

use std::sync::Arc;

use super::{Payer, Permits};
use crate::{
    domain::{
        State,
        payment::{Advance, FollowUp, Next, decide_on_lookup, follow_up},
    },
    lookup::{LookupError, LookupResult},
    ports::{Leased, StoreError},
    report::{self, chain},
};

impl Payer {
    /// Looks one attempt up and does what follows. An error leaves the attempt unchanged.
    pub(super) async fn process(self: &Arc<Self>, leased: Leased, permits: Permits) {
        let look = match self.look_up(&leased).await {
            Ok(look) => look,
            Err(error) => {
                let payment = leased.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "could not look up the payment");
                return self.ask_again(&leased).await;
            }
        };
        let payment = &leased.payment;
        let request = payment.request_facts(&leased.withdraw);
        match decide_on_lookup(payment, &look.evidence, request) {
            Next::Send => self.send(leased, look, permits).await,
            Next::Witness => {
                self.witness.make(Some(&leased.payment)).await;
                self.postpone(&leased).await;
            }
            Next::Stay => {
                match follow_up(payment, look.evidence.report, look.evidence.trust, request) {
                    FollowUp::AsPlanned => self.postpone(&leased).await,
                    FollowUp::Retry => self.ask_again(&leased).await,
                    FollowUp::Never => self.set_due(&leased, None).await,
                    FollowUp::Contradicted(why) => {
                        report::contradiction(payment, why);
                        self.postpone(&leased).await;
                    }
                    FollowUp::Watch => {
                        tracing::error!(
                            payment = %payment.id,
                            withdraw = %payment.withdraw,
                            payment_hash = %payment.payment_hash,
                            "closed as failed, but the node is paying it or has paid it"
                        );
                        self.ask_again(&leased).await;
                    }
                }
            }
            next => self.conclude(leased, next, &look).await,
        }
    }

    async fn look_up(&self, leased: &Leased) -> Result<LookupResult, LookupError> {
        let began = self.lookup.begin(&leased.payment).await?;
        self.lookup.look_up(leased, &began).await
    }

    /// Writes what follows from a lookup. If the row has changed meanwhile, the result is stale, and the
    /// payment is looked up again.
    async fn conclude(&self, leased: Leased, next: Next, look: &LookupResult) {
        let clocks = &look.clocks;
        let before = leased.payment.state;
        let advance = leased.payment.clone().follow(
            next,
            leased.withdraw.clone(),
            &self.lookup.reopening(),
            clocks.now,
        );
        let mut advance = self.lookup.scheduled(advance, clocks.now);
        advance.decided_on = look.server.map(|server| server.0);
        match self.store.advance(&advance).await {
            Ok(()) => self.report(&advance, &before),
            // Another worker was faster, or the request has changed: look up again soon.
            Err(StoreError::Stale) => {
                let soon = clocks.now.plus(self.options.lookup.pace.first);
                self.set_due(&leased, Some(soon)).await;
            }
            Err(StoreError::Unknown(_)) if self.is_written(&advance).await => {
                self.report(&advance, &before);
            }
            // The database server has changed: a send that was lost with the previous one may still reach the
            // node, so the attempt must not be closed yet.
            Err(StoreError::Halted(_)) => self.ask_again(&leased).await,
            Err(error) => {
                let payment = advance.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "could not write the lookup's result");
                self.ask_again(&leased).await;
            }
        }
    }

    /// Reads back a step whose COMMIT was not answered, so that it is reported.
    async fn is_written(&self, advance: &Advance) -> bool {
        let found = self.store.payment(advance.payment.id).await.ok().flatten();
        found.is_some_and(|found| {
            let stored = (found.payment.version, found.payment.state);
            stored == (advance.payment.version, advance.payment.state)
        })
    }

    /// Reports a durable change of a payment.
    pub(super) fn report(&self, advance: &Advance, before: &State) {
        report::transition(&*self.recorder, before, &advance.payment, None);
    }
}
