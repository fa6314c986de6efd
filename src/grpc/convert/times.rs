//! Times of this wire, read and written once, here.

use prost_types::Timestamp as WireTime;

use crate::domain::{CommonField, Timestamp, Violation};

/// A bound of a list. An invalid one is a violation.
pub fn read_bound(
    field: CommonField,
    given: Option<WireTime>,
    violations: &mut Vec<Violation>,
) -> Option<Timestamp> {
    let read = given.map(|time| read_time(&time)).transpose();
    read.unwrap_or_else(|rule| {
        violations.push(Violation::new(field, rule));
        None
    })
}

/// Rounds up to whole milliseconds, the resolution of all times in the database: right for an inclusive
/// lower and an exclusive upper bound.
pub fn read_time(time: &WireTime) -> Result<Timestamp, &'static str> {
    const RULE: &str = "must be a valid timestamp of the years 1 to 9999";
    let in_range = (-62_135_596_800..=253_402_300_799).contains(&time.seconds)
        && (0..1_000_000_000).contains(&time.nanos);
    if !in_range {
        return Err(RULE);
    }
    let ms = time.seconds * 1000
        + i64::from(time.nanos).div_euclid(1_000_000)
        + i64::from(time.nanos % 1_000_000 != 0);
    Ok(Timestamp::from_ms(ms.max(0)))
}

pub fn wire_time(time: Timestamp) -> WireTime {
    let ms = time.as_ms();
    // Less than 1,000 times 1,000,000.
    let nanos = i32::try_from(ms.rem_euclid(1000) * 1_000_000).unwrap_or_default();
    WireTime { seconds: ms.div_euclid(1000), nanos }
}
