//! The people who run the service: what they decide is written down with their names.

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

/// Reads an operator's name, or says what one looks like.
pub fn read_operator_name(text: &str) -> Result<&str, String> {
    if text.trim().is_empty() {
        Err("is required".to_owned())
    } else if text.len() > MAX_NAME_BYTES {
        Err(format!("must be at most {MAX_NAME_BYTES} bytes"))
    } else if text.contains(char::is_control) {
        Err("must have no control characters".to_owned())
    } else {
        Ok(text)
    }
}

/// Reads an operator's reason, or says what one looks like.
pub fn read_operator_reason(text: &str) -> Result<&str, String> {
    let odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.trim().is_empty() {
        Err("is required".to_owned())
    } else if text.len() > MAX_REASON_BYTES {
        Err(format!("must be at most {MAX_REASON_BYTES} bytes"))
    } else if text.contains(odd) {
        Err("must have no control characters but tab and newline".to_owned())
    } else {
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_at_their_edges() {
        assert_eq!(read_operator_name(&"é".repeat(64)), Ok("é".repeat(64).as_str()));
        for bad in ["", " ", &"x".repeat(129), "al\nice", "\u{1b}[31mroot", "nul\0"] {
            assert!(read_operator_name(bad).is_err(), "{bad:?} was taken for a name");
        }
        assert!(read_operator_reason(&"x".repeat(640)).is_ok());
        assert!(read_operator_reason("asked the payee:\n\tnot paid").is_ok());
        for bad in ["", "\n\t", &"x".repeat(641), "\u{7}", "nul\0"] {
            assert!(read_operator_reason(bad).is_err(), "{bad:?} was taken for a reason");
        }
    }
}
