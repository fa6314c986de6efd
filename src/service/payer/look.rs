//! Looking an attempt up, and doing what the table says.

use tracing::Span;

use super::Payer;
use crate::{
    domain::{
        FailureReason, State, Status,
        payment::{Advance, Next, Payment, Trust, Word, looked_up},
    },
    ports::{Leased, StoreError},
    report::chain,
    service::{Distrust, clocks::Reading, inquiry::Look},
    trace,
};

impl Payer {
    /// One attempt, from its look-up to whatever follows. Errors leave it as it is.
    pub(super) async fn attend(&self, leased: Leased) {
        let look = match self.look(&leased).await {
            Ok(look) => look,
            Err(error) => {
                let payment = leased.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "could not look the payment up");
                return self.ask_again(&leased).await;
            }
        };
        let payment = &leased.payment;
        let next = looked_up(payment, &look.looked, payment.beside(&leased.withdraw));
        match while_clocks_agree(next, payment, &look.clocks) {
            // The request was settled beside it: it stands in the books, and nothing follows.
            Next::Stay if is_settled_beside(&leased) => self.set_due(&leased, None).await,
            // Another node, or one without memory: a look that was planned for now is not used up.
            Next::Stay if look.looked.trust != Trust::Same => self.ask_again(&leased).await,
            Next::Stay if is_worth_following(&leased, look.looked.word) => {
                tracing::error!(
                    payment = %payment.id,
                    withdraw = %payment.withdraw,
                    "closed as failed, yet the node is paying it, or has paid it"
                );
                self.ask_again(&leased).await;
            }
            // It is known to be paid by a closed attempt: this one must not pay it again. It was never
            // sent, or every send is over and the node knows nothing of it.
            Next::Send if leased.withdraw.late_success => {
                let next = Next::Fail(FailureReason::NotSent);
                self.conclude(leased, next, &look).await;
            }
            Next::Send if self.is_halted(&leased).await => self.postpone(&leased).await,
            Next::Send => self.send(leased, look).await,
            Next::Stay => self.postpone(&leased).await,
            next => self.conclude(leased, next, &look).await,
        }
    }

    /// Whether nothing is sent now: a pause, a fence, channels full of payments in flight, or a request
    /// that a restored database may have forgotten to be paid. Those who wait are looked up meanwhile,
    /// so that whoever waits too long is told. Pause and fence are judged once more, by the database,
    /// when the send is committed.
    async fn is_halted(&self, leased: &Leased) -> bool {
        let paying = &self.options.paying;
        if leased.withdraw.withheld {
            return true;
        }
        match self.store.standing(paying.clock_skew, None).await {
            Ok(standing) => {
                let full = standing.channels_full(paying);
                full || standing.paused.is_some() || standing.fenced.is_some() || !standing.verified
            }
            Err(error) => {
                let payment = leased.payment.id;
                tracing::warn!(%payment, error = %chain(&error), "did not send");
                true
            }
        }
    }

    async fn look(&self, leased: &Leased) -> Result<Look, Distrust> {
        let began = self.inquiry.clocks().await?;
        self.inquiry.look(&leased.payment, &began).await
    }

    /// Writes what follows from a look-up. A row that moved meanwhile is somebody else's: what the
    /// look-up told is stale with it.
    async fn conclude(&self, leased: Leased, next: Next, look: &Look) {
        let clocks = &look.clocks;
        let before = leased.payment.state;
        let advance = leased.payment.clone().follow(
            next,
            leased.withdraw.clone(),
            &self.inquiry.reopening(),
            clocks.now,
        );
        let mut advance = self.inquiry.scheduled(advance, clocks.now);
        advance.asked_at = Some(look.asked_at);
        match self.store.advance(&advance).await {
            Ok(()) => self.told(&advance, &before),
            // Another worker, or a change of the request: it is looked up anew, soon.
            Err(StoreError::Stale) => {
                let soon = clocks.now.plus(self.options.pace.first);
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

/// While wall and monotonic time disagree, nothing is sent, closed or reopened.
fn while_clocks_agree(next: Next, payment: &Payment, clocks: &Reading) -> Next {
    match next {
        Next::Send | Next::Fail(_) if !clocks.settled => Next::Stay,
        // It may seem too late to send.
        Next::Doubt(_) if !clocks.settled && payment.state == State::Reserved => Next::Stay,
        next => next,
    }
}

fn is_settled_beside(leased: &Leased) -> bool {
    let noted = matches!(leased.payment.state, State::Failed { late: Some(_), .. });
    noted && leased.withdraw.status != Status::Active
}

/// A closed attempt that may still turn out to be paid, or has, is not dropped after the last look
/// that was planned: a delayed send restarts it, and a hold invoice can keep it out for days.
fn is_worth_following(leased: &Leased, word: Word) -> bool {
    match (leased.payment.state, word) {
        (State::Failed { .. }, Word::InFlight(_)) => !leased.payment.sends.is_empty(),
        // Until the request is settled by it, or by the attempt beside it.
        (State::Failed { late: Some(_), .. }, _) => true,
        (
            State::Reserved
            | State::Sending
            | State::InFlight
            | State::Paid { .. }
            | State::Failed { .. }
            | State::NeedsOperator { .. },
            _,
        ) => false,
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
