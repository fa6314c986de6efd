//! BOLT11 invoices: what a payer must check before it accepts one.
//!
//! The parser ([`Bolt11Invoice::read`]) checks what makes it an invoice at all. What makes it one that can be
//! paid here is checked by the rules in this file, each with a sentence for the person who holds the
//! phone. Together they refuse whatever lnd would refuse at once (`extractIntentFromSendRequest` of v0.21).

use std::fmt;

use secp256k1::PublicKey;
use sha2::{Digest, Sha256};

use super::{Bolt11Invoice, Millis, Msat, Network, NodeId, Sat, Timestamp};

/// Longer texts are not worth parsing; an invoice with all its hints stays below.
pub const MAX_INVOICE_CHARS: usize = 4096;
/// How far a payee's clock may be ahead of ours.
const MAX_AHEAD: Millis = Millis::from_secs(600);
/// lnd counts an invoice's life in nanoseconds, of which 63 bits hold no more; beyond it starts anew, and
/// calls the invoice expired or not as it falls out.
const MAX_EXPIRY_S: u64 = i64::MAX as u64 / 1_000_000_000;
/// Blocks that lnd adds to the payee's final CLTV.
const CLTV_PADDING: u64 = 3;
/// From the making of an invoice to its claim: what a slow wallet on a slow network may take, with a
/// clock that is somewhat off. A person is told to make one that lasts so much longer than it must.
const ON_ITS_WAY: Millis = Millis::from_secs(20);

/// Identifies a payment: SHA-256 of its preimage.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PaymentHash([u8; 32]);

/// The proof that a payment was made.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Preimage([u8; 32]);

/// An invoice that was checked by the rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invoice {
    /// Lower case, without a `lightning:` prefix.
    pub text: String,
    /// What identifies its payment.
    pub payment_hash: PaymentHash,
    /// What it asks for.
    pub amount: Msat,
    /// When the payee stops to accept it.
    pub expires_at: Timestamp,
}

/// What invoices must fulfil here, whoever claims.
#[derive(Clone, Copy, Debug)]
pub struct InvoiceRules {
    /// The network that the node is on.
    pub network: Network,
    /// The least time until the invoice expires, at the claim: enough that the send which follows at
    /// once has its whole life, and the node some time to pay. Nothing rests on it but that claims are
    /// not accepted in vain: when sends end is `Payment::send_until`.
    pub min_life: Millis,
    /// The most blocks that a payment may be locked for.
    pub cltv_limit: u32,
    /// The most routes of hints.
    pub max_route_hints: usize,
}

/// Why an invoice is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvoiceFault {
    /// Nothing was sent.
    #[error("the invoice is missing")]
    Missing,
    /// Too long to be one.
    #[error("the invoice is too long")]
    TooLong,
    /// It does not parse, or its signature is wrong.
    #[error("this is not a valid Lightning invoice")]
    Invalid,
    /// Made for another Bitcoin network.
    #[error("the invoice is for another network, not for {0}")]
    OtherNetwork(Network),
    /// The payer would choose the amount.
    #[error("the invoice has no amount, please make one with an amount")]
    NoAmount,
    /// Outside of what the request offers.
    #[error("the invoice's amount of {amount} sats is outside {}", Bounds(*.min, *.max))]
    AmountOutside {
        /// What it asks for.
        amount: Msat,
        /// The least that is offered.
        min: Sat,
        /// The most that is offered.
        max: Sat,
    },
    /// The payment hash is not what would be paid.
    #[error("AMP invoices cannot be paid here, please make an ordinary one")]
    Amp,
    /// It needs what lnd does not know, or what is no matter of payments.
    #[error(
        "the invoice needs a feature that cannot be paid here (number {0}), please use another wallet"
    )]
    Unpayable(u32),
    /// It names no payment secret and no blinded path, or not the features that go with them.
    #[error("the invoice lacks what payments need today, please use a newer wallet")]
    Outdated,
    /// lnd could not count how long.
    #[error("the invoice lasts for more than 292 years, please make one that expires sooner")]
    LastsTooLong,
    /// Made in the future.
    #[error("the invoice's time is in the future, please check the clock of your wallet")]
    FromTheFuture,
    /// It has expired.
    #[error("the invoice has expired, please make a new one")]
    Expired,
    /// There is not enough time to pay it.
    #[error("{}", Soon(*.left, *.lasts, *.needs))]
    ExpiresSoon {
        /// Until it expires.
        left: Millis,
        /// From its making until it expires.
        lasts: Millis,
        /// What must be left.
        needs: Millis,
    },
    /// The payee wants the money locked for longer than this service allows.
    #[error("the invoice asks to lock the payment for too many blocks")]
    CltvTooLarge,
    /// Too many routes of hints.
    #[error("the invoice carries too many route hints")]
    TooManyHints,
    /// The payee is the paying node.
    #[error("the invoice was made by the node that would pay it")]
    OwnNode,
}

