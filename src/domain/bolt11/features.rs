//! Feature bits (BOLT 9). The even bit of a pair means required, the odd one optional.

use super::letters;

/// Variable-length onions.
const ONION: u32 = 8;
/// The payment secret.
const SECRET: u32 = 14;
/// Multi-part payments.
const PARTS: u32 = 16;
/// Route blinding.
const BLINDING: u32 = 24;
const AMP: u32 = 30;
/// Payment metadata: the payee's own data, which the payer sends along.
const METADATA: u32 = 48;
/// Blinded paths in invoices.
const PATHS: u32 = 262;

/// Features that an invoice may require and lnd v0.21 can pay. lnd's other known features concern
/// channels, and no payer needs them.
const PAYABLE: [u32; 6] = [ONION, SECRET, PARTS, BLINDING, METADATA, PATHS];
/// Dependencies: the first feature requires the second (lnd's `feature/deps.go`).
const DEPENDENCIES: [(u32, u32); 4] =
    [(SECRET, ONION), (PARTS, SECRET), (BLINDING, ONION), (PATHS, BLINDING)];

/// What every invoice needs, in letters: variable onions and the payment secret.
pub(super) fn needed_by_all() -> Vec<u8> {
    letters::of_number(1 << ONION | 1 << SECRET)
}

/// The bits that are set, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features(Vec<u32>);

impl Features {
    /// Parses words of `width` bits, most significant word first.
    pub(super) fn read(words: &[u8], width: u32) -> Self {
        let bits = (0..).step_by(width as usize).zip(words.iter().rev());
        let set = bits.flat_map(|(first, word)| {
            (0..width).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first + bit)
        });
        Self(set.collect())
    }

    /// Whether no bit is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a feature is required or optional; `even` is its required bit.
    fn has(&self, even: u32) -> bool {
        self.0.iter().any(|bit| bit & !1 == even)
    }

    /// Whether it is an AMP invoice, whose payment hash is not the one that is paid.
    pub fn is_amp(&self) -> bool {
        self.has(AMP)
    }

    /// Whether the payment secret feature is set.
    pub fn has_secret(&self) -> bool {
        self.has(SECRET)
    }

    /// The first required feature that lnd cannot pay, if any.
    pub fn unpayable(&self) -> Option<u32> {
        self.0.iter().copied().find(|bit| bit % 2 == 0 && !PAYABLE.contains(bit))
    }

    /// Whether every set feature has its dependencies set: otherwise lnd finds no route.
    pub fn is_complete(&self) -> bool {
        DEPENDENCIES.iter().all(|(bit, required)| !self.has(*bit) || self.has(*required))
    }
}
