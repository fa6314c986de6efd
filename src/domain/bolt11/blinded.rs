//! Blinded paths, as lnd writes them into invoices (bLIP 39, field `b`).

use secp256k1::PublicKey;

use super::{Features, Malformed};

const FAULT: Malformed = Malformed("a blinded path");
/// The most of a hop that only that hop can read.
const MAX_SECRET_BYTES: usize = 535;
/// The key that lnd puts behind the last hop while it looks for a route. No path may hold it.
const NUMS: [u8; 33] = [
    0x02, 0x66, 0x7a, 0x98, 0xef, 0x82, 0xec, 0xb5, 0x22, 0xf8, 0x03, 0xb1, 0x7a, 0x74, 0xf1, 0x45,
    0x08, 0xa4, 0x8b, 0x25, 0x25, 0x8f, 0x98, 0x31, 0xdd, 0x6e, 0x95, 0xf5, 0xe2, 0x99, 0xdf, 0xd5,
    0x4e,
];

/// A way to the payee, of which only the beginning is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlindedPath {
    /// The node that it begins at; the payee itself if there is one hop.
    pub first: PublicKey,
    /// How many hops it has, the first included.
    pub hops: usize,
    /// How many blocks it takes from there.
    pub cltv_delta: u16,
    /// What paying along it needs.
    pub features: Features,
}

impl BlindedPath {
    /// Whether it begins at the payee.
    pub const fn is_payee(&self) -> bool {
        self.hops == 1
    }

    /// lnd takes less care about its end; it stops at what is missing, too, but may read it as zeros.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = Rest(bytes);
        // The fees are for the node to weigh.
        rest.take(8)?;
        let cltv_delta = u16::from_be_bytes(rest.array()?);
        let (least, most) = (u64::from_be_bytes(rest.array()?), u64::from_be_bytes(rest.array()?));
        let features = usize::from(u16::from_be_bytes(rest.array()?));
        let features = Features::read(rest.take(features)?, 8);
        rest.key()?;
        let [hops] = rest.array()?;
        let first = rest.hop()?;
        for _ in 1..hops {
            rest.hop()?;
        }
        if hops == 0 || most < least {
            return Err(FAULT);
        }
        Ok(Self { first, hops: hops.into(), cltv_delta, features })
    }
}

struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
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
        // In its shortest form; what needs a longer one is too long.
        let length = match self.array()? {
            [short @ 1..=0xfc] => usize::from(short),
            [0xfd] => Some(usize::from(u16::from_be_bytes(self.array()?)))
                .filter(|length| (0xfd..=MAX_SECRET_BYTES).contains(length))
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
