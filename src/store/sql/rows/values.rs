//! The other way: values of the domain as the parameters of statements.

use crate::{
    domain::{
        FailureReason, Msat, NodeId, PassThru, Payment, Preimage, State, Timestamp, TraceContext,
        Withdraw,
    },
    store::{
        driver::Value,
        sql::{int, opt_bytes, opt_text, text, uuid},
    },
};

/// What of a request changes, in the order of the statements `withdraw.create` and
/// `withdraw.change`.
pub fn withdraw_standing(withdraw: &Withdraw) -> Vec<Value> {
    vec![
        text(withdraw.status.name()),
        int(withdraw.claimable_until.as_ms()),
        Value::Int(withdraw.reopens_at.map(Timestamp::as_ms)),
        Value::Bool(withdraw.claimable),
        Value::Uuid(withdraw.attempt.map(|attempt| attempt.id.as_uuid())),
        opt_text(withdraw.attempt.map(|attempt| attempt.hold.name())),
        Value::Bool(withdraw.late_success),
        Value::Bool(withdraw.withheld),
        int(withdraw.modified.as_ms()),
    ]
}

/// All of a new request, in the order of the statement `withdraw.create`.
pub fn new_withdraw(withdraw: &Withdraw) -> Vec<Value> {
    let terms = &withdraw.terms;
    let mut values = vec![
        uuid(withdraw.id.as_uuid()),
        int(withdraw.version),
        opt_text(withdraw.request_id.as_deref()),
        Value::Decimal(terms.min_amount.as_decimal()),
        Value::Decimal(terms.max_amount.as_decimal()),
        text(&terms.currency),
        text(&terms.target_currency),
        Value::Decimal(terms.exchange_rate.as_decimal()),
        int(terms.ttl_s),
        int(terms.target_min.get()),
        int(terms.target_max.get()),
        text(&terms.memo),
        opt_text(terms.statement_descriptor.as_deref()),
        opt_text(terms.pass_thru.as_ref().map(PassThru::as_str)),
        text(withdraw.key.as_str()),
        Value::Bytes(Some(withdraw.secret_hash.as_bytes().to_vec())),
        int(withdraw.expires_at.as_ms()),
    ];
    values.extend(withdraw_standing(withdraw));
    values.push(trace_parent(withdraw.trace_parent));
    values
}

/// The span that a row goes back to.
pub fn trace_parent(context: Option<TraceContext>) -> Value {
    Value::Text(context.map(|context| context.to_string()))
}

/// What of an attempt changes, in the order of the statement `payment.advance`.
pub fn payment_standing(payment: &Payment) -> Vec<Value> {
    let (preimage, fee, failure, doubt, late, at) = match &payment.state {
        State::Reserved | State::Sending | State::InFlight => (None, None, None, None, None, None),
        State::Paid { preimage, fee, at } => {
            (Some(preimage), Some(*fee), None, None, None, Some(*at))
        }
        State::Failed { reason, at, late } => {
            (None, None, Some(reason.name()), None, late.as_ref(), Some(*at))
        }
        State::NeedsOperator { reason, at } => {
            (None, None, None, Some(reason.name()), None, Some(*at))
        }
    };
    vec![
        text(payment.state.name()),
        Value::Int(at.map(Timestamp::as_ms)),
        opt_text(payment.noted.map(FailureReason::name)),
        opt_bytes(preimage.map(Preimage::as_bytes)),
        Value::Int(fee.map(Msat::get)),
        opt_text(failure),
        opt_text(doubt),
        opt_bytes(late.map(|late| late.preimage.as_bytes())),
        Value::Int(late.map(|late| late.fee.get())),
        Value::Int(late.map(|late| late.at.as_ms())),
        opt_text(payment.node().map(NodeId::as_str)),
    ]
}
