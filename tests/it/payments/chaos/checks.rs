//! What must hold at the end of a round. The payee's lnd decides: what it settled was paid.

use std::time::{Duration, Instant};

use serde_json::Value;
use withdrawd::pb::{Withdraw, withdraw::Status};

use super::{
    offers::{Offer, WalletInvoice},
    plan::PayeeAction,
    records::{Attempt, Records},
    round::Round,
};
use crate::bench::lab::let_pass;

/// Records trail each other by a moment, never for so long.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);

/// The records once they agree. If they never do, the round fails.
pub async fn agreeing_records(round: &Round) -> Records {
    let patience = Instant::now() + PATIENCE;
    loop {
        let records = Records::read(round).await;
        let faults = match &records {
            Some(records) => faults(&round.offers, records),
            None => vec!["the books cannot be read".to_owned()],
        };
        match records {
            Some(records) if faults.is_empty() => return records,
            _ => assert!(Instant::now() < patience, "{}", faults.join("\n")),
        }
        let_pass(PAUSE).await;
    }
}

fn faults(offers: &[Offer], records: &Records) -> Vec<String> {
    let mut faults = Vec::new();
    if usize::try_from(records.requests).unwrap() != offers.len() {
        faults.push(format!("{} requests were made", records.requests));
    }
    let invoices: Vec<_> = offers.iter().flat_map(Offer::invoices).collect();
    for attempt in records.attempts.values() {
        if !invoices.iter().any(|wallet_invoice| wallet_invoice.hash() == attempt.hash) {
            faults.push(format!("nobody claimed with it: {attempt:?}"));
        }
    }
    for wallet_invoice in &invoices {
        let broken = fault_of_invoice(wallet_invoice, records);
        faults.extend(broken.map(|fault| {
            format!("{} {:?}: {fault}", wallet_invoice.hash(), wallet_invoice.action)
        }));
    }
    for (offer, shown) in offers.iter().zip(&records.shown) {
        faults.extend(fault_of_offer(offer, shown, records));
    }
    for (hash, payment) in &records.payer {
        let known = records.attempts.get(hash).map(|attempt| attempt.state.as_str());
        let agreed = match payment["status"].as_str().unwrap() {
            "SUCCEEDED" => known == Some("PAID"),
            "FAILED" => {
                matches!(known, Some("FAILED" | "NEEDS_OPERATOR"))
                    || known.is_none() && is_write_witness(payment)
            }
            // Though every attempt has ended, but for these.
            _ => known == Some("IN_FLIGHT") && records.stranded.contains(hash),
        };
        if !agreed {
            faults.push(format!("the payer has {payment}, the service {known:?}"));
        }
    }
    faults
}

/// A payment that never left the node, and that no invoice asked for: the service had it stored, to see that
/// the node stores.
pub fn is_write_witness(payment: &Value) -> bool {
    payment["status"] == "FAILED"
        && payment["payment_request"] == ""
        && payment["value_sat"] == "1"
        && payment["htlcs"] == Value::Array(Vec::new())
}

/// Paid here is settled there, once and with the same preimage; told OK is never forgotten; and
/// what was accepted has ended.
fn fault_of_invoice(wallet_invoice: &WalletInvoice, records: &Records) -> Option<String> {
    let settled = settled(wallet_invoice, records);
    let Some(attempt) = records.attempts.get(wallet_invoice.hash()) else {
        let lost =
            wallet_invoice.was_told_ok().then(|| "told OK, and not in the database".to_owned());
        return lost.or(settled.map(|invoice| format!("paid without a claim: {invoice}")));
    };
    match (attempt.state.as_str(), settled) {
        ("PAID", Some(invoice)) => fault_of_proof(wallet_invoice, attempt, invoice),
        ("FAILED", None) => None,
        // "IN_FLIGHT never ages out."
        ("IN_FLIGHT", None) if records.stranded.contains(wallet_invoice.hash()) => None,
        // The payee has taken it, and its channel cannot say so.
        ("IN_FLIGHT", Some(_)) if is_stuck(wallet_invoice, records) => None,
        ("NEEDS_OPERATOR", None) if is_explained(wallet_invoice, attempt) => None,
        _ => Some(format!("{attempt:?}, and at the payee {settled:?}")),
    }
}

fn is_stuck(wallet_invoice: &WalletInvoice, records: &Records) -> bool {
    records.wedged && records.stranded.contains(wallet_invoice.hash())
}

/// The one doubt that these rounds can lead to: a payee that refuses after a second send may have
/// been paid by the first one. (The second follows a first that was killed before it was out.)
fn is_explained(wallet_invoice: &WalletInvoice, attempt: &Attempt) -> bool {
    matches!(wallet_invoice.action, PayeeAction::CancelsAfter { .. })
        && attempt.sends > 1
        && attempt.reason.as_deref() == Some("REFUSED_AFTER_REPEATS")
}

fn fault_of_proof(
    wallet_invoice: &WalletInvoice,
    attempt: &Attempt,
    invoice: &Value,
) -> Option<String> {
    let htlcs = invoice["htlcs"].as_array().unwrap().iter();
    let htlcs = htlcs.filter(|htlc| htlc["state"] == "SETTLED").count();
    let paid_msat = invoice["amt_paid_msat"].as_str().and_then(|msat| msat.parse().ok());
    let same = attempt.preimage.as_deref() == invoice["r_preimage"].as_str()
        && paid_msat == Some(wallet_invoice.sat * 1000);
    (htlcs != 1 || !same).then(|| format!("{attempt:?} is not what the payee has: {invoice}"))
}

/// At most one of its invoices is settled; exactly then is it PAID, and shows the proof.
fn fault_of_offer(offer: &Offer, shown: &Withdraw, records: &Records) -> Option<String> {
    let settled: Vec<_> = offer
        .invoices()
        .into_iter()
        .filter(|wallet_invoice| self::settled(wallet_invoice, records).is_some())
        .collect();
    let shown_as_paid = shown.status() == Status::Paid;
    match settled.as_slice() {
        [] if !shown_as_paid => None,
        [wallet_invoice] if !shown_as_paid && is_stuck(wallet_invoice, records) => None,
        [wallet_invoice] if shown_as_paid => {
            let proof = &records.attempts.get(wallet_invoice.hash())?.preimage;
            let payment = shown.payment.as_ref()?;
            let same = payment.payment_hash == wallet_invoice.hash()
                && Some(&payment.preimage) == proof.as_ref();
            (!same).then(|| format!("shown with another payment: {shown:?}"))
        }
        _ => {
            let hashes: Vec<_> =
                settled.iter().map(|wallet_invoice| wallet_invoice.hash().to_owned()).collect();
            Some(format!("the payee was paid {hashes:?} for {shown:?}"))
        }
    }
}

fn settled<'a>(wallet_invoice: &WalletInvoice, records: &'a Records) -> Option<&'a Value> {
    records.payee.get(wallet_invoice.hash()).filter(|invoice| invoice["state"] == "SETTLED")
}

#[path = "checks_test.rs"]
mod checks_test;
