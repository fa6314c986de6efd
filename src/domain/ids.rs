//! Ids: a prefix, `_`, and a `UUIDv7` as 26 characters of lower-case Crockford base32 (`TypeID`).
//!
//! The alphabet preserves the byte order, so the text sorts by time like the UUID.

use std::{fmt, hash::Hash, marker::PhantomData};

use uuid::Uuid;

use super::Timestamp;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// The length of a 128-bit value in base32.
pub(super) const BASE32_CHARS: usize = 26;

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("is required")]
    Missing,
    /// The text is not an id of this kind.
    #[error("must be {prefix}_ and 26 characters of lower-case base32")]
    Malformed {
        /// The expected prefix.
        prefix: &'static str,
    },
}

/// Encodes 128 bits as 26 characters; the first carries three bits.
pub(super) fn to_base32(value: u128) -> String {
    (0..BASE32_CHARS)
        .rev()
        .map(|place| char::from(ALPHABET[((value >> (5 * place)) & 31) as usize]))
        .collect()
}

/// Decodes only what [`to_base32`] encodes: no upper case, no look-alikes, no overflow.
fn from_base32(text: &str) -> Option<u128> {
    if text.len() != BASE32_CHARS || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0_u128, |value, byte| {
        let digit = ALPHABET.iter().position(|&letter| letter == byte)?;
        Some((value << 5) | digit as u128)
    })
}

/// A `UUIDv7` with this timestamp and these random bits.
fn new_uuid(at: Timestamp, random: &[u8; 10]) -> Uuid {
    let ms = u64::try_from(at.as_ms()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(ms, random).into_uuid()
}

fn first_uuid(at: Timestamp) -> Uuid {
    let ms = u128::try_from(at.as_ms()).unwrap_or(0).min((1 << 48) - 1);
    Uuid::from_u128(ms << 80)
}

fn time_of(uuid: Uuid) -> Timestamp {
    let ms = uuid.as_u128() >> 80;
    // 48 bits always fit.
    Timestamp::from_ms(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// Parses `prefix_…`.
fn parse(prefix: &'static str, text: &str) -> Result<Uuid, InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Missing);
    }
    text.strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .and_then(from_base32)
        .map(Uuid::from_u128)
        .ok_or(InvalidId::Malformed { prefix })
}

/// The kind of thing that an id names.
pub trait Kind: Copy + Ord + Hash + Send + Sync + 'static {
    /// The prefix of the text form.
    const PREFIX: &'static str;
}

/// Withdraw requests: `wr_…`. The id's timestamp is when the request was created.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WithdrawKind {}

/// Payments: `pay_…`. The id's timestamp is when the invoice was accepted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaymentKind {}

impl Kind for WithdrawKind {
    const PREFIX: &'static str = "wr";
}

impl Kind for PaymentKind {
    const PREFIX: &'static str = "pay";
}

/// An id of one kind. Ids sort by their timestamps.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id<K>(Uuid, PhantomData<K>);

/// The id of a withdraw request.
pub type WithdrawId = Id<WithdrawKind>;
/// The id of a payment.
pub type PaymentId = Id<PaymentKind>;

impl<K: Kind> Id<K> {
    /// A new id with this timestamp.
    pub fn new(at: Timestamp, random: &[u8; 10]) -> Self {
        Self::from_uuid(new_uuid(at, random))
    }

    /// The id from a row.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid, PhantomData)
    }

    /// The value for a row.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// Its timestamp.
    pub fn created(self) -> Timestamp {
        time_of(self.0)
    }

    /// The smallest id with this timestamp, for time ranges.
    pub fn first_at(at: Timestamp) -> Self {
        Self::from_uuid(first_uuid(at))
    }

    /// Parses the text form.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        parse(K::PREFIX, text).map(Self::from_uuid)
    }
}

impl<K: Kind> fmt::Display for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", K::PREFIX, to_base32(self.0.as_u128()))
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_ms(1_702_627_908_583);

    #[test]
    fn ids_survive_their_text_form_and_sort_by_time() {
        let earlier = WithdrawId::new(AT, &[0xff; 10]);
        let later = WithdrawId::new(AT.plus(super::super::Millis::from_ms(1)), &[0; 10]);

        assert_eq!(WithdrawId::parse(&earlier.to_string()), Ok(earlier));
        assert_eq!(earlier.created(), AT);
        assert!(earlier < later && earlier.to_string() < later.to_string());
        assert!(WithdrawId::first_at(AT) < earlier);
    }

    /// Known vectors of the `TypeID` specification's base32.
    #[test]
    fn base32_is_that_of_typeid() {
        assert_eq!(to_base32(0), "00000000000000000000000000");
        assert_eq!(to_base32(u128::MAX), "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        let uuid = Uuid::from_u128(0x0188_bac7_4afa_78aa_bc3b_bd1e_ef28_d881);
        assert_eq!(to_base32(uuid.as_u128()), "01h2xcejqtf2nbrexx3vqjhp41");
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        let good = WithdrawId::new(AT, &[7; 10]).to_string();
        let too_large = format!("wr_8{}", "0".repeat(25));
        for bad in ["", "wr_", &good[..28], &format!("{good}0"), &good.to_uppercase(), &too_large] {
            assert!(WithdrawId::parse(bad).is_err(), "{bad:?} was accepted as an id");
        }
        assert!(PaymentId::parse(&good).is_err(), "the prefix distinguishes kinds of ids");
        assert!(WithdrawId::parse("wr_0000000000000000000000000é").is_err());
    }
}
