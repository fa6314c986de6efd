//! The human-readable part: network and amount.

use lightning_invoice::Currency;

use super::Malformed;

const MSAT_PER_BTC: u64 = 100_000_000_000;

/// Parses `ln`, the network, and the optional amount.
pub(super) fn read(head: &str) -> Result<(Currency, Option<u64>), Malformed> {
    let head = head.strip_prefix("ln").ok_or(Malformed("unknown prefix"))?;
    let digits = head.find(|letter: char| letter.is_ascii_digit()).unwrap_or(head.len());
    let (network, amount) = head.split_at(digits);
    let currency = match network {
        "bc" => Currency::Bitcoin,
        "tb" => Currency::BitcoinTestnet,
        "tbs" => Currency::Signet,
        "bcrt" => Currency::Regtest,
        "sb" => Currency::Simnet,
        _ => return Err(Malformed("unknown network")),
    };
    Ok((currency, if amount.is_empty() { None } else { msat(amount)? }))
}

/// Parses an amount; None if it overflows.
fn msat(amount: &str) -> Result<Option<u64>, Malformed> {
    const FAULT: Malformed = Malformed("invalid amount");

    let unit = amount.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(amount.len());
    let (digits, unit) = amount.split_at(unit);
    let msat_per_unit = match unit {
        "" => MSAT_PER_BTC,
        "m" => MSAT_PER_BTC / 1_000,
        "u" => MSAT_PER_BTC / 1_000_000,
        "n" => MSAT_PER_BTC / 1_000_000_000,
        "p" => 0,
        _ => return Err(FAULT),
    };
    let Ok(number) = digits.parse::<u64>() else { return Ok(None) };
    if unit == "p" {
        // A pico-bitcoin is a tenth of a millisatoshi, so the number must be a multiple of ten.
        return if number % 10 == 0 { Ok(Some(number / 10)) } else { Err(FAULT) };
    }
    Ok(number.checked_mul(msat_per_unit))
}
