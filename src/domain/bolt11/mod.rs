//! BOLT11, read as strictly as lnd reads it: what lnd cannot decode is no invoice here either, or it would
//! be accepted, and refused by lnd at once (`zpay32` of v0.21).
//!
//! The crate lightning-invoice knows no blinded paths, hashes what it would have written itself instead of
//! what was signed, and pads where lnd does not. Tests alone use it, to make invoices and to read ours.
//!
//! - Fields are packed without a rest: what is left of the last letters is less than a letter, and zero.
//! - A field of an unknown kind, or of a length that its kind does not have where BOLT11 says so, is skipped.
//! - There is exactly one payment hash, one description or its hash, and at most one payment secret; of
//!   other fields that may not repeat the first counts.
//! - The signature is over the letters as they came, and recovers the payee, or fits the one that is named.

mod amount;
mod blinded;
mod currency;
mod features;
mod fields;
mod letters;
#[cfg(test)]
pub(crate) mod maker;
mod write;

use bech32::primitives::decode::CheckedHrpstring;
use secp256k1::{
    Message, PublicKey, Secp256k1,
    ecdsa::{RecoverableSignature, RecoveryId},
};
use sha2::{Digest, Sha256};

use self::fields::Fields;
pub use self::{
    blinded::BlindedPath,
    currency::Currency,
    features::Features,
    write::{NewInvoice, Unwritable},
};

const TIMESTAMP_LETTERS: usize = 7;
const SIGNATURE_LETTERS: usize = 104;
const DEFAULT_EXPIRY_S: u64 = 3_600;
/// What lnd v0.21 assumes where BOLT11 says 18: the most blocks that any node may add.
const DEFAULT_FINAL_CLTV: u64 = 24;

/// Why a text is no invoice, for developers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a BOLT11 invoice: {0}")]
pub struct Malformed(&'static str);

/// An invoice as it was signed. Whether it may be paid is another question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bolt11Invoice {
    /// Its network.
    pub currency: Currency,
    /// In thousandths of a satoshi. None where none is named, or more than the format can count.
    pub msat: Option<u64>,
    /// Seconds since the Unix epoch.
    pub made_at_s: u64,
    /// SHA-256 of what the payee reveals.
    pub payment_hash: [u8; 32],
    /// Proves to the payee that the payer has read the invoice. Invoices with blinded paths need none.
    pub payment_secret: Option<[u8; 32]>,
    /// Who has signed it: the payee, or with blinded paths a key that is used once.
    pub payee: PublicKey,
    /// Empty where only its hash is there.
    pub description: String,
    /// How long it lasts, in seconds.
    pub expiry_s: u64,
    /// How many blocks the payee wants to have left.
    pub final_cltv: u64,
    /// What it needs, and what it offers.
    pub features: Features,
    /// How many private routes lead to the payee.
    pub hints: usize,
    /// The ways to a payee who does not tell who it is.
    pub paths: Vec<BlindedPath>,
}

/// The checksum of BOLT11: bech32's, over any length.
enum Checksum {}

impl bech32::Checksum for Checksum {
    type MidstateRepr = u32;
    const CODE_LENGTH: usize = 7_089;
    const CHECKSUM_LENGTH: usize = 6;
    const GENERATOR_SH: [u32; 5] =
        [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    const TARGET_RESIDUE: u32 = 1;
}

impl Bolt11Invoice {
    /// Reads the text, in lower or upper case, with nothing around it.
    pub fn read(text: &str) -> Result<Self, Malformed> {
        let read =
            CheckedHrpstring::new::<Checksum>(text).map_err(|_| Malformed("its checksum"))?;
        let head = read.hrp().to_string().to_lowercase();
        let letters: Vec<u8> =
            read.fe32_iter::<&mut dyn Iterator<Item = u8>>().map(bech32::Fe32::to_u8).collect();
        let (currency, msat) = amount::read(&head)?;
        let signed = letters.len().checked_sub(SIGNATURE_LETTERS).ok_or(Malformed("its length"))?;
        let (signed, signature) = letters.split_at(signed);
        let (time, tagged) =
            signed.split_at_checked(TIMESTAMP_LETTERS).ok_or(Malformed("its length"))?;
        let fields = Fields::read(tagged)?;
        let payee = payee(&head, signed, signature, fields.payee)?;
        if fields.hints > 0 && !fields.paths.is_empty() {
            return Err(Malformed("route hints and blinded paths"));
        }
        Ok(Self {
            currency,
            msat,
            made_at_s: letters::number(time)?,
            payment_hash: fields.payment_hash.ok_or(Malformed("no payment hash"))?,
            payment_secret: fields.payment_secret,
            payee,
            description: fields.description.ok_or(Malformed("no description"))?,
            expiry_s: fields.expiry_s.unwrap_or(DEFAULT_EXPIRY_S),
            final_cltv: fields.final_cltv.unwrap_or(DEFAULT_FINAL_CLTV),
            features: fields.features.unwrap_or_default(),
            hints: fields.hints,
            paths: fields.paths,
        })
    }
}

/// Who signed `head` and `signed`; `named` is the payee that the invoice itself names.
fn payee(
    head: &str,
    signed: &[u8],
    signature: &[u8],
    named: Option<PublicKey>,
) -> Result<PublicKey, Malformed> {
    const FAULT: Malformed = Malformed("its signature");

    let message = Message::from_digest(digest(head, signed));
    let signature = letters::bytes(signature)?;
    let (&id, compact) = signature.split_last().ok_or(FAULT)?;
    let id = RecoveryId::from_i32(id.into()).map_err(|_| FAULT)?;
    let signature = RecoverableSignature::from_compact(compact, id).map_err(|_| FAULT)?;
    let secp = Secp256k1::verification_only();
    match named {
        None => secp.recover_ecdsa(&message, &signature).map_err(|_| FAULT),
        Some(named) => secp
            .verify_ecdsa(&message, &signature.to_standard(), &named)
            .map(|()| named)
            .map_err(|_| FAULT),
    }
}

/// What is signed.
fn digest(head: &str, letters: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(head);
    digest.update(letters::bytes_padded(letters));
    digest.finalize().into()
}

#[cfg(test)]
#[path = "../bolt11_test.rs"]
mod tests;
