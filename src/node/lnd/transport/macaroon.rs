//! Macaroons: lnd's credentials, which a holder can restrict further without asking lnd.
//!
//! Why our own code: a send needs one caveat more, which is one HMAC; all other bytes stay as they were
//! read. The crates bring verification and third-party caveats with their ciphers: `macaroon` was last
//! released in 2022, and its fork `libmacaroon` calls itself pre-1.0 and not audited. lnd cannot do it for
//! us: `BakeMacaroon` takes no expiry, and a permission to call it is a permission for everything.
//!
//! Only the binary format, version 2, is read: the one that lnd writes. Nothing here prints a macaroon.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::Sha256;
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use crate::domain::Timestamp;

/// The longest that is accepted; lnd's own have about 300 bytes. A send must fit into one TLS record with
/// its macaroon in hexadecimal (see `coalesce.rs`).
pub(super) const MAX_BYTES: usize = 4096;

const VERSION: u8 = 2;
const END_OF_SECTION: u8 = 0;
const LOCATION: u8 = 1;
const IDENTIFIER: u8 = 2;
const VERIFICATION_ID: u8 = 4;
const SIGNATURE: u8 = 6;

/// RFC 3339. lnd reads any fraction of a second, so no deadline has to be rounded.
const TIME_FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A credential for lnd.
#[derive(Clone, PartialEq, Eq)]
pub struct Macaroon {
    /// The bytes from the version to the last caveat, as they were read.
    head: Vec<u8>,
    /// The HMAC of the head, and the key for the next caveat.
    signature: [u8; 32],
}

/// The bytes are not a [`Macaroon`]. The error does not repeat them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a macaroon: expected lnd's binary file, at most 4096 bytes, or its hexadecimal form")]
pub struct InvalidMacaroon;

impl Macaroon {
    /// Parses a file's content: the binary macaroon, or its hexadecimal form.
    pub fn parse(file: &[u8]) -> Result<Self, InvalidMacaroon> {
        // No hexadecimal digit has this value.
        if file.first() == Some(&VERSION) {
            return Self::parse_binary(file);
        }
        let binary = hex::decode(file.trim_ascii()).map_err(|_| InvalidMacaroon)?;
        Self::parse_binary(&binary)
    }

    /// This macaroon with one more caveat: lnd refuses it from `deadline` on.
    ///
    /// lnd v0.21 checks it once per call, when the headers arrive, by its own clock
    /// (`lab_tests/deadlines.rs`). It refuses late headers before there is a message, and stores nothing.
    /// After headers in time it waits for the message as long as the connection lasts: a message sent
    /// 580 s after the deadline was paid. So the deadline binds only because headers and message leave
    /// together (see `coalesce.rs`).
    #[must_use]
    pub fn until(&self, deadline: Timestamp) -> Self {
        self.with_caveat(format!("time-before {}", rfc3339(deadline)).as_bytes())
    }

    /// The value of the metadata key `macaroon`, and for nothing else.
    pub fn expose_hex(&self) -> String {
        let mut binary = self.head.clone();
        binary.push(END_OF_SECTION);
        push_field(&mut binary, SIGNATURE, &self.signature);
        hex::encode(binary)
    }

    fn with_caveat(&self, id: &[u8]) -> Self {
        let mut head = self.head.clone();
        push_field(&mut head, IDENTIFIER, id);
        head.push(END_OF_SECTION);
        Self { head, signature: sign(&self.signature, id) }
    }

    fn parse_binary(binary: &[u8]) -> Result<Self, InvalidMacaroon> {
        if binary.len() > MAX_BYTES {
            return Err(InvalidMacaroon);
        }
        let mut reader = Reader(binary);
        if reader.byte()? != VERSION {
            return Err(InvalidMacaroon);
        }
        if !matches!(reader.section()?[..], [IDENTIFIER] | [LOCATION, IDENTIFIER]) {
            return Err(InvalidMacaroon);
        }
        let head_end = loop {
            let end = binary.len() - reader.0.len();
            match reader.section()?[..] {
                [] => break end,
                [IDENTIFIER]
                | [IDENTIFIER, VERIFICATION_ID]
                | [LOCATION, IDENTIFIER, VERIFICATION_ID] => {}
                _ => return Err(InvalidMacaroon),
            }
        };
        let (kind, signature) = reader.field()?;
        if kind != SIGNATURE || !reader.0.is_empty() {
            return Err(InvalidMacaroon);
        }
        Ok(Self {
            head: binary[..head_end].to_vec(),
            signature: signature.try_into().map_err(|_| InvalidMacaroon)?,
        })
    }
}

impl fmt::Debug for Macaroon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Macaroon(…)")
    }
}

