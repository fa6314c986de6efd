//! Blinded paths, as lnd writes them into invoices (bLIP 39, field `b`).

use secp256k1::PublicKey;

use super::{Features, Malformed};

const FAULT: Malformed = Malformed("invalid blinded path");
/// The maximum size of a hop's encrypted data.
const MAX_HOP_DATA_BYTES: usize = 535;
/// The key that lnd appends after the last hop during route search. No path may contain it.
const NUMS: [u8; 33] = [
    0x02, 0x66, 0x7a, 0x98, 0xef, 0x82, 0xec, 0xb5, 0x22, 0xf8, 0x03, 0xb1, 0x7a, 0x74, 0xf1, 0x45,
    0x08, 0xa4, 0x8b, 0x25, 0x25, 0x8f, 0x98, 0x31, 0xdd, 0x6e, 0x95, 0xf5, 0xe2, 0x99, 0xdf, 0xd5,
    0x4e,
];

/// A path to the payee, of which only the start is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlindedPath {
    /// The node at its start; the payee itself if there is only one hop.
    pub first: PublicKey,
    /// The number of hops, the first included.
    pub hops: usize,
    /// The total CLTV delta from there.
    pub cltv_delta: u16,
    /// The features that paying along it needs.
    pub features: Features,
}

impl BlindedPath {
    /// Whether it starts at the payee.
    pub const fn is_payee(&self) -> bool {
        self.hops == 1
    }

    /// Parses one path, more strictly than lnd: for truncated data lnd may also fail, or read the
    /// missing bytes as zeros.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        // The base fee and the proportional fee, which the node weighs.
        reader.take(8)?;
        let cltv_delta = u16::from_be_bytes(reader.array()?);
        let (min_htlc, max_htlc) =
            (u64::from_be_bytes(reader.array()?), u64::from_be_bytes(reader.array()?));
        let features = usize::from(u16::from_be_bytes(reader.array()?));
        let features = Features::read(reader.take(features)?, 8);
        reader.key()?;
        let [hops] = reader.array()?;
        let first = reader.hop()?;
        for _ in 1..hops {
            reader.hop()?;
        }
        if hops == 0 || max_htlc < min_htlc {
            return Err(FAULT);
        }
        Ok(Self { first, hops: hops.into(), cltv_delta, features })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(FAULT)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| FAULT)
    }

    fn key(&mut self) -> Result<PublicKey, Malformed> {
        PublicKey::from_slice(self.take(33)?).map_err(|_| FAULT)
    }

    fn hop(&mut self) -> Result<PublicKey, Malformed> {
        let key = self.key()?;
        // A BigSize length, which must be minimal. A value that needs more than three bytes is too
        // long.
        let length = match self.array()? {
            [short @ 1..=0xfc] => usize::from(short),
            [0xfd] => Some(usize::from(u16::from_be_bytes(self.array()?)))
                .filter(|length| (0xfd..=MAX_HOP_DATA_BYTES).contains(length))
                .ok_or(FAULT)?,
            _ => return Err(FAULT),
        };
        self.take(length)?;
        if key.serialize() == NUMS {
            return Err(FAULT);
        }
        Ok(key)
    }
}
