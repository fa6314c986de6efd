//! The creator's own data: a JSON object, stored as canonical text and returned unchanged in value.

use serde_json::{Map, Value};

const MAX_BYTES: usize = 4096;
const MAX_LEVELS: usize = 16;

/// A JSON object as text: keys sorted, numbers as doubles, no whitespace.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PassThru(String);

/// Why an object cannot be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PassThruFault {
    /// Too large.
    #[error("must be at most 4096 bytes as JSON")]
    TooLarge,
    /// Nested too deeply.
    #[error("must be at most 16 levels deep")]
    TooDeep,
    /// It contains NaN or infinity, which JSON cannot represent.
    #[error("must have no NaN and no infinity")]
    NotFinite,
    /// It contains U+0000, which Postgres text cannot hold.
    #[error("must have no U+0000 in its strings and keys")]
    Nul,
}

impl PassThru {
    /// Checks the limits and produces the canonical text.
    pub fn new(object: &Map<String, Value>) -> Result<Self, PassThruFault> {
        for (key, value) in object {
            check(key, value, 2)?;
        }
        let text = Value::Object(object.clone()).to_string();
        if text.len() > MAX_BYTES { Err(PassThruFault::TooLarge) } else { Ok(Self(text)) }
    }

    /// The text from a row.
    pub const fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The value for a row.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the object again. Empty if other software wrote invalid JSON into the row.
    pub fn to_object(&self) -> Map<String, Value> {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

/// Recurses no deeper than the limit: `level` is the depth that `value` would reach.
fn check(key: &str, value: &Value, level: usize) -> Result<(), PassThruFault> {
    if key.contains('\0') {
        return Err(PassThruFault::Nul);
    }
    match value {
        Value::String(text) if text.contains('\0') => Err(PassThruFault::Nul),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        Value::Array(_) | Value::Object(_) if level > MAX_LEVELS => Err(PassThruFault::TooDeep),
        Value::Array(items) => items.iter().try_for_each(|item| check("", item, level + 1)),
        Value::Object(map) => map.iter().try_for_each(|(k, v)| check(k, v, level + 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Map<String, Value> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn objects_come_back_equal_with_sorted_keys() {
        let given = object(r#"{"b":[1.5,null,true,"é"],"a":{"x":""}}"#);
        let kept = PassThru::new(&given).unwrap();
        assert_eq!(kept.as_str(), r#"{"a":{"x":""},"b":[1.5,null,true,"é"]}"#);
        assert_eq!(kept.to_object(), given);
    }

    #[test]
    fn limits_hold_at_their_edges() {
        let nested =
            |levels: usize| format!("{}{}", r#"{"a":"#.repeat(levels), "1") + &"}".repeat(levels);
        assert!(PassThru::new(&object(&nested(16))).is_ok());
        assert_eq!(PassThru::new(&object(&nested(17))), Err(PassThruFault::TooDeep));

        let sized = |n: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(n - 8));
        assert!(PassThru::new(&object(&sized(4096))).is_ok());
        assert_eq!(PassThru::new(&object(&sized(4097))), Err(PassThruFault::TooLarge));
        assert_eq!(PassThru::new(&object(r#"{"a":"\u0000"}"#)), Err(PassThruFault::Nul));
    }
}
