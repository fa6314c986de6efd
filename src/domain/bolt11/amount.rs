//! The human-readable part: network and amount.

use super::{Currency, Malformed};

const MSAT_PER_BTC: u64 = 100_000_000_000;
/// What an amount can be counted in, the largest first; `p`, a tenth of a millisatoshi, apart.
const UNITS: [(&str, u64); 4] = [
    ("", MSAT_PER_BTC),
    ("m", MSAT_PER_BTC / 1_000),
    ("u", MSAT_PER_BTC / 1_000_000),
    ("n", MSAT_PER_BTC / 1_000_000_000),
];

/// Parses `ln`, the network, and the optional amount.
pub(super) fn read(head: &str) -> Result<(Currency, Option<u64>), Malformed> {
    let head = head.strip_prefix("ln").ok_or(Malformed("unknown prefix"))?;
    let digits = head.find(|letter: char| letter.is_ascii_digit()).unwrap_or(head.len());
    let (network, amount) = head.split_at(digits);
    let currency = Currency::read(network).ok_or(Malformed("its network"))?;
    Ok((currency, if amount.is_empty() { None } else { msat(amount)? }))
}

/// Parses an amount; None if it overflows.
fn msat(amount: &str) -> Result<Option<u64>, Malformed> {
    const FAULT: Malformed = Malformed("invalid amount");

    let unit = amount.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(amount.len());
    let (digits, unit) = amount.split_at(unit);
    let msat_per_unit = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, msat)| *msat);
    if msat_per_unit.is_none() && unit != "p" {
        return Err(FAULT);
    }
    let Ok(number) = digits.parse::<u64>() else { return Ok(None) };
    match msat_per_unit {
        Some(msat) => Ok(number.checked_mul(msat)),
        // Ten of them are the least that can be paid.
        None if number % 10 == 0 => Ok(Some(number / 10)),
        None => Err(FAULT),
    }
}

/// The shortest that [`read`] reads the same.
pub(super) fn write(currency: Currency, msat: u64) -> String {
    let fits = UNITS.iter().find(|(_, msat_per_unit)| msat.is_multiple_of(*msat_per_unit));
    match fits {
        Some((unit, msat_per_unit)) => format!("ln{currency}{}{unit}", msat / msat_per_unit),
        None => format!("ln{currency}{msat}0p"),
    }
}
