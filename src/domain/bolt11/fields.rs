//! The tagged fields.

use secp256k1::PublicKey;

use super::{BlindedPath, Features, Malformed, letters};

pub(super) const HASH: u8 = 1;
const ROUTE: u8 = 3;
pub(super) const FEATURES: u8 = 5;
const EXPIRY: u8 = 6;
const FALLBACK: u8 = 9;
pub(super) const DESCRIPTION: u8 = 13;
pub(super) const SECRET: u8 = 16;
const PAYEE: u8 = 19;
const BLINDED_PATH: u8 = 20;
const DESCRIPTION_HASH: u8 = 23;
pub(super) const FINAL_CLTV: u8 = 24;
const METADATA: u8 = 27;

/// The number of letters for 32 bytes, and for a public key.
const HASH_LETTERS: usize = 52;
const KEY_LETTERS: usize = 53;
/// Bytes of one hop in a route hint.
const HOP_BYTES: usize = 51;

/// The values of an invoice's tagged fields.
#[derive(Default)]
pub(super) struct Fields {
    pub payment_hash: Option<[u8; 32]>,
    pub payment_secret: Option<[u8; 32]>,
    pub description: Option<String>,
    pub payee: Option<PublicKey>,
    pub expiry_s: Option<u64>,
    pub final_cltv: Option<u64>,
    pub features: Option<Features>,
    pub hints: usize,
    pub paths: Vec<BlindedPath>,
}

impl Fields {
    pub fn read(mut letters: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Self::default();
        while let [tag, high, low, rest @ ..] = letters {
            let length = usize::from(*high) << 5 | usize::from(*low);
            let (content, rest) =
                rest.split_at_checked(length).ok_or(Malformed("a field exceeds the data"))?;
            fields.add(*tag, content)?;
            letters = rest;
        }
        if letters.is_empty() {
            Ok(fields)
        } else {
            Err(Malformed("trailing data after the fields"))
        }
    }

    fn add(&mut self, tag: u8, content: &[u8]) -> Result<(), Malformed> {
        match tag {
            HASH if content.len() == HASH_LETTERS => {
                once(&mut self.payment_hash, bytes32(content)?)
            }
            SECRET if content.len() == HASH_LETTERS => {
                once(&mut self.payment_secret, bytes32(content)?)
            }
            DESCRIPTION => {
                let text = String::from_utf8(letters::bytes(content)?);
                once(
                    &mut self.description,
                    text.map_err(|_| Malformed("the description is not UTF-8"))?,
                )
            }
            // Only the hash is given, so the text is unknown.
            DESCRIPTION_HASH if content.len() == HASH_LETTERS => {
                bytes32(content)?;
                once(&mut self.description, String::new())
            }
            PAYEE if content.len() == KEY_LETTERS => {
                first(&mut self.payee, || key(&letters::bytes(content)?))
            }
            EXPIRY => first(&mut self.expiry_s, || letters::number(content)),
            FINAL_CLTV => first(&mut self.final_cltv, || letters::number(content)),
            FEATURES => first(&mut self.features, || Ok(Features::read(content, 5))),
            ROUTE => {
                self.hints += 1;
                check_route(&letters::bytes(content)?)
            }
            BLINDED_PATH => {
                self.paths.push(BlindedPath::read(&letters::bytes(content)?)?);
                Ok(())
            }
            FALLBACK => check_fallback(content),
            METADATA => letters::bytes(content).map(drop),
            _ => Ok(()),
        }
    }
}

fn once<T>(field: &mut Option<T>, value: T) -> Result<(), Malformed> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed("duplicate field")),
    }
}

/// Keeps the first value. lnd does not parse a second one; here it must be valid.
fn first<T>(
    field: &mut Option<T>,
    read: impl FnOnce() -> Result<T, Malformed>,
) -> Result<(), Malformed> {
    let value = read()?;
    field.get_or_insert(value);
    Ok(())
}

fn bytes32(letters: &[u8]) -> Result<[u8; 32], Malformed> {
    letters::bytes(letters)?.try_into().map_err(|_| Malformed("invalid length of a hash"))
}

fn key(bytes: &[u8]) -> Result<PublicKey, Malformed> {
    PublicKey::from_slice(bytes).map_err(|_| Malformed("invalid public key"))
}

fn check_route(bytes: &[u8]) -> Result<(), Malformed> {
    let hops = bytes.chunks_exact(HOP_BYTES);
    if bytes.is_empty() || !hops.remainder().is_empty() {
        return Err(Malformed("invalid route hint"));
    }
    hops.into_iter().try_for_each(|hop| key(&hop[..33]).map(drop))
}

/// Checks an on-chain fallback address, which is never paid. lnd refuses an address of unknown length.
fn check_fallback(content: &[u8]) -> Result<(), Malformed> {
    const FAULT: Malformed = Malformed("invalid fallback address");

    let [version, program @ ..] = content else { return Err(FAULT) };
    if program.is_empty() {
        return Err(FAULT);
    }
    let fits: &[usize] = match version {
        0 => &[20, 32],
        1 => &[32],
        17 | 18 => &[20],
        _ => return Ok(()),
    };
    let length = letters::bytes(program)?.len();
    if fits.contains(&length) { Ok(()) } else { Err(FAULT) }
}