/// `10 sats` or `10–20 sats`.
struct Bounds(Sat, Sat);

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(min, max) = self;
        if min == max {
            write!(f, "the {max} sats offered")
        } else {
            write!(f, "{min}–{max} sats")
        }
    }
}

/// What is left, of how much, and what must be left. Nobody is told to make an invoice that lasts as
/// long as the one at hand.
struct Soon(Millis, Millis, Millis);

impl fmt::Display for Soon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(left, lasts, needs) = self;
        let (left, advised) = (left.as_secs_rounded_up(), needs.plus(ON_ITS_WAY));
        if *lasts < advised {
            let advised = advised.as_secs_rounded_up();
            write!(
                f,
                "the invoice expires too soon, please make one that lasts at least {advised} seconds"
            )
        } else {
            let needs = needs.as_secs_rounded_up();
            write!(
                f,
                "the invoice expires in {left} seconds, and {needs} must be left: please make a new \
                 one now, and check the clock of your wallet if this happens again"
            )
        }
    }
}

/// What a wallet sent, trimmed, without `lightning:`, in lower case: the form that is stored and
/// compared.
pub fn normalise(text: &str) -> Result<String, InvoiceFault> {
    let text = text.trim();
    if text.len() > MAX_INVOICE_CHARS {
        return Err(InvoiceFault::TooLong);
    }
    // Mixed case is invalid in bech32: folding it would accept what the parser must refuse.
    let body = match text.get(..10) {
        Some(head) if head.eq_ignore_ascii_case("lightning:") => &text[10..],
        _ => text,
    };
    let mixed = body.bytes().any(|b| b.is_ascii_lowercase())
        && body.bytes().any(|b| b.is_ascii_uppercase());
    match (body.is_empty(), mixed || !body.is_ascii()) {
        (true, _) => Err(InvoiceFault::Missing),
        (_, true) => Err(InvoiceFault::Invalid),
        _ => Ok(body.to_ascii_lowercase()),
    }
}

/// Parses a normalised text: checksum, fields, features and signature.
pub fn parse(normalised: &str) -> Result<Bolt11Invoice, InvoiceFault> {
    Bolt11Invoice::read(normalised).map_err(|_| InvoiceFault::Invalid)
}

impl InvoiceRules {
    /// Checks an invoice against the rules and a request's bounds.
    pub fn check(
        &self,
        text: &str,
        bounds: (Sat, Sat),
        own_node: Option<&NodeId>,
        now: Timestamp,
    ) -> Result<Invoice, InvoiceFault> {
        let text = normalise(text)?;
        let parsed = parse(&text)?;
        self.check_parsed(text, &parsed, bounds, own_node, now)
    }

    /// The same for an invoice that was normalised and parsed before.
    pub fn check_parsed(
        &self,
        text: String,
        parsed: &Bolt11Invoice,
        (min, max): (Sat, Sat),
        own_node: Option<&NodeId>,
        now: Timestamp,
    ) -> Result<Invoice, InvoiceFault> {
        if parsed.currency != self.network.currency() {
            return Err(InvoiceFault::OtherNetwork(self.network));
        }
        let amount = amount_within(parsed, min, max)?;
        if parsed.expiry_s > MAX_EXPIRY_S {
            return Err(InvoiceFault::LastsTooLong);
        }
        self.check_times(parsed, now)?;
        check_features(parsed)?;
        self.check_route(parsed, own_node)?;
        Ok(Invoice {
            text,
            payment_hash: payment_hash(parsed),
            amount,
            expires_at: expires_at(parsed),
        })
    }

    fn check_times(&self, invoice: &Bolt11Invoice, now: Timestamp) -> Result<(), InvoiceFault> {
        let made_at = timestamp(invoice.made_at_s);
        if made_at > now.plus(MAX_AHEAD) {
            return Err(InvoiceFault::FromTheFuture);
        }
        let expires_at = expires_at(invoice);
        if expires_at <= now {
            return Err(InvoiceFault::Expired);
        }
        if expires_at < now.plus(self.min_life) {
            return Err(InvoiceFault::ExpiresSoon {
                left: expires_at.since(now),
                lasts: expires_at.since(made_at),
                needs: self.min_life,
            });
        }
        Ok(())
    }

