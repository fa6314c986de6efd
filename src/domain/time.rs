//! Instants and durations in whole milliseconds, as the database stores them.

use std::fmt;

/// An instant: milliseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A duration in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Millis(i64);

impl Timestamp {
    /// The latest instant that is stored: the end of the year 9999, the latest that
    /// `google.protobuf.Timestamp` can carry.
    pub const MAX: Self = Self(253_402_300_799_999);
    /// The first instant: the Unix epoch.
    pub const MIN: Self = Self(0);

    /// The instant `ms` milliseconds after the Unix epoch.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// This instant plus `span`, at most [`Self::MAX`].
    #[must_use]
    pub fn plus(self, span: Millis) -> Self {
        Self(self.0.saturating_add(span.0).min(Self::MAX.0))
    }

    /// This instant minus `span`.
    #[must_use]
    pub fn minus(self, span: Millis) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// The time from `earlier` to this instant; negative if this is before.
    pub fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ms", self.0)
    }
}

impl Millis {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// A duration of `ms` milliseconds.
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    /// A duration of `s` seconds.
    pub const fn from_secs(s: i64) -> Self {
        Self(s.saturating_mul(1000))
    }

    /// The duration in milliseconds.
    pub const fn as_ms(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded up, for messages to people.
    pub const fn as_secs_rounded_up(self) -> i64 {
        (self.0 + 999).div_euclid(1000)
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The absolute value.
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }

    /// For sleeping and timeouts; a negative duration becomes zero.
    pub fn as_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0).unwrap_or(0))
    }
}

/// The present by two clocks that may disagree: the process's and the database's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockBounds {
    /// By the clock that is behind.
    pub earlier: Timestamp,
    /// By the clock that is ahead.
    pub later: Timestamp,
}
