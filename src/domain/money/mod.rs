//! Amounts: decimals as callers write them, and whole satoshis and millisatoshis as nodes count them.

mod currency;

use std::fmt;

use rust_decimal::Decimal;

pub use currency::Currency;

const MAX_WHOLE_DIGITS: usize = 16;
const MAX_FRACTION_DIGITS: usize = 8;
const MAX_SIGNIFICANT_DIGITS: usize = 16;

/// A range of amounts, both ends included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SatRange {
    /// The minimum.
    pub min: Sat,
    /// The maximum.
    pub max: Sat,
}

/// A decimal amount or rate without trailing zeros, never negative.
///
/// Its grammar is `(0|[1-9][0-9]{0,15})(\.[0-9]{1,8})?` with at most 16 significant digits. It has its
/// own parser because `Decimal::from_str` also accepts `1_000`, `+5`, `.5` and `1e3`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

/// Why a text is not an [`Amount`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be digits, with an optional point and 1 to 8 decimals, at most 16 significant digits"
)]
pub struct InvalidAmount;

impl Amount {
    /// One.
    pub const ONE: Self = Self(Decimal::ONE);

    /// Parses the grammar above and nothing else.
    pub fn parse(text: &str) -> Result<Self, InvalidAmount> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(InvalidAmount),
            Some((whole, fraction)) => (whole, fraction),
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty()
            || whole.len() > MAX_WHOLE_DIGITS
            || fraction.len() > MAX_FRACTION_DIGITS
            || leading_zero
            || !digits(whole)
            || !digits(fraction)
        {
            return Err(InvalidAmount);
        }
        let fraction = fraction.trim_end_matches('0');
        let written = format!("{whole}{fraction}");
        if written.trim_start_matches('0').len() > MAX_SIGNIFICANT_DIGITS {
            return Err(InvalidAmount);
        }
        // There are at most 24 digits; an i128 holds 38.
        let units = written.parse::<i128>().map_err(|_| InvalidAmount)?;
        let scale = u32::try_from(fraction.len()).map_err(|_| InvalidAmount)?;
        Ok(Self(Decimal::from_i128_with_scale(units, scale)))
    }

    /// The amount from a row.
    pub fn from_decimal(value: Decimal) -> Self {
        Self(value.normalize())
    }

    /// The value for a row.
    pub const fn as_decimal(self) -> Decimal {
        self.0
    }

    /// Whether it is zero.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The number of decimals, without trailing zeros.
    pub const fn decimals(self) -> u32 {
        self.0.scale()
    }

    /// The value as an integer, if it is whole.
    pub fn as_whole(self) -> Option<i64> {
        if self.0.fract().is_zero() { i64::try_from(self.0.trunc().mantissa()).ok() } else { None }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.normalize(), f)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whole satoshis.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Sat(i64);

/// Millisatoshis, as invoices and nodes count.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Msat(i64);

impl Sat {
    /// The total supply of bitcoin.
    pub const MAX: Self = Self(2_100_000_000_000_000);

    /// An amount of satoshis; None if negative or above [`Self::MAX`].
    pub const fn new(sat: i64) -> Option<Self> {
        if sat >= 0 && sat <= Self::MAX.0 { Some(Self(sat)) } else { None }
    }

    /// The value.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The same in millisatoshis, which always fits.
    pub const fn to_msat(self) -> Msat {
        Msat(self.0 * 1000)
    }
}

impl Msat {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// The total supply of bitcoin.
    pub const MAX: Self = Sat::MAX.to_msat();

    /// An amount of millisatoshis; None if negative or above [`Self::MAX`].
    pub const fn new(msat: i64) -> Option<Self> {
        if msat >= 0 && msat <= Self::MAX.0 { Some(Self(msat)) } else { None }
    }

    /// The value.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Sat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Displays satoshis, with decimals only if needed.
impl fmt::Display for Msat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Decimal::new(self.0, 3).normalize(), f)
    }
}