/// The unread rest of a binary macaroon.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, InvalidMacaroon> {
        let (&first, rest) = self.0.split_first().ok_or(InvalidMacaroon)?;
        self.0 = rest;
        Ok(first)
    }

    /// A varint: seven bits per byte, the lowest first.
    fn varint(&mut self) -> Result<usize, InvalidMacaroon> {
        let mut number = 0;
        // Three bytes count further than the longest macaroon.
        for shift in [0, 7, 14] {
            let byte = self.byte()?;
            number |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(InvalidMacaroon)
    }

    /// A field's kind and content. [`END_OF_SECTION`] has no content.
    fn field(&mut self) -> Result<(u8, &'a [u8]), InvalidMacaroon> {
        let kind = self.byte()?;
        if kind == END_OF_SECTION {
            return Ok((kind, &[]));
        }
        let length = self.varint()?;
        let (content, rest) = self.0.split_at_checked(length).ok_or(InvalidMacaroon)?;
        self.0 = rest;
        Ok((kind, content))
    }

    /// The kinds of the fields to the end of the section.
    fn section(&mut self) -> Result<Vec<u8>, InvalidMacaroon> {
        let mut kinds = Vec::new();
        loop {
            match self.field()?.0 {
                END_OF_SECTION => return Ok(kinds),
                kind => kinds.push(kind),
            }
        }
    }
}

fn push_field(binary: &mut Vec<u8>, kind: u8, content: &[u8]) {
    binary.push(kind);
    let mut length = content.len();
    while length >= 0x80 {
        binary.push(u8::try_from(length & 0x7f).unwrap_or_default() | 0x80);
        length >>= 7;
    }
    binary.push(u8::try_from(length).unwrap_or_default());
    binary.extend_from_slice(content);
}

fn sign(key: &[u8; 32], caveat_id: &[u8]) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(caveat_id);
    mac.finalize().into_bytes().into()
}

/// A time that the format cannot express becomes the nearest one that it can.
fn rfc3339(at: Timestamp) -> String {
    let ms = at.clamp(Timestamp::MIN, Timestamp::MAX).as_ms();
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|time| time.format(TIME_FORMAT).ok())
        // Not reached within these bounds. With the epoch as its deadline, lnd refuses the send.
        .unwrap_or_else(|| "1970-01-01T00:00:00.000Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made with Go's gopkg.in/macaroon.v2, which lnd uses. The second is the first after
    /// `AddFirstPartyCaveat("time-before 2023-12-15T08:11:48.583Z")`.
    const MADE_BY_GO: &str = "0201036c6e64020e036964206f662061207061796572000210697061646472203132372e302e302e3100000620bb2333d2bc4af91d01086dfdaa1a9d404edea9dec6c6559f6c76e63139ecc457";
    const RESTRICTED_BY_GO: &str = "0201036c6e64020e036964206f662061207061796572000210697061646472203132372e302e302e3100022474696d652d6265666f726520323032332d31322d31355430383a31313a34382e3538335a00000620f6dcad2505c158b028e1f6899abb2d0dca9bad2ccf95d7539310e8ecaf0ebbc4";

    #[test]
    fn a_macaroon_is_written_as_it_was_read() {
        let macaroon = Macaroon::parse(MADE_BY_GO.as_bytes()).unwrap();
        assert_eq!(macaroon.expose_hex(), MADE_BY_GO);

        let binary = hex::decode(MADE_BY_GO).unwrap();
        assert_eq!(Macaroon::parse(&binary), Ok(macaroon.clone()));
        let line = format!("{}\n", MADE_BY_GO.to_uppercase());
        assert_eq!(Macaroon::parse(line.as_bytes()), Ok(macaroon));
    }

    #[test]
    fn a_deadline_is_added_as_lnd_adds_it() {
        let restricted = Macaroon::parse(MADE_BY_GO.as_bytes())
            .unwrap()
            .until(Timestamp::from_ms(1_702_627_908_583));
        assert_eq!(restricted.expose_hex(), RESTRICTED_BY_GO);
        assert_eq!(Macaroon::parse(RESTRICTED_BY_GO.as_bytes()), Ok(restricted));
    }

    #[test]
    fn deadlines_keep_their_milliseconds() {
        let cases = [
            (1_702_627_908_583, "2023-12-15T08:11:48.583Z"),
            (1_702_627_908_000, "2023-12-15T08:11:48.000Z"),
            (-1, "1970-01-01T00:00:00.000Z"),
            (i64::MIN, "1970-01-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ];
        for (ms, written) in cases {
            assert_eq!(rfc3339(Timestamp::from_ms(ms)), written);
        }
    }

    #[test]
    fn a_long_caveat_has_a_two_byte_length() {
        let long = Macaroon::parse(MADE_BY_GO.as_bytes()).unwrap().with_caveat(&[b'x'; 300]);
        let read = Macaroon::parse(long.expose_hex().as_bytes());
        assert_eq!(read, Ok(long));
    }

    #[test]
    fn a_damaged_macaroon_is_an_error() {
        let binary = hex::decode(MADE_BY_GO).unwrap();
        for end in 0..binary.len() {
            assert_eq!(Macaroon::parse(&binary[..end]), Err(InvalidMacaroon));
        }
        let mut longer = binary.clone();
        longer.push(0);
        let mut other_version = binary;
        other_version[0] = 1;
        for bad in [longer, other_version, b"{\"i\":\"json\"}".to_vec(), b"0g".to_vec()] {
            assert_eq!(Macaroon::parse(&bad), Err(InvalidMacaroon));
        }
    }

    #[test]
    fn nothing_prints_a_macaroon() {
        let macaroon = Macaroon::parse(MADE_BY_GO.as_bytes()).unwrap();
        assert_eq!(format!("{macaroon:?}"), "Macaroon(…)");
        let error = Macaroon::parse(b"c0ffee").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("c0ffee"));
    }
}
