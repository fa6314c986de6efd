//! Making an invoice: the test wallet claims with one.

use bech32::{Fe32, Hrp, primitives::iter::Fe32IterExt};
use secp256k1::{Message, Secp256k1, SecretKey};

use super::{Checksum, Currency, TIMESTAMP_LETTERS, amount, digest, features, fields, letters};

/// The fields of a new invoice. Every other field is left out, so that BOLT11's default applies.
#[derive(Clone, Copy, Debug)]
pub struct NewInvoice<'a> {
    /// Its network.
    pub currency: Currency,
    /// The amount in millisatoshis, above 0.
    pub msat: u64,
    /// Seconds since the Unix epoch.
    pub made_at_s: u64,
    /// SHA-256 of the preimage.
    pub payment_hash: &'a [u8; 32],
    /// The payment secret: proves to the payee that the payer has the invoice.
    pub payment_secret: &'a [u8; 32],
    /// 639 bytes at most.
    pub description: &'a str,
    /// The minimum final CLTV expiry delta, in blocks.
    pub final_cltv: u64,
}

/// A value does not fit into its field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the format cannot hold this invoice's {0}")]
pub struct Unwritable(pub(super) &'static str);

impl NewInvoice<'_> {
    /// Signed, in lower case.
    pub fn sign(&self, key: &SecretKey) -> Result<String, Unwritable> {
        let description = letters::of_bytes(self.description.as_bytes());
        let final_cltv = letters::of_number(self.final_cltv);
        let fields = [
            (fields::HASH, letters::of_bytes(self.payment_hash)),
            (fields::SECRET, letters::of_bytes(self.payment_secret)),
            (fields::DESCRIPTION, description),
            (fields::FINAL_CLTV, final_cltv),
            (fields::FEATURES, features::needed_by_all()),
        ];
        let mut signed =
            letters::padded(self.made_at_s, TIMESTAMP_LETTERS).ok_or(Unwritable("time"))?;
        for (tag, content) in fields {
            signed.push(tag);
            let length = u64::try_from(content.len()).ok().and_then(|n| letters::padded(n, 2));
            signed.extend(length.ok_or(Unwritable("description"))?);
            signed.extend(content);
        }
        sign(&amount::write(self.currency, self.msat), signed, key)
    }
}

/// The text of `head` and `letters` (time and fields), signed.
pub(super) fn sign(
    head: &str,
    mut letters: Vec<u8>,
    key: &SecretKey,
) -> Result<String, Unwritable> {
    let message = Message::from_digest(digest(head, &letters));
    let signature = Secp256k1::signing_only().sign_ecdsa_recoverable(&message, key);
    let (id, compact) = signature.serialize_compact();
    // From 0 to 3.
    let id = id.to_i32().to_le_bytes()[0];
    letters.extend(letters::of_bytes(&[&compact[..], &[id]].concat()));
    let hrp = Hrp::parse(head).map_err(|_| Unwritable("amount"))?;
    let letters: Result<Vec<_>, _> = letters.into_iter().map(Fe32::try_from).collect();
    let letters = letters.map_err(|_| Unwritable("fields"))?;
    Ok(letters.into_iter().with_checksum::<Checksum>(&hrp).chars().collect())
}