/// The limit on routing fees: a share of the amount, with a minimum for small amounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePolicy {
    /// Parts per million of the amount.
    pub ppm: u32,
    /// The minimum limit, in millisatoshis.
    pub floor: Msat,
}

impl FeePolicy {
    /// The fee limit for a payment of `amount`.
    pub fn limit_for(&self, amount: Msat) -> Msat {
        let share = i128::from(amount.0) * i128::from(self.ppm) / 1_000_000;
        let share = i64::try_from(share).unwrap_or(Msat::MAX.0).min(Msat::MAX.0);
        Msat(share.max(self.floor.0))
    }

    /// The largest amount in whole satoshis that, with its fee limit, fits into `available`.
    pub fn largest_within(&self, available: Msat) -> Sat {
        let fits = |sat: Sat| {
            let amount = sat.to_msat();
            amount.0.saturating_add(self.limit_for(amount).0) <= available.0
        };
        // A first guess by division, off by at most a few steps of rounding.
        let by_share =
            i128::from(available.0) * 1_000_000 / (1_000_000 + i128::from(self.ppm)) / 1000;
        let by_floor = i128::from(available.0.saturating_sub(self.floor.0)) / 1000;
        let guess = by_share.min(by_floor).max(0) + 1;
        let mut most = i64::try_from(guess).ok().and_then(Sat::new).unwrap_or(Sat::MAX);
        while most.0 > 0 && !fits(most) {
            most = Sat(most.0 - 1);
        }
        most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_by_their_grammar_and_written_without_trailing_zeros() {
        let cases = [
            ("0", "0"),
            ("10", "10"),
            ("10.0", "10"),
            ("0.00000001", "0.00000001"),
            ("1.50", "1.5"),
            ("9999999999999999", "9999999999999999"),
            ("99999999.12345678", "99999999.12345678"),
        ];
        for (text, shown) in cases {
            assert_eq!(Amount::parse(text).map(|a| a.to_string()), Ok(shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_other_parsers_take_is_refused() {
        let bad = [
            "",
            "1_000",
            "+5",
            "-5",
            ".5",
            "5.",
            "1e3",
            "01",
            "00",
            "1,5",
            " 1",
            "1 ",
            "١",
            "0x1",
            "10000000000000000",
            "1.123456789",
            "123456789.12345678",
            "NaN",
            "1.2.3",
        ];
        for text in bad {
            assert_eq!(Amount::parse(text), Err(InvalidAmount), "{text:?}");
        }
    }

    #[test]
    fn fee_limits_are_a_share_with_a_floor() {
        let policy = FeePolicy { ppm: 5_000, floor: Msat(10_000) };
        assert_eq!(policy.limit_for(Msat(1_000_000)), Msat(10_000));
        assert_eq!(policy.limit_for(Msat(100_000_000)), Msat(500_000));
        let all = FeePolicy { ppm: u32::MAX, floor: Msat(0) };
        assert_eq!(all.limit_for(Msat::MAX), Msat::MAX);
    }

    #[test]
    fn people_read_satoshis() {
        assert_eq!(Msat(10_000).to_string(), "10");
        assert_eq!(Msat(10_500).to_string(), "10.5");
    }

    #[test]
    fn the_largest_amount_fits_with_its_fee_limit_and_the_next_does_not() {
        for (ppm, floor) in [(0, 0), (5000, 10_000), (1_000_000, 1), (333, 999), (4_000_000, 0)] {
            let fees = FeePolicy { ppm, floor: Msat::new(floor).unwrap() };
            for available in [0, 1, 999, 1000, 10_999, 11_000, 20_000, 123_456_789, Msat::MAX.0] {
                let most = fees.largest_within(Msat::new(available).unwrap());
                let cost = |sat: i64| sat * 1000 + fees.limit_for(Msat(sat * 1000)).0;
                assert!(most.0 == 0 || cost(most.0) <= available, "{ppm} {floor} {available}");
                assert!(cost(most.0 + 1) > available, "{ppm} {floor} {available}: {most}");
            }
        }
    }
}
