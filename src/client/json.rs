//! The JSON of protobuf, by the descriptors of the contract: what `--json` prints and what `--pass-thru` takes.
//!
//! Names are those of the proto, 64-bit integers are texts, times RFC 3339, enums names. A field is left out
//! where the contract lets it be absent and it is; all others are always there, so that a program need not
//! know their defaults.

use prost::{Message, Name};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use prost_types::Struct;
use serde_json::{Deserializer, Value};

use super::ClientError;
use crate::pb;

const STRUCT: &str = "google.protobuf.Struct";

/// All of a message.
pub fn to_json<M: Message + Name>(message: &M) -> Result<Value, ClientError> {
    let mut dynamic = DynamicMessage::new(descriptor(&M::full_name())?);
    dynamic.transcode_from(message).map_err(json_fault)?;
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
    let value = dynamic.serialize_with_options(serde_json::value::Serializer, &options);
    Ok(shortest(value.map_err(json_fault)?))
}

/// What `--pass-thru` says.
pub(super) fn read_object(text: &str) -> Result<Struct, ClientError> {
    let fault = |error: serde_json::Error| ClientError::PassThru(error.to_string());
    let mut json = Deserializer::from_str(text);
    let object = DynamicMessage::deserialize(descriptor(STRUCT)?, &mut json).map_err(fault)?;
    json.end().map_err(fault)?;
    object.transcode_to().map_err(json_fault)
}

fn descriptor(message: &str) -> Result<MessageDescriptor, ClientError> {
    let pool = DescriptorPool::decode(pb::DESCRIPTORS).map_err(json_fault)?;
    let descriptor = pool.get_message_by_name(message);
    descriptor.ok_or_else(|| ClientError::Json(format!("{message} is unknown")))
}

fn json_fault(error: impl std::error::Error) -> ClientError {
    ClientError::Json(error.to_string())
}

/// With the doubles of a Struct as JSON writes numbers elsewhere: 19 and not 19.0.
fn shortest(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64().map(|double| (double, double.to_string())) {
            // Without an exponent or a point, and within what a double tells apart.
            Some((double, text)) if double.abs() < 9e15 => {
                text.parse::<i64>().map_or(Value::Number(number), Value::from)
            }
            Some(_) | None => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(shortest).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, shortest(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{Duration, Timestamp};
    use serde_json::json;

    use super::*;
    use crate::pb::{Payment, Withdraw, instance, payment, withdraw};

    #[test]
    fn it_is_the_json_of_protobuf_with_the_names_of_the_contract() {
        let pass_thru =
            r#"{"whole": 19, "part": 1.5, "large": 1e300, "list": [null, true, {"a": "b"}]}"#;
        let withdraw = Withdraw {
            status: withdraw::Status::Paid.into(),
            ttl: Some(Duration { seconds: 600, nanos: 0 }),
            created: Some(Timestamp { seconds: 1_795_851_074, nanos: 120_000_000 }),
            pass_thru: Some(read_object(pass_thru).unwrap()),
            payment: Some(Payment {
                amount_msat: 9_007_199_254_740_993,
                fee_msat: Some(0),
                sends: vec![payment::Send { number: 1, ..Default::default() }],
                ..Payment::default()
            }),
            ..Withdraw::default()
        };
        let json = to_json(&withdraw).unwrap();
        for (path, value) in [
            ("/status", json!("PAID")),
            ("/ttl", json!("600s")),
            ("/created", json!("2026-11-28T07:31:14.120Z")),
            ("/pass_thru", serde_json::from_str(pass_thru).unwrap()),
            ("/payment/amount_msat", json!("9007199254740993")),
            ("/payment/fee_msat", json!("0")),
            ("/payment/sends/0/number", json!("1")),
            // Never absent.
            ("/claimable", json!(false)),
            ("/memo", json!("")),
            ("/unclaimable_reason", json!("UNCLAIMABLE_REASON_UNSPECIFIED")),
            ("/payment/preimage", json!("")),
        ] {
            assert_eq!(json.pointer(path), Some(&value), "{path}");
        }
        for absent in ["/modified", "/statement_descriptor", "/payment/finished"] {
            assert_eq!(json.pointer(absent), None, "{absent}");
        }
        let node = to_json(&instance::Node::default()).unwrap();
        assert_eq!(node["can_send_msat"], "0", "a message within another");
    }

    #[test]
    fn whole_doubles_are_written_without_a_point() {
        for (given, written) in [
            ("19.0", "19"),
            ("-0.0", "0"),
            ("8999999999999999", "8999999999999999"),
            ("1e3", "1000"),
            ("0.5", "0.5"),
        ] {
            let pass_thru = Some(read_object(&format!(r#"{{"n": {given}}}"#)).unwrap());
            let withdraw = Withdraw { pass_thru, ..Withdraw::default() };
            let json = to_json(&withdraw).unwrap();
            assert_eq!(json["pass_thru"]["n"].to_string(), written, "{given}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["17", "[1]", "{order: 17}", "null", "{} {}", r#"{"a": 1e999}"#] {
            let read = read_object(text);
            assert!(matches!(read, Err(ClientError::PassThru(_))), "{text}: {read:?}");
        }
    }
}
