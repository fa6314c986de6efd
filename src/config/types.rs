//! Checks that every key is an option and every value has its option's type, and reports all mistakes at
//! once. The example file defines the options and their types.

use config::{Map, Value, ValueKind};

use super::{
    check::Mistake,
    names::{likely, options},
};

/// Reports keys of `given` that are not in `example`, and values of other types than there. Removes these
/// keys and replaces these values by the example's, so that the rest can be read.
pub(super) fn check_types(
    given: &mut Map<String, Value>,
    example: &Map<String, Value>,
) -> Vec<Mistake> {
    let mut found = Vec::new();
    check_section("", given, example, &mut found);
    found.sort_by(|a, b| a.option.cmp(&b.option));
    found
}

fn check_section(
    section: &str,
    given: &mut Map<String, Value>,
    example: &Map<String, Value>,
    found: &mut Vec<Mistake>,
) {
    let name = |key: &str| {
        if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
    };
    given.retain(|key, value| {
        let option = name(key);
        let Some(like) = example.get(key) else {
            found.extend(unknown(&option, value));
            return false;
        };
        match (&mut value.kind, &like.kind) {
            (ValueKind::Table(inner), ValueKind::Table(like)) => {
                check_section(&option, inner, like, found);
            }
            (kind, like_kind) => {
                if let Some(expected) = mismatch(kind, like_kind) {
                    found.push(mistyped(&option, value, expected));
                    *value = like.clone();
                }
            }
        }
        true
    });
}

/// Reports each key of an unknown section on its own: one of them may only be in the wrong section.
fn unknown(option: &str, value: &Value) -> Vec<Mistake> {
    if let ValueKind::Table(inner) = &value.kind {
        let inner = inner.iter();
        return inner.flat_map(|(key, value)| unknown(&format!("{option}.{key}"), value)).collect();
    }
    let known = options();
    let meant = likely(option, known.iter().map(String::as_str));
    let meant = meant.map(|meant| format!(" (did you mean {meant}?)")).unwrap_or_default();
    vec![Mistake::new(option, format!("is not an option{meant}"))]
}

/// The expected type; none if the value has it. The environment and flags give strings.
fn mismatch(kind: &ValueKind, like: &ValueKind) -> Option<&'static str> {
    use ValueKind::{Array, Boolean, I64, I128, String, Table, U64, U128};
    let fits = match (like, kind) {
        (I64(_), I64(_) | U64(_)) | (Boolean(_), Boolean(_)) | (String(_), String(_)) => true,
        (I64(_), String(text)) => text.trim().parse::<i64>().is_ok(),
        (Boolean(_), String(text)) => matches!(text.as_str(), "true" | "false"),
        (Array(like), Array(given)) => {
            given.len() == like.len() && given.iter().all(|entry| matches!(entry.kind, I64(_)))
        }
        _ => false,
    };
    (!fits).then_some(match like {
        I64(_) | I128(_) | U64(_) | U128(_) => "an integer",
        Boolean(_) => "true or false",
        Array(_) => "a list of two integers",
        Table(_) => "a section",
        _ => "a string",
    })
}

/// No value is repeated: a secret may stand in the wrong place.
fn mistyped(option: &str, value: &Value, expected: &str) -> Mistake {
    let found = match &value.kind {
        ValueKind::String(_) => ", but it is a string",
        ValueKind::Boolean(_) => ", but it is true or false",
        ValueKind::I64(_) | ValueKind::I128(_) | ValueKind::U64(_) | ValueKind::U128(_) => {
            ", but it is an integer"
        }
        ValueKind::Float(_) => ", but it is a decimal number",
        ValueKind::Array(_) => ", but it is a list",
        ValueKind::Table(_) => ", but it is a section",
        ValueKind::Nil => "",
    };
    Mistake::new(option, format!("must be {expected}{found}"))
}
