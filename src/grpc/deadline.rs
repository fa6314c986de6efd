//! The caller's deadline, kept by us.
//!
//! tonic keeps it, too, but cuts the call off as CANCELLED, without a reason. So it is written down when the
//! call arrives, as tonic's clock begins, and the handler ends itself a moment before.

use http::{HeaderMap, HeaderValue};
use tonic::metadata::MetadataMap;

use crate::{
    domain::Millis,
    runtime::{Clock, Runtime},
};

/// The caller's word: the time that is left.
const TIMEOUT: &str = "grpc-timeout";
/// Our own, in its place among the headers: the instant, in milliseconds of the monotonic clock. What a
/// caller sends under this name is thrown away.
const DEADLINE: &str = "withdrawd-deadline-ms";
/// How long before it we answer: timers tick in milliseconds.
const BEFORE: Millis = Millis::from_ms(3);

/// Writes the deadline of a call that arrives now into its headers.
pub fn mark(headers: &mut HeaderMap, clock: &dyn Clock) {
    headers.remove(DEADLINE);
    let timeout = headers.get(TIMEOUT).and_then(|value| parse(value.to_str().ok()?));
    if let Some(timeout) = timeout {
        let deadline = clock.monotonic().plus(timeout);
        headers.insert(DEADLINE, HeaderValue::from(deadline.as_ms()));
    }
}

/// The time that a handler has until then, or less than none.
pub fn left(metadata: &MetadataMap, runtime: &Runtime) -> Option<Millis> {
    let deadline: i64 = metadata.get(DEADLINE)?.to_str().ok()?.parse().ok()?;
    Some(Millis::from_ms(deadline - BEFORE.as_ms() - runtime.clock.monotonic().as_ms()))
}

/// At most eight digits and a unit, as the specification has it.
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

    /// A caller cannot name the instant itself.
    #[test]
    fn only_what_was_marked_here_is_a_deadline() {
        let runtime = Runtime::system();
        let mut headers = HeaderMap::new();
        headers.insert(DEADLINE, HeaderValue::from_static("0"));
        mark(&mut headers, &*runtime.clock);
        assert_eq!(left(&MetadataMap::from_headers(headers.clone()), &runtime), None);

        headers.insert(DEADLINE, HeaderValue::from_static("0"));
        headers.insert(TIMEOUT, HeaderValue::from_static("1H"));
        mark(&mut headers, &*runtime.clock);
        let left = left(&MetadataMap::from_headers(headers), &runtime).unwrap();
        assert!(left > Millis::from_secs(3000) && left < Millis::from_secs(3600), "{left:?}");
    }
}
