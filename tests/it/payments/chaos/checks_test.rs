//! That the checks of a round can fail: each way to lose or to pay twice is
//! found in records that are consistent otherwise.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock},
};

use serde_json::{Value, json};
use withdrawd::pb::{Payment, Withdraw, withdraw::Status};

use super::{
    super::{
        offers::{Offer, WalletInvoice},
        plan::{InvoicePlan, PayeeAction},
        records::{Attempt, ByHash, Records},
    },
    faults,
};
use crate::bench::lab::Invoice;

/// One request: an invoice that failed, another that was paid, and a third that was not accepted.
fn offers() -> Vec<Offer> {
    let wallet_invoice = |hash: &str, action| {
        let invoice = Invoice { text: String::new(), hash: hash.to_owned() };
        Arc::new(WalletInvoice::plain(InvoicePlan { sat: 7, action }, invoice))
    };
    let invoices = vec![
        wallet_invoice("failed", PayeeAction::CancelsAfter { ms: 0 }),
        wallet_invoice("paid", PayeeAction::Plain),
        wallet_invoice("refused", PayeeAction::Plain),
    ];
    invoices[0].note_ok();
    invoices[1].note_ok();
    let withdraw = OnceLock::from(Withdraw::default());
    vec![Offer { withdraw, wallets: vec![invoices], later: Mutex::default() }]
}

fn sound() -> Records {
    let attempt = |hash: &str, state: &str, preimage: Option<&str>| Attempt {
        hash: hash.to_owned(),
        state: state.to_owned(),
        preimage: preimage.map(str::to_owned),
        reason: None,
        sends: 1,
    };
    let payment = Payment {
        payment_hash: "paid".to_owned(),
        preimage: "proof".to_owned(),
        ..Payment::default()
    };
    let shown =
        Withdraw { status: Status::Paid.into(), payment: Some(payment), ..Withdraw::default() };
    Records {
        payee: listed([("failed", canceled()), ("paid", settled("proof", 1)), ("refused", open())]),
        payer: listed([
            ("failed", json!({ "status": "FAILED" })),
            ("paid", json!({ "status": "SUCCEEDED" })),
        ]),
        stranded: BTreeSet::new(),
        wedged: false,
        attempts: listed([
            ("failed", attempt("failed", "FAILED", None)),
            ("paid", attempt("paid", "PAID", Some("proof"))),
        ]),
        requests: 1,
        shown: vec![shown],
    }
}

fn listed<T, const N: usize>(entries: [(&str, T); N]) -> ByHash<T> {
    entries.into_iter().map(|(hash, entry)| (hash.to_owned(), entry)).collect()
}

fn settled(preimage: &str, htlcs: usize) -> Value {
    let htlcs = vec![json!({ "state": "SETTLED" }); htlcs];
    json!({ "state": "SETTLED", "r_preimage": preimage, "amt_paid_msat": "7000", "htlcs": htlcs })
}

fn canceled() -> Value {
    json!({ "state": "CANCELED", "htlcs": [] })
}

fn open() -> Value {
    json!({ "state": "OPEN", "htlcs": [] })
}

fn set<T>(listed: &mut ByHash<T>, hash: &str, entry: T) {
    listed.insert(hash.to_owned(), entry);
}

fn state(records: &mut Records, hash: &str, state: &str) {
    state.clone_into(&mut records.attempts.get_mut(hash).unwrap().state);
}

#[test]
fn consistent_records_pass() {
    assert_eq!(faults(&offers(), &sound()), Vec::<String>::new());
}

/// As lnd lists it.
fn write_witness() -> Value {
    json!({
        "status": "FAILED",
        "payment_request": "",
        "value_sat": "1",
        "htlcs": [],
    })
}

#[test]
fn a_write_witness_is_not_taken_for_a_payment() {
    let mut records = sound();
    set(&mut records.payer, "witness", write_witness());
    assert_eq!(faults(&offers(), &records), Vec::<String>::new());
}

#[test]
fn every_way_to_pay_wrongly_is_found() {
    type Forge = fn(&mut Records);
    let forgeries: [(&str, Forge); 16] = [
        ("paid twice", |records| set(&mut records.payee, "failed", settled("other", 1))),
        ("paid without a claim", |records| set(&mut records.payee, "refused", settled("other", 1))),
        ("paid by two HTLCs", |records| set(&mut records.payee, "paid", settled("proof", 2))),
        ("paid, and not known", |records| state(records, "paid", "FAILED")),
        ("not paid, and called PAID", |records| set(&mut records.payee, "paid", open())),
        ("another proof", |records| set(&mut records.payee, "paid", settled("other", 1))),
        ("not shown as paid", |records| records.shown[0].status = Status::Active.into()),
        ("shown without proof", |records| records.shown[0].payment = Some(Payment::default())),
        ("told OK and forgotten", |records| drop(records.attempts.remove("failed"))),
        ("never ended", |records| state(records, "failed", "SENDING")),
        ("in flight, not lost by lnd", |records| state(records, "failed", "IN_FLIGHT")),
        ("a doubt after one send", |records| state(records, "failed", "NEEDS_OPERATOR")),
        ("a payment that nobody knows", |records| {
            set(&mut records.payer, "unknown", json!({ "status": "FAILED" }));
        }),
        ("a witness that left the node", |records| {
            let mut witness = write_witness();
            witness["htlcs"] = json!([{ "status": "FAILED" }]);
            set(&mut records.payer, "witness", witness);
        }),
        ("a witness that somebody asked for", |records| {
            let mut witness = write_witness();
            witness["payment_request"] = json!("lnbc1");
            set(&mut records.payer, "witness", witness);
        }),
        ("a request made twice", |records| records.requests = 2),
    ];
    for (what, forge) in forgeries {
        let mut records = sound();
        forge(&mut records);
        assert_ne!(faults(&offers(), &records), Vec::<String>::new(), "{what}");
    }
}
