//! Builds invoices field by field, invalid ones included, signed by a test key.

use secp256k1::{PublicKey, Secp256k1, SecretKey};

use super::write;

const CHARSET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// The parts of an invoice.
#[derive(Clone, Debug)]
pub(crate) struct Pieces {
    pub head: String,
    pub made_at_s: u64,
    pub fields: Vec<(char, Vec<u8>)>,
}

fn key() -> SecretKey {
    SecretKey::from_slice(&[9; 32]).unwrap()
}

/// The public key of the test key.
pub(crate) fn payee() -> PublicKey {
    key().public_key(&Secp256k1::new())
}

/// A number in `count` letters.
pub(crate) fn number(number: u128, count: u32) -> Vec<u8> {
    (0..count).rev().map(|place| u8::try_from(number >> (5 * place) & 31).unwrap()).collect()
}

/// Packs bytes into letters, padded with zeros.
pub(crate) fn packed(bytes: &[u8]) -> Vec<u8> {
    let bits: Vec<u8> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    bits.chunks(5).map(|five| (0..5).fold(0, |l, at| l << 1 | five.get(at).unwrap_or(&0))).collect()
}

/// Packs feature bits into letters.
pub(crate) fn features(bits: &[u32]) -> Vec<u8> {
    let count = bits.iter().max().map_or(0, |most| most / 5 + 1);
    let mut letters = vec![0; count as usize];
    for bit in bits {
        letters[(count - 1 - bit / 5) as usize] |= 1 << (bit % 5);
    }
    letters
}

/// An ordinary invoice over 10 sat.
pub(crate) fn ordinary(made_at_s: u64, hash: [u8; 32]) -> Pieces {
    Pieces {
        head: "lnbcrt100n".to_owned(),
        made_at_s,
        fields: vec![
            ('p', packed(&hash)),
            ('s', packed(&[4; 32])),
            ('d', packed(b"test")),
            ('9', features(&[8, 14])),
        ],
    }
}

/// A blinded path that starts at `first`.
pub(crate) fn path(first: PublicKey, hops: u8, features: &[u8]) -> Vec<u8> {
    let key = payee().serialize();
    let mut bytes = [0, 0, 0, 1, 0, 0, 0, 1, 0, 40].to_vec();
    bytes.extend(1_u64.to_be_bytes());
    bytes.extend(1_000_000_000_u64.to_be_bytes());
    bytes.extend(u16::try_from(features.len()).unwrap().to_be_bytes());
    bytes.extend(features);
    bytes.extend(key);
    bytes.push(hops);
    for hop in 0..hops {
        bytes.extend(if hop == 0 { first.serialize() } else { key });
        bytes.push(3);
        bytes.extend(b"abc");
    }
    bytes
}

impl Pieces {
    /// Replaces a field, or adds it.
    pub fn with(mut self, tag: char, letters: Vec<u8>) -> Self {
        self.fields.retain(|(other, _)| *other != tag);
        self.and(tag, letters)
    }

    pub fn and(mut self, tag: char, letters: Vec<u8>) -> Self {
        self.fields.push((tag, letters));
        self
    }

    pub fn without(mut self, tag: char) -> Self {
        self.fields.retain(|(other, _)| *other != tag);
        self
    }

    pub fn headed(self, head: &str) -> Self {
        Self { head: head.to_owned(), ..self }
    }

    /// Signs and encodes the invoice.
    pub fn text(&self) -> String {
        let mut signed = number(self.made_at_s.into(), 7);
        for (tag, content) in &self.fields {
            let tag = CHARSET.iter().position(|letter| char::from(*letter) == *tag).unwrap();
            signed.push(u8::try_from(tag).unwrap());
            signed.extend(number(content.len() as u128, 2));
            signed.extend(content);
        }
        write::sign(&self.head, signed, &key()).unwrap()
    }
}
