//! Looking an attempt up, and doing what the table says.

use std::sync::Arc;

use tracing::Span;

use super::{Payer, Places};
use crate::{
    domain::{
        FailureReason, State,
        payment::{Advance, Again, Next, again, looked_up},
    },
    lookup::{Look, LookupError},
    ports::{Leased, StoreError},
    report::chain,
    trace,
};

impl Payer {
    /// One attempt, from its look-up to whatever follows. Errors leave it as it is.
    pub(super) async fn attend(self: &Arc<Self>, leased: Leased, places: Places) {
        let look = match self.look(&leased).await {
            Ok(look) => look,
            Err(error) => {
                let payment = leased.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "could not look the payment up");
                return self.ask_again(&leased).await;
            }
        };
        let payment = &leased.payment;
        let beside = payment.beside(&leased.withdraw);
        match looked_up(payment, &look.looked, beside) {
            Next::Send => self.send(leased, look, places).await,
            Next::Witness => {
                self.witness.make(Some(&leased.payment)).await;
                self.postpone(&leased).await;
            }
            Next::Stay => match again(payment, look.looked.word, look.looked.trust, beside) {
                Again::AsPlanned => self.postpone(&leased).await,
                Again::NotUsedUp => self.ask_again(&leased).await,
                Again::Never => self.set_due(&leased, None).await,
                Again::Followed => {
                    tracing::error!(
                        payment = %payment.id,
                        withdraw = %payment.withdraw,
                        "closed as failed, yet the node is paying it, or has paid it"
                    );
                    self.ask_again(&leased).await;
                }
            },
            next => self.conclude(leased, next, &look).await,
        }
    }

    async fn look(&self, leased: &Leased) -> Result<Look, LookupError> {
        let began = self.lookup.begin(&leased.payment).await?;
        self.lookup.look(leased, &began).await
    }

    /// Writes what follows from a look-up. A row that moved meanwhile is somebody else's: what the
    /// look-up told is stale with it.
    async fn conclude(&self, leased: Leased, next: Next, look: &Look) {
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
            Ok(()) => self.told(&advance, &before),
            // Another worker, or a change of the request: it is looked up anew, soon.
            Err(StoreError::Stale) => {
                let soon = clocks.now.plus(self.options.lookup.pace.first);
                self.set_due(&leased, Some(soon)).await;
            }
            Err(StoreError::Unknown(_)) if self.is_written(&advance).await => {
                self.told(&advance, &before);
            }
            // A send that was lost with another database server may still reach the node.
            Err(StoreError::Halted(_)) => self.ask_again(&leased).await,
            Err(error) => {
                let payment = advance.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "could not write what was learned");
                self.ask_again(&leased).await;
            }
        }
    }

    /// Reads back a step whose COMMIT was not answered, so that it is told of.
    async fn is_written(&self, advance: &Advance) -> bool {
        let found = self.store.payment(advance.payment.id).await.ok().flatten();
        found.is_some_and(|found| {
            let stands = (found.payment.version, found.payment.state);
            stands == (advance.payment.version, advance.payment.state)
        })
    }

    /// A change of a payment is durable.
    pub(super) fn told(&self, advance: &Advance, before: &State) {
        told(advance, before);
        self.meter.stepped(before, &advance.payment);
    }
}

/// One line per change of a payment. Anything that a person must see is an error.
fn told(advance: &Advance, before: &State) {
    let payment = &advance.payment;
    let (id, withdraw, hash) = (payment.id, payment.withdraw, payment.payment_hash);
    let claim_trace_id = trace::claim_trace_id(payment);
    Span::current().record("withdrawd.payment.state", payment.state.name());
    match payment.state {
        State::Paid { fee, .. } if fee > payment.fee_limit => {
            tracing::error!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id, fee_msat = fee.get(),
                fee_limit_msat = payment.fee_limit.get(), "paid, above the fee limit");
        }
        State::Paid { fee, .. } if matches!(before, State::Failed { .. }) => {
            tracing::error!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id, fee_msat = fee.get(),
                "paid late, after it was closed as failed; the request was still free");
        }
        State::Paid { fee, .. } => {
            tracing::info!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id, fee_msat = fee.get(),
                "paid");
        }
        State::Failed { late: Some(_), .. } => {
            tracing::error!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id,
                "LATE_SUCCESS: paid after it was closed as failed");
        }
        State::Failed { reason, .. } => {
            let reason = FailureReason::name(reason);
            tracing::info!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id, reason, "failed");
        }
        State::NeedsOperator { reason, .. } => {
            tracing::error!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id, reason = reason.name(),
                "NEEDS_OPERATOR: the payment is in doubt");
        }
        State::Reserved | State::Sending | State::InFlight
            if payment.state.kind() != before.kind() =>
        {
            tracing::info!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id,
                state = payment.state.name(), "advanced");
        }
        // What was noted of it beside its state.
        State::Reserved | State::Sending | State::InFlight => {
            tracing::debug!(payment = %id, %withdraw, payment_hash = %hash,
                claim_trace_id, state = payment.state.name(), "advanced");
        }
    }
}
