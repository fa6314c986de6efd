//! Reports a payment transition once it is durable: one log line, one count.

use tracing::Span;

use crate::{
    domain::{
        Actor, Payment, State,
        payment::{OperatorReason, PaidAfter, Transition},
    },
    ports::Recorder,
    trace,
};

/// Reports the transition from `before` to `payment`; `operator` is set if an operator decided it. What an
/// operator must see is logged as an error. The operator's reason is not logged, since it is free text: the
/// event has it.
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
        // An operator's decision has its own log line. A fee above the limit is logged whoever decided.
        if operator.is_none() || is_above_fee_limit(payment, transition) {
            log(payment, transition);
        }
        recorder.transition(payment, transition);
    }
}

/// Reports that the node's record contradicts an attempt that was sent and closed as failed. Nothing changes,
/// and only an operator can tell whether the payee was paid.
pub fn contradiction(payment: &Payment, why: OperatorReason) {
    let Payment { id, withdraw, payment_hash, .. } = payment;
    let (reason, claim_trace_id) = (why.name(), trace::claim_trace_id(payment));
    tracing::error!(payment = %id, %withdraw, %payment_hash, claim_trace_id, reason,
        "closed as failed, but the node's record contradicts it: the payee may have been paid; ask the payee, \
         and deactivate the request unless the payee denies it");
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
                "paid late, after it was closed as failed; its request was still unpaid");
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
                "state changed");
        }
    }
}
