//! The caller's deadline. It is enforced on the server too, so that a caller that still listens gets a status
//! that names the reason.

use http::HeaderMap;

use crate::domain::Millis;

/// The header with the time that is left.
const TIMEOUT: &str = "grpc-timeout";

/// How long a call that arrives now may take, if its caller sets a deadline.
pub fn of(headers: &HeaderMap) -> Option<Millis> {
    headers.get(TIMEOUT).and_then(|value| parse(value.to_str().ok()?))
}

/// At most eight digits and a unit, by gRPC's specification.
fn parse(text: &str) -> Option<Millis> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: i64 = digits.parse().ok()?;
    let ms = match unit {
        "H" => count * 3_600_000,
        "M" => count * 60_000,
        "S" => count * 1000,
        "m" => count,
        "u" => count / 1000,
        "n" => count / 1_000_000,
        _ => return None,
    };
    Some(Millis::from_ms(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_specification_has_them() {
        for (text, ms) in [
            ("99999999H", 99_999_999 * 3_600_000),
            ("2M", 120_000),
            ("5S", 5000),
            ("20m", 20),
            ("20999u", 20),
            ("1n", 0),
        ] {
            assert_eq!(parse(text).map(Millis::as_ms), Some(ms), "{text}");
        }
        for text in ["", "m", "5", "5x", "-5m", "+5m", " 5m", "123456789m", "é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
