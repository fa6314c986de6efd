//! The people who run the service: what they decide is written down with their names.

use super::{Field, Violation};

const MAX_NAME_BYTES: usize = 128;
const MAX_REASON_BYTES: usize = 640;

/// Who decided, and what they said to it. Stands in the event of the change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operator {
    /// As they called themselves; nobody has checked it.
    pub name: String,
    /// Why, and what was known.
    pub note: String,
}

/// What is wrong with the name of who decides, and with their reason.
pub fn operator_violations(name: &str, reason: &str) -> Vec<Violation> {
    let rules = [(Field::Operator, name_rule(name)), (Field::Reason, reason_rule(reason))];
    let broken = rules.into_iter().filter_map(|(field, rule)| Some((field, rule?)));
    broken.map(|(field, rule)| Violation::new(field, rule)).collect()
}

/// The rule that a name breaks.
fn name_rule(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        Some("is required".to_owned())
    } else if text.len() > MAX_NAME_BYTES {
        Some(format!("must be at most {MAX_NAME_BYTES} bytes"))
    } else if text.contains(char::is_control) {
        Some("must have no control characters".to_owned())
    } else {
        None
    }
}

/// The rule that a reason breaks.
fn reason_rule(text: &str) -> Option<String> {
    let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.trim().is_empty() {
        Some("is required".to_owned())
    } else if text.len() > MAX_REASON_BYTES {
        Some(format!("must be at most {MAX_REASON_BYTES} bytes"))
    } else if text.contains(odd) {
        Some("must have no control characters but tab and newline".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_at_their_edges() {
        assert_eq!(name_rule(&"é".repeat(64)), None);
        for bad in ["", " ", &"x".repeat(129), "al\nice", "\u{1b}[31mroot", "nul\0"] {
            assert!(name_rule(bad).is_some(), "{bad:?} was taken for a name");
        }
        assert_eq!(reason_rule(&"x".repeat(640)), None);
        assert_eq!(reason_rule("asked the payee:\n\tnot paid"), None);
        for bad in ["", "\n\t", &"x".repeat(641), "\u{7}", "nul\0"] {
            assert!(reason_rule(bad).is_some(), "{bad:?} was taken for a reason");
        }
    }
}
