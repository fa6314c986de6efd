//! A withdraw request as JSON, with the field names of the proto (and `ttl_s` for `ttl`, in seconds).

use prost_types::{Timestamp, value::Kind};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::pb::{
    Payment, Withdraw,
    payment::{FailureReason, LateSuccess, OperatorReason, Send, State, send::Answer},
    withdraw::UnclaimableReason,
};

/// All that is set. Amounts stay decimal texts, times are RFC 3339.
pub fn to_json(withdraw: &Withdraw) -> Value {
    let reason = withdraw.unclaimable_reason();
    without_nulls(json!({
        "id": withdraw.id,
        "object": withdraw.object,
        "status": withdraw.status().as_str_name(),
        "min_amount": withdraw.min_amount,
        "max_amount": withdraw.max_amount,
        "currency": withdraw.currency,
        "target_currency": withdraw.target_currency,
        "exchange_rate": withdraw.exchange_rate,
        "ttl_s": withdraw.ttl.map(|ttl| ttl.seconds),
        "expires_at": withdraw.expires_at.as_ref().map(time_text),
        "target_min_amount": withdraw.target_min_amount,
        "target_max_amount": withdraw.target_max_amount,
        "type": withdraw.r#type,
        "withdraw_request": withdraw.withdraw_request,
        "statement_descriptor": withdraw.statement_descriptor,
        "created": withdraw.created.as_ref().map(time_text),
        "modified": withdraw.modified.as_ref().map(time_text),
        "memo": withdraw.memo,
        "pass_thru": withdraw.pass_thru.clone().map(object),
        "ott": withdraw.ott,
        "lnurlw": withdraw.lnurlw,
        "claimable": withdraw.claimable,
        "unclaimable_reason": unless_default(reason == UnclaimableReason::Unspecified, reason.as_str_name()),
        "payment": withdraw.payment.as_ref().map(payment),
    }))
}

/// A payment: all that is set. Amounts are numbers of millisatoshis.
pub fn payment_to_json(shown: &Payment) -> Value {
    without_nulls(payment(shown))
}

fn payment(payment: &Payment) -> Value {
    let (failure, doubt) = (payment.failure_reason(), payment.operator_reason());
    let noted = payment.noted_failure();
    json!({
        "id": payment.id,
        "withdraw_id": payment.withdraw_id,
        "state": payment.state().as_str_name(),
        "invoice": payment.invoice,
        "payment_hash": payment.payment_hash,
        "preimage": unless_default(payment.state() != State::Paid, &payment.preimage),
        "amount_msat": payment.amount_msat,
        "fee_limit_msat": payment.fee_limit_msat,
        "fee_msat": payment.fee_msat,
        "failure_reason": unless_default(failure == FailureReason::Unspecified, failure.as_str_name()),
        "operator_reason": unless_default(doubt == OperatorReason::Unspecified, doubt.as_str_name()),
        "created": payment.created.as_ref().map(time_text),
        "finished": payment.finished.as_ref().map(time_text),
        "noted_failure": unless_default(noted == FailureReason::Unspecified, noted.as_str_name()),
        "late_success": payment.late_success.as_ref().map(late_success),
        "send_until": payment.send_until.as_ref().map(time_text),
        "invoice_expires_at": payment.invoice_expires_at.as_ref().map(time_text),
        "sends": (!payment.sends.is_empty())
            .then(|| payment.sends.iter().map(send).collect::<Vec<_>>()),
    })
}

fn unless_default(default: bool, text: &str) -> Value {
    if default { Value::Null } else { Value::String(text.to_owned()) }
}

fn late_success(late: &LateSuccess) -> Value {
    json!({
        "preimage": late.preimage,
        "fee_msat": late.fee_msat,
        "at": late.at.as_ref().map(time_text),
    })
}

fn send(send: &Send) -> Value {
    let answer = send.answer();
    without_nulls(json!({
        "number": send.number,
        "node_id": send.node_id,
        "sent_at": send.sent_at.as_ref().map(time_text),
        "send_deadline": send.send_deadline.as_ref().map(time_text),
        "answer": unless_default(answer == Answer::Unspecified, answer.as_str_name()),
    }))
}

/// RFC 3339.
pub fn time_text(time: &Timestamp) -> String {
    let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

/// When a request expires, to the second: nobody waits for its thousandths.
pub fn expiry_text(withdraw: &Withdraw) -> String {
    let whole = withdraw.expires_at.as_ref().map(|at| Timestamp { nanos: 0, ..*at });
    whole.as_ref().map(time_text).unwrap_or_default()
}

fn object(fields: prost_types::Struct) -> Value {
    let fields = fields.fields.into_iter();
    Value::Object(fields.map(|(key, field)| (key, value(field))).collect::<Map<_, _>>())
}

/// What `--pass-thru` says.
pub(super) fn read_object(text: &str) -> Result<prost_types::Struct, String> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let fields = object.into_iter().map(|(key, value)| (key, to_wire(value)));
    Ok(prost_types::Struct { fields: fields.collect() })
}

fn to_wire(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(flag) => Kind::BoolValue(flag),
        Value::String(text) => Kind::StringValue(text),
        // A Struct has doubles alone.
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or(f64::NAN)),
        Value::Array(values) => Kind::ListValue(prost_types::ListValue {
            values: values.into_iter().map(to_wire).collect(),
        }),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| (key, to_wire(value)));
            Kind::StructValue(prost_types::Struct { fields: fields.collect() })
        }
    };
    prost_types::Value { kind: Some(kind) }
}

/// As JSON writes numbers elsewhere: 19 and not 19.0.
fn shortest(number: f64) -> Value {
    // Without an exponent, and within what a double tells apart.
    let text = number.to_string();
    match text.parse::<i64>() {
        Ok(whole) if number.abs() < 9e15 => json!(whole),
        Ok(_) | Err(_) => json!(number),
    }
}

fn value(field: prost_types::Value) -> Value {
    match field.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(flag)) => Value::Bool(flag),
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::NumberValue(number)) => shortest(number),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(value).collect(),
        Some(Kind::StructValue(fields)) => object(fields),
    }
}

/// Absent is left out, as everywhere in JSON that people read.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(_, field)| !field.is_null());
            let kept = kept.map(|(key, field)| match key.as_str() {
                "payment" => (key, without_nulls(field)),
                _ => (key, field),
            });
            Value::Object(kept.collect())
        }
        other => other,
    }
}
