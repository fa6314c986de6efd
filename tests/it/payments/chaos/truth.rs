//! What must hold when all is over. The truth is the payee's lnd: what it settled was paid.

use std::time::{Duration, Instant};

use serde_json::Value;
use withdrawd::pb::{Withdraw, withdraw::Status};

use super::{
    books::{Attempt, Books},
    offers::{Bill, Offer},
    plan::Fate,
    round::Round,
};
use crate::bench::lab::let_pass;

/// Books trail each other by a moment, never for so long.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);

/// The books once nothing speaks against them. What always does fails the round.
pub async fn agreed_books(round: &Round) -> Books {
    let patience = Instant::now() + PATIENCE;
    loop {
        let books = Books::read(round).await;
        let faults = match &books {
            Some(books) => faults(&round.offers, books),
            None => vec!["the books cannot be read".to_owned()],
        };
        match books {
            Some(books) if faults.is_empty() => return books,
            _ => assert!(Instant::now() < patience, "{}", faults.join("\n")),
        }
        let_pass(PAUSE).await;
    }
}

fn faults(offers: &[Offer], books: &Books) -> Vec<String> {
    let mut faults = Vec::new();
    if usize::try_from(books.requests).unwrap() != offers.len() {
        faults.push(format!("{} requests were made", books.requests));
    }
    let bills: Vec<_> = offers.iter().flat_map(Offer::bills).collect();
    for attempt in books.attempts.values() {
        if !bills.iter().any(|bill| bill.hash() == attempt.hash) {
            faults.push(format!("nobody claimed with it: {attempt:?}"));
        }
    }
    for bill in &bills {
        let broken = fault_of_bill(bill, books);
        faults.extend(broken.map(|fault| format!("{} {:?}: {fault}", bill.hash(), bill.fate)));
    }
    for (offer, shown) in offers.iter().zip(&books.shown) {
        faults.extend(fault_of_offer(offer, shown, books));
    }
    for (hash, payment) in &books.payer {
        let known = books.attempts.get(hash).map(|attempt| attempt.state.as_str());
        let agreed = match payment["status"].as_str().unwrap() {
            "SUCCEEDED" => known == Some("PAID"),
            "FAILED" => {
                matches!(known, Some("FAILED" | "NEEDS_OPERATOR"))
                    || known.is_none() && is_write_witness(payment)
            }
            // Though every attempt has ended, but for these.
            _ => known == Some("IN_FLIGHT") && books.stranded.contains(hash),
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
fn fault_of_bill(bill: &Bill, books: &Books) -> Option<String> {
    let settled = settled(bill, books);
    let Some(attempt) = books.attempts.get(bill.hash()) else {
        let lost = bill.was_told_ok().then(|| "told OK, and not in the database".to_owned());
        return lost.or(settled.map(|invoice| format!("paid without a claim: {invoice}")));
    };
    match (attempt.state.as_str(), settled) {
        ("PAID", Some(invoice)) => fault_of_proof(bill, attempt, invoice),
        ("FAILED", None) => None,
        // "IN_FLIGHT never ages out."
        ("IN_FLIGHT", None) if books.stranded.contains(bill.hash()) => None,
        // The payee has taken it, and its channel cannot say so.
        ("IN_FLIGHT", Some(_)) if is_stuck(bill, books) => None,
        ("NEEDS_OPERATOR", None) if is_explained(bill, attempt) => None,
        _ => Some(format!("{attempt:?}, and at the payee {settled:?}")),
    }
}

fn is_stuck(bill: &Bill, books: &Books) -> bool {
    books.wedged && books.stranded.contains(bill.hash())
}

/// The one doubt that these rounds can lead to: a payee that refuses after a second send may have
/// been paid by the first one. (The second follows a first that was killed before it was out.)
fn is_explained(bill: &Bill, attempt: &Attempt) -> bool {
    matches!(bill.fate, Fate::CancelsAfter { .. })
        && attempt.sends > 1
        && attempt.reason.as_deref() == Some("REFUSED_AFTER_REPEATS")
}

fn fault_of_proof(bill: &Bill, attempt: &Attempt, invoice: &Value) -> Option<String> {
    let htlcs = invoice["htlcs"].as_array().unwrap().iter();
    let htlcs = htlcs.filter(|htlc| htlc["state"] == "SETTLED").count();
    let paid_msat = invoice["amt_paid_msat"].as_str().and_then(|msat| msat.parse().ok());
    let same = attempt.preimage.as_deref() == invoice["r_preimage"].as_str()
        && paid_msat == Some(bill.sat * 1000);
    (htlcs != 1 || !same).then(|| format!("{attempt:?} is not what the payee has: {invoice}"))
}

/// At most one of its invoices is settled; exactly then is it PAID, and shows the proof.
fn fault_of_offer(offer: &Offer, shown: &Withdraw, books: &Books) -> Option<String> {
    let settled: Vec<_> =
        offer.bills().into_iter().filter(|bill| self::settled(bill, books).is_some()).collect();
    let shown_as_paid = shown.status() == Status::Paid;
    match settled.as_slice() {
        [] if !shown_as_paid => None,
        [bill] if !shown_as_paid && is_stuck(bill, books) => None,
        [bill] if shown_as_paid => {
            let proof = &books.attempts.get(bill.hash())?.preimage;
            let payment = shown.payment.as_ref()?;
            let same =
                payment.payment_hash == bill.hash() && Some(&payment.preimage) == proof.as_ref();
            (!same).then(|| format!("shown with another payment: {shown:?}"))
        }
        _ => {
            let hashes: Vec<_> = settled.iter().map(|bill| bill.hash().to_owned()).collect();
            Some(format!("the payee was paid {hashes:?} for {shown:?}"))
        }
    }
}

fn settled<'a>(bill: &Bill, books: &'a Books) -> Option<&'a Value> {
    books.payee.get(bill.hash()).filter(|invoice| invoice["state"] == "SETTLED")
}

#[path = "truth_test.rs"]
mod truth_test;
