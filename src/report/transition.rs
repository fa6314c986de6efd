//! Tells of a step that is durable: one line, one count.

use tracing::Span;

use crate::{
    domain::{
        Actor, Payment, State,
        payment::{PaidAfter, Transition},
    },
    ports::Recorder,
    trace,
};

/// Tells of the step that led from `before` to `payment`, by an operator if one decided it. Anything that a
/// person must see is an error. The operator's reason stays out of the log: it is free text, and stands in
/// the event.
pub fn transition(
    recorder: &dyn Recorder,
    before: &State,
    payment: &Payment,
    operator: Option<&Actor>,
) {
    Span::current().record("withdrawd.payment.state", payment.state.name());
    let transition = Transition::of(before, payment);
    if let Some(operator) = operator {
        log_decision(payment, operator);
    }
    if let Some(transition) = transition {
        // What an operator decided has its line already, but for what must be seen whoever did it.
        if operator.is_none() || is_above_fee_limit(payment, transition) {
            log(payment, transition);
        }
        recorder.transition(payment, transition);
    }
}

fn is_above_fee_limit(payment: &Payment, transition: Transition) -> bool {
    matches!(transition, Transition::Paid { fee, .. } if fee > payment.fee_limit)
}

fn log_decision(payment: &Payment, operator: &Actor) {
    let Payment { id, withdraw, payment_hash, .. } = payment;
    let (operator, state) = (&operator.name, payment.state.name());
    let claim_trace_id = trace::claim_trace_id(payment);
    tracing::warn!(payment = %id, %withdraw, %payment_hash, operator, state, claim_trace_id,
        "resolved by an operator");
}

fn log(payment: &Payment, transition: Transition) {
    let Payment { id, withdraw, payment_hash: hash, .. } = payment;
    let claim_trace_id = trace::claim_trace_id(payment);
    match transition {
        Transition::Paid { fee, .. } if fee > payment.fee_limit => {
            let (fee_msat, fee_limit_msat) = (fee.get(), payment.fee_limit.get());
            tracing::error!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id, fee_msat,
                fee_limit_msat, "paid, above the fee limit");
        }
        Transition::Paid { fee, after: PaidAfter::Failure | PaidAfter::LateSuccess, .. } => {
            let fee_msat = fee.get();
            tracing::error!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id, fee_msat,
                "paid late, after it was closed as failed; the request was still free");
        }
        Transition::Paid { fee, after: PaidAfter::Open, .. } => {
            let fee_msat = fee.get();
            tracing::info!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id, fee_msat,
                "paid");
        }
        Transition::LateSuccess { .. } => {
            tracing::error!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id,
                "LATE_SUCCESS: paid after it was closed as failed");
        }
        Transition::Failed(reason) => {
            let reason = reason.name();
            tracing::info!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id, reason,
                "failed");
        }
        Transition::NeedsOperator(reason) => {
            let reason = reason.name();
            tracing::error!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id, reason,
                "NEEDS_OPERATOR: the payment is in doubt");
        }
        Transition::Advanced(state) => {
            let state = state.name();
            tracing::info!(payment = %id, %withdraw, payment_hash = %hash, claim_trace_id, state,
                "advanced");
        }
    }
}
