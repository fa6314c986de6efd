//! Payment hashes, and the preimages that prove a payment.

use std::fmt;

use sha2::{Digest, Sha256};

/// Identifies a payment: SHA-256 of its preimage.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaymentHash([u8; 32]);

/// The proof that a payment was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Preimage([u8; 32]);

/// Parses 32 bytes in hex.
fn bytes32(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex, &mut bytes).ok().map(|()| bytes)
}

impl PaymentHash {
    /// Parses the hex form.
    pub fn parse(hex: &str) -> Option<Self> {
        bytes32(hex).map(Self)
    }

    /// The hash from a row or a node.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The value for a row.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Preimage {
    /// Parses the hex form.
    pub fn parse(hex: &str) -> Option<Self> {
        bytes32(hex).map(Self)
    }

    /// The preimage from a row or a node.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The value for a row.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The payment hash that it proves.
    pub fn hash(&self) -> PaymentHash {
        PaymentHash(Sha256::digest(self.0).into())
    }
}

impl fmt::Display for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PaymentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Proofs of payment must not appear in logs.
impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preimage(…)")
    }
}
