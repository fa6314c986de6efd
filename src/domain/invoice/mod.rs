//! BOLT11 invoices: what a payer must check before it accepts one.
//!
//! The parser ([`Bolt11Invoice::read`]) checks that a text is an invoice at all. The rules in this file
//! check that this service can pay it; each has a sentence for the person with the wallet. Together
//! they refuse whatever lnd would refuse at once (`extractIntentFromSendRequest` of v0.21).

mod fault;
mod hash;

use secp256k1::PublicKey;

use crate::domain::{Bolt11Invoice, Millis, Msat, Network, NodeId, SatRange, Timestamp};

pub use fault::InvoiceFault;
pub use hash::{PaymentHash, Preimage};

/// Longer texts are refused unparsed; even an invoice with many hints is shorter.
pub const MAX_INVOICE_CHARS: usize = 4096;
/// How far a payee's clock may be ahead of ours.
const MAX_AHEAD: Millis = Millis::from_secs(600);
/// lnd computes an invoice's validity in nanoseconds in 63 bits. A longer one overflows, and lnd may or
/// may not treat the invoice as expired.
const MAX_EXPIRY_S: u64 = i64::MAX as u64 / 1_000_000_000;
/// Blocks that lnd adds to the payee's final CLTV delta.
const CLTV_PADDING: u64 = 3;

/// An invoice that passed the rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invoice {
    /// Lower case, without a `lightning:` prefix.
    pub text: String,
    /// The payment hash.
    pub payment_hash: PaymentHash,
    /// Its amount.
    pub amount: Msat,
    /// When it expires.
    pub expires_at: Timestamp,
}

/// The rules for every invoice, whoever claims.
#[derive(Clone, Copy, Debug)]
pub struct InvoiceRules {
    /// The network that the node is on.
    pub network: Network,
    /// The minimum time until the invoice expires, checked at the claim: enough for the send that
    /// follows at once to have its whole lifetime, and for the node to pay. It only avoids accepting
    /// claims in vain; `Payment::send_until` is what ends sends.
    pub min_life: Millis,
    /// The maximum number of blocks that a payment may be locked for.
    pub cltv_limit: u32,
    /// The maximum number of route hints.
    pub max_route_hints: usize,
}

/// Normalises a wallet's text: trimmed, without `lightning:`, in lower case. This form is stored and
/// compared.
pub fn normalise(text: &str) -> Result<String, InvoiceFault> {
    let text = text.trim();
    if text.len() > MAX_INVOICE_CHARS {
        return Err(InvoiceFault::TooLong);
    }
    // Mixed case is invalid in bech32. Lower-casing it would accept what the parser must refuse.
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
    /// Checks an invoice against the rules and a request's range.
    pub fn check(
        &self,
        text: &str,
        bounds: SatRange,
        own_node: Option<&NodeId>,
        now: Timestamp,
    ) -> Result<Invoice, InvoiceFault> {
        let text = normalise(text)?;
        let parsed = parse(&text)?;
        self.check_parsed(text, &parsed, bounds, own_node, now)
    }

    /// The same for an invoice that is already normalised and parsed.
    pub fn check_parsed(
        &self,
        text: String,
        parsed: &Bolt11Invoice,
        bounds: SatRange,
        own_node: Option<&NodeId>,
        now: Timestamp,
    ) -> Result<Invoice, InvoiceFault> {
        if parsed.currency != self.network.currency() {
            return Err(InvoiceFault::OtherNetwork(self.network));
        }
        let amount = amount_within(parsed, bounds)?;
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
        // The smallest CLTV delta of all paths.
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

/// Whether the payee is the node itself, or every path to it starts at the node. Neither we nor lnd can
/// see the payee behind a blinded path that starts elsewhere; lnd pays it.
fn leads_to(invoice: &Bolt11Invoice, node: &NodeId) -> bool {
    let is_node = |key: &PublicKey| key.to_string() == node.as_str();
    let paths = &invoice.paths;
    is_node(&invoice.payee)
        || paths.iter().any(|path| path.is_payee() && is_node(&path.first))
        || (!paths.is_empty() && paths.iter().all(|path| is_node(&path.first)))
}

/// Refuses what lnd would refuse at once or find no route for.
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
    // lnd applies the first path's features to all paths; they replace the invoice's own unless they
    // are empty.
    if invoice.paths.iter().any(|path| Some(&path.features) != of_paths) {
        return Err(InvoiceFault::Invalid);
    }
    let effective = of_paths.filter(|of_paths| !of_paths.is_empty()).unwrap_or(features);
    let has_secret = invoice.payment_secret.is_some();
    let declares_secret = !has_secret || effective.has_secret();
    if declares_secret && effective.is_complete() && (has_secret || !invoice.paths.is_empty()) {
        Ok(())
    } else {
        Err(InvoiceFault::Outdated)
    }
}

fn amount_within(
    invoice: &Bolt11Invoice,
    SatRange { min, max }: SatRange,
) -> Result<Msat, InvoiceFault> {
    // An amount that overflows is parsed as None; wallets treat zero as no amount, too.
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

/// When the invoice expires, capped at [`Timestamp::MAX`].
pub fn expires_at(invoice: &Bolt11Invoice) -> Timestamp {
    timestamp(invoice.made_at_s.saturating_add(invoice.expiry_s))
}

/// The payment hash of a parsed invoice.
pub const fn payment_hash(invoice: &Bolt11Invoice) -> PaymentHash {
    PaymentHash::from_bytes(invoice.payment_hash)
}
