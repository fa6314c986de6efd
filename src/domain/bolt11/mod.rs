//! A BOLT11 parser as strict as lnd's (`zpay32` of v0.21): an invoice that lnd cannot decode must be
//! refused at the claim, or it would be accepted and then fail at once.
//!
//! The crate lightning-invoice knows no blinded paths, hashes what it would have written itself instead of
//! what was signed, and pads where lnd does not. Tests alone use it, to make invoices and to read ours.
//!
//! - The padding of a field is shorter than one letter, and zero.
//! - Fields of unknown type are skipped, as are fields whose length differs from the one that BOLT11
//!   fixes.
//! - There is exactly one payment hash, exactly one description or description hash, and at most one
//!   payment secret. Of other fields that must not repeat, the first one counts.
//! - The signature covers the letters as received. The payee's key is recovered from it, or verified
//!   against it if the invoice names the payee.

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
/// lnd v0.21's default, where BOLT11 says 18.
const DEFAULT_FINAL_CLTV: u64 = 24;

/// Why a text is not a valid invoice, for developers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a BOLT11 invoice: {0}")]
pub struct Malformed(&'static str);

/// An invoice as signed. Whether it may be paid is checked elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bolt11Invoice {
    /// Its network.
    pub currency: Currency,
    /// In millisatoshis. None if no amount is given, or if it overflows.
    pub msat: Option<u64>,
    /// Seconds since the Unix epoch.
    pub made_at_s: u64,
    /// SHA-256 of the preimage.
    pub payment_hash: [u8; 32],
    /// Proves to the payee that the payer has the invoice. Invoices with blinded paths need none.
    pub payment_secret: Option<[u8; 32]>,
    /// The key that signed it: the payee's, or a one-time key in invoices with blinded paths.
    pub payee: PublicKey,
    /// Empty if only its hash is given.
    pub description: String,
    /// Its validity in seconds.
    pub expiry_s: u64,
    /// The minimum final CLTV expiry delta, in blocks.
    pub final_cltv: u64,
    /// Its required and optional features.
    pub features: Features,
    /// The number of route hints.
    pub hints: usize,
    /// Blinded paths to a payee whose identity is hidden.
    pub paths: Vec<BlindedPath>,
}

/// BOLT11's checksum: bech32's, without the length limit.
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
    /// Parses the text, in lower or upper case, with nothing around it.
    pub fn read(text: &str) -> Result<Self, Malformed> {
        let read =
            CheckedHrpstring::new::<Checksum>(text).map_err(|_| Malformed("invalid checksum"))?;
        let head = read.hrp().to_string().to_lowercase();
        let letters: Vec<u8> =
            read.fe32_iter::<&mut dyn Iterator<Item = u8>>().map(bech32::Fe32::to_u8).collect();
        let (currency, msat) = amount::read(&head)?;
        let signed = letters.len().checked_sub(SIGNATURE_LETTERS).ok_or(Malformed("too short"))?;
        let (signed, signature) = letters.split_at(signed);
        let (time, tagged) =
            signed.split_at_checked(TIMESTAMP_LETTERS).ok_or(Malformed("too short"))?;
        let fields = Fields::read(tagged)?;
        let payee = payee(&head, signed, signature, fields.payee)?;
        if fields.hints > 0 && !fields.paths.is_empty() {
            return Err(Malformed("both route hints and blinded paths"));
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

/// The key that signed `head` and `signed`; `named` is the payee that the invoice itself names.
fn payee(
    head: &str,
    signed: &[u8],
    signature: &[u8],
    named: Option<PublicKey>,
) -> Result<PublicKey, Malformed> {
    const FAULT: Malformed = Malformed("invalid signature");

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
