//! bech32's characters as 5-bit values, which this folder calls letters.

use super::Malformed;

/// Longer numbers are invalid even with leading zeros: lnd checks the number of letters.
const MAX_NUMBER_LETTERS: usize = 13;

/// Parses a number, most significant letter first.
pub(super) fn number(letters: &[u8]) -> Result<u64, Malformed> {
    if letters.len() > MAX_NUMBER_LETTERS {
        return Err(Malformed("number out of range"));
    }
    // 128 bits hold all letters; the result must fit into 64.
    let number = letters.iter().fold(0_u128, |number, letter| number << 5 | u128::from(*letter));
    u64::try_from(number).map_err(|_| Malformed("number out of range"))
}

/// Unpacks letters into bytes. The padding must be shorter than a letter, and zero.
pub(super) fn bytes(letters: &[u8]) -> Result<Vec<u8>, Malformed> {
    let padding_bits = letters.len() * 5 % 8;
    let padding = letters.last().map_or(0, |last| last & ((1 << padding_bits.min(5)) - 1));
    if padding_bits > 4 || padding != 0 {
        return Err(Malformed("invalid padding of a field"));
    }
    let mut bytes = bytes_padded(letters);
    bytes.truncate(letters.len() * 5 / 8);
    Ok(bytes)
}

/// Unpacks letters into bytes, padded with zeros.
pub(super) fn bytes_padded(letters: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(letters.len() * 5 / 8 + 1);
    let (mut buffer, mut bits) = (0_u32, 0);
    for letter in letters {
        buffer = buffer << 5 | u32::from(*letter);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(low_byte(buffer >> bits));
        }
    }
    if bits > 0 {
        bytes.push(low_byte(buffer << (8 - bits)));
    }
    bytes
}

const fn low_byte(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

/// A number without leading zeros.
pub(super) fn of_number(number: u64) -> Vec<u8> {
    let count = (u64::BITS - number.leading_zeros()).div_ceil(5).max(1);
    (0..count).rev().map(|place| five(number >> (5 * place))).collect()
}

/// A number in so many letters; None where it takes more.
pub(super) fn padded(number: u64, count: usize) -> Option<Vec<u8>> {
    let number = of_number(number);
    let zeros = count.checked_sub(number.len())?;
    Some([vec![0; zeros], number].concat())
}

/// Bytes, and zeros behind them up to the next letter.
pub(super) fn of_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut letters = Vec::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut held, mut bits) = (0_u64, 0);
    for byte in bytes {
        held = (held << 8 | u64::from(*byte)) & 0xfff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            letters.push(five(held >> bits));
        }
    }
    if bits > 0 {
        letters.push(five(held << (5 - bits)));
    }
    letters
}

const fn five(number: u64) -> u8 {
    number.to_le_bytes()[0] & 31
}
