//! Feature bits: the even one of a pair is needed, the odd one is offered.

use super::letters;

/// Variable onions.
const ONION: u32 = 8;
/// The payment secret.
const SECRET: u32 = 14;
/// Payments in parts.
const PARTS: u32 = 16;
/// Route blinding.
const BLINDING: u32 = 24;
const AMP: u32 = 30;
/// Data of the payee's own, which the payer sends along.
const METADATA: u32 = 48;
/// Blinded paths in invoices.
const PATHS: u32 = 262;

/// What an invoice may need, and lnd v0.21 can pay. Others that lnd knows are of channels, and no payer
/// needs them.
const PAYABLE: [u32; 6] = [ONION, SECRET, PARTS, BLINDING, METADATA, PATHS];
/// What the first of a pair does not work without (lnd's `feature/deps.go`).
const NEEDS: [(u32, u32); 4] =
    [(SECRET, ONION), (PARTS, SECRET), (BLINDING, ONION), (PATHS, BLINDING)];

/// What every invoice needs, in letters: variable onions and the payment secret.
pub(super) fn needed_by_all() -> Vec<u8> {
    letters::of_number(1 << ONION | 1 << SECRET)
}

/// The bits that are set, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features(Vec<u32>);

impl Features {
    /// From words of `width` bits, the most significant one first.
    pub(super) fn read(words: &[u8], width: u32) -> Self {
        let bits = (0..).step_by(width as usize).zip(words.iter().rev());
        let set = bits.flat_map(|(first, word)| {
            (0..width).filter(move |bit| word >> bit & 1 == 1).map(move |bit| first + bit)
        });
        Self(set.collect())
    }

    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is needed or offered; `even` is the needed one of the pair.
    fn has(&self, even: u32) -> bool {
        self.0.iter().any(|bit| bit & !1 == even)
    }

    /// Whether it is an AMP invoice: its payment hash is not the one that is paid.
    pub fn is_amp(&self) -> bool {
        self.has(AMP)
    }

    /// Whether the payment secret is known to be asked for.
    pub fn has_secret(&self) -> bool {
        self.has(SECRET)
    }

    /// What is needed, and lnd cannot pay with.
    pub fn unpayable(&self) -> Option<u32> {
        self.0.iter().copied().find(|bit| bit % 2 == 0 && !PAYABLE.contains(bit))
    }

    /// Whether nothing is set without what it does not work without: lnd finds no route otherwise.
    pub fn is_complete(&self) -> bool {
        NEEDS.iter().all(|(bit, needed)| !self.has(*bit) || self.has(*needed))
    }
}
