//! `google.protobuf.Struct` ↔ JSON. Numbers are doubles on both sides.

use std::collections::BTreeMap;

use prost_types::{ListValue, Struct, value::Kind};
use serde_json::{Map, Number, Value};

use crate::domain::PassThruFault;

/// A Struct as a JSON object; JSON has no NaN and no infinity.
pub fn to_object(fields: Struct) -> Result<Map<String, Value>, PassThruFault> {
    fields.fields.into_iter().map(|(key, value)| Ok((key, to_value(value)?))).collect()
}

fn to_value(value: prost_types::Value) -> Result<Value, PassThruFault> {
    Ok(match value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(value)) => Value::Bool(value),
        Some(Kind::StringValue(value)) => Value::String(value),
        Some(Kind::NumberValue(value)) => {
            Value::Number(Number::from_f64(value).ok_or(PassThruFault::NotFinite)?)
        }
        Some(Kind::ListValue(list)) => {
            let items: Result<Vec<Value>, _> = list.values.into_iter().map(to_value).collect();
            Value::Array(items?)
        }
        Some(Kind::StructValue(fields)) => Value::Object(to_object(fields)?),
    })
}

/// A JSON object as a Struct.
pub fn to_struct(object: Map<String, Value>) -> Struct {
    let fields: BTreeMap<String, prost_types::Value> =
        object.into_iter().map(|(key, value)| (key, from_value(value))).collect();
    Struct { fields }
}

fn from_value(value: Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(value),
        Value::String(value) => Kind::StringValue(value),
        // Every number in here was a double once.
        Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        Value::Array(items) => {
            Kind::ListValue(ListValue { values: items.into_iter().map(from_value).collect() })
        }
        Value::Object(object) => Kind::StructValue(to_struct(object)),
    };
    prost_types::Value { kind: Some(kind) }
}
