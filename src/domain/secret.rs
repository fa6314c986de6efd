//! The bearer secret of a withdraw request, derived rather than stored.
//!
//! `secret = HMAC-SHA256(master key, label ‖ id)`, truncated to 128 bits and written as 26 characters.
//! The database stores only its SHA-256, so that a stolen dump cannot claim anything, and the key's id,
//! so that the LNURL can be shown again. No type here prints its content.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::{WithdrawId, ids};

/// Domain separation: no two uses of a key give the same output.
const SECRET_LABEL: &[u8] = b"withdrawd/v1/withdraw-secret";
const KEY_ID_LABEL: &[u8] = b"withdrawd/v1/key-id";

/// LUD-03's `k1`, LNPay's `ott`, and the last part of the URL: 26 characters of `[a-z0-9]`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// SHA-256 of a [`Secret`]: the database stores it and finds the withdraw request by it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

/// Identifies a [`MasterKey`] without revealing it: 16 hex characters, derived from it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct KeyId(String);

/// The 32 bytes that all secrets derive from.
#[derive(Clone)]
pub struct MasterKey([u8; 32]);

/// Why a text is not a [`MasterKey`]. The text itself is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 64 hexadecimal digits (32 random bytes)")]
pub struct InvalidKey;

/// The configured keys. The first one derives new secrets; all of them can derive their earlier secrets
/// again.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<(KeyId, MasterKey)>,
}

impl Secret {
    /// Parses what a wallet sent. Upper case is accepted, since QR codes and people use it.
    pub fn from_wallet(text: &str) -> Option<Self> {
        let fits = text.len() == ids::BASE32_CHARS
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        fits.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The secret itself. Use it only in answers to those who may claim.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The hash that the database stores.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

impl SecretHash {
    /// The hash from a row.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The value for a row.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl KeyId {
    /// The key id from a row.
    pub const fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The value for a row.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MasterKey {
    /// A key of these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Parses 64 hexadecimal digits.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).map_err(|_| InvalidKey)?;
        Ok(Self(bytes))
    }

    /// The text that [`Self::parse`] reads. Only for the key file.
    pub fn expose_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The id of this key in the database.
    pub fn id(&self) -> KeyId {
        KeyId(hex::encode(&self.mac(KEY_ID_LABEL, &[])[..8]))
    }

    fn secret_of(&self, id: WithdrawId) -> Secret {
        let mac = self.mac(SECRET_LABEL, id.as_uuid().as_bytes());
        let mut bits = [0; 16];
        bits.copy_from_slice(&mac[..16]);
        Secret(ids::to_base32(u128::from_be_bytes(bits)))
    }

    fn mac(&self, label: &[u8], data: &[u8]) -> [u8; 32] {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.update(label);
        mac.update(data);
        mac.finalize().into_bytes().into()
    }
}

impl Keyring {
    /// `first` derives new secrets; `others` only derive their earlier secrets again.
    pub fn new(first: MasterKey, others: impl IntoIterator<Item = MasterKey>) -> Self {
        let keys = std::iter::once(first).chain(others).map(|key| (key.id(), key)).collect();
        Self { keys }
    }

    /// The key that new secrets derive from.
    pub fn current(&self) -> &KeyId {
        &self.keys[0].0
    }

    /// The ids of all keys.
    pub fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.keys.iter().map(|(id, _)| id)
    }

    /// Whether the ring contains this key.
    pub fn holds(&self, key: &KeyId) -> bool {
        self.keys.iter().any(|(id, _)| id == key)
    }

    /// The secret that this key derives for this withdraw request; None if the key is missing.
    pub fn secret(&self, key: &KeyId, id: WithdrawId) -> Option<Secret> {
        self.keys.iter().find(|(known, _)| known == key).map(|(_, key)| key.secret_of(id))
    }

    /// The secret of a new request, derived from the first key.
    pub fn new_secret(&self, id: WithdrawId) -> Secret {
        self.keys[0].1.secret_of(id)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn id() -> WithdrawId {
        WithdrawId::new(Timestamp::from_ms(1_702_627_908_583), &[9; 10])
    }

    #[test]
    fn secrets_are_26_characters_that_depend_on_key_and_id() {
        let ring = Keyring::new(MasterKey::from_bytes([1; 32]), []);
        let secret = ring.new_secret(id());

        assert_eq!(secret.expose().len(), 26);
        assert_eq!(Secret::from_wallet(&secret.expose().to_uppercase()), Some(secret.clone()));
        let other_key = Keyring::new(MasterKey::from_bytes([2; 32]), []);
        assert_ne!(secret, other_key.new_secret(id()));
        let other_id = WithdrawId::new(Timestamp::from_ms(1_702_627_908_583), &[8; 10]);
        assert_ne!(secret, ring.new_secret(other_id));
    }

    #[test]
    fn a_rotated_key_still_shows_what_it_derived() {
        let (old, new) = (MasterKey::from_bytes([1; 32]), MasterKey::from_bytes([2; 32]));
        let secret = Keyring::new(old.clone(), []).new_secret(id());
        let rotated = Keyring::new(new.clone(), [old.clone()]);

        assert_eq!(rotated.current(), &new.id());
        assert_eq!(rotated.secret(&old.id(), id()), Some(secret));
        assert_eq!(Keyring::new(new, []).secret(&old.id(), id()), None);
    }

    #[test]
    fn nothing_prints_a_secret() {
        let key = MasterKey::from_bytes([1; 32]);
        let ring = Keyring::new(key.clone(), []);
        let secret = ring.new_secret(id());
        let printed = format!("{key:?} {ring:?} {secret:?} {:?}", secret.hash());

        assert!(!printed.contains(secret.expose()) && !printed.contains(&key.expose_hex()));
        assert!(!printed.contains(&hex::encode(secret.hash().as_bytes())));
        assert!(!MasterKey::parse("beef").unwrap_err().to_string().contains("beef"));
    }
}