    fn check_route(
        &self,
        invoice: &Bolt11Invoice,
        own_node: Option<&NodeId>,
    ) -> Result<(), InvoiceFault> {
        let paths = &invoice.paths;
        let cltv = invoice.final_cltv.saturating_add(CLTV_PADDING);
        // The shortest of the ways that there are.
        let path = paths.iter().map(|path| u64::from(path.cltv_delta)).min().unwrap_or_default();
        if cltv.max(path.saturating_add(CLTV_PADDING)) >= u64::from(self.cltv_limit) {
            return Err(InvoiceFault::CltvTooLarge);
        }
        if invoice.hints.max(paths.len()) > self.max_route_hints {
            return Err(InvoiceFault::TooManyHints);
        }
        if own_node.is_some_and(|own| leads_to(invoice, own)) {
            return Err(InvoiceFault::OwnNode);
        }
        Ok(())
    }
}

/// Whether the payee is the node itself, or can be reached only by a payment that begins at itself. Behind
/// a blinded path that begins elsewhere nobody can see who the payee is: lnd cannot either, and pays.
fn leads_to(invoice: &Bolt11Invoice, node: &NodeId) -> bool {
    let is_node = |key: &PublicKey| key.to_string() == node.as_str();
    let paths = &invoice.paths;
    is_node(&invoice.payee)
        || paths.iter().any(|path| path.is_payee() && is_node(&path.first))
        || (!paths.is_empty() && paths.iter().all(|path| is_node(&path.first)))
}

/// What lnd would refuse at once, or find no route for.
fn check_features(invoice: &Bolt11Invoice) -> Result<(), InvoiceFault> {
    let features = &invoice.features;
    if features.is_amp() {
        return Err(InvoiceFault::Amp);
    }
    let of_paths = invoice.paths.first().map(|path| &path.features);
    let unpayable = features.unpayable().or_else(|| of_paths?.unpayable());
    if let Some(bit) = unpayable {
        return Err(InvoiceFault::Unpayable(bit));
    }
    // lnd takes the first path's for all; they replace the invoice's where there are any.
    if invoice.paths.iter().any(|path| Some(&path.features) != of_paths) {
        return Err(InvoiceFault::Invalid);
    }
    let counted = of_paths.filter(|of_paths| !of_paths.is_empty()).unwrap_or(features);
    let has_secret = invoice.payment_secret.is_some();
    let is_named = !has_secret || counted.has_secret();
    if is_named && counted.is_complete() && (has_secret || !invoice.paths.is_empty()) {
        Ok(())
    } else {
        Err(InvoiceFault::Outdated)
    }
}

fn amount_within(invoice: &Bolt11Invoice, min: Sat, max: Sat) -> Result<Msat, InvoiceFault> {
    // An amount that overflows reads as none, and so does zero to a wallet.
    let msat = invoice.msat.filter(|&msat| msat > 0);
    let msat = msat.ok_or(InvoiceFault::NoAmount)?;
    let amount = i64::try_from(msat).ok().and_then(Msat::new);
    let amount = amount.unwrap_or(Msat::MAX);
    if amount < min.to_msat() || amount > max.to_msat() {
        return Err(InvoiceFault::AmountOutside { amount, min, max });
    }
    Ok(amount)
}

fn timestamp(seconds: u64) -> Timestamp {
    let ms = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000);
    Timestamp::from_ms(ms).min(Timestamp::MAX)
}

/// When the invoice expires; [`Timestamp::MAX`] for one beyond all calendars.
pub fn expires_at(invoice: &Bolt11Invoice) -> Timestamp {
    timestamp(invoice.made_at_s.saturating_add(invoice.expiry_s))
}

/// The payment hash of a parsed invoice.
pub const fn payment_hash(invoice: &Bolt11Invoice) -> PaymentHash {
    PaymentHash(invoice.payment_hash)
}

/// Reads 32 bytes in hex.
fn bytes32(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(hex, &mut bytes).ok().map(|()| bytes)
}

impl PaymentHash {
    /// Reads the hex form.
    pub fn parse(hex: &str) -> Option<Self> {
        bytes32(hex).map(Self)
    }

    /// The hash that a row or a node holds.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As rows hold it.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Preimage {
    /// Reads the hex form.
    pub fn parse(hex: &str) -> Option<Self> {
        bytes32(hex).map(Self)
    }

    /// The preimage that a row or a node holds.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// As rows hold it.
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

/// A proof of payment has no business in a log.
impl fmt::Debug for Preimage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Preimage(…)")
    }
}
