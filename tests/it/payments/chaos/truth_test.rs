//! That the books of a round can speak against the service: each way to lose or to pay twice is
//! found in books that are sound otherwise.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, OnceLock},
};

use serde_json::{Value, json};
use withdrawd::pb::{Payment, Withdraw, withdraw::Status};

use super::{
    super::{
        books::{Attempt, Book, Books},
        offers::{Bill, Offer},
        plan::{Fate, InvoicePlan},
    },
    faults,
};
use crate::bench::lab::Invoice;

/// One request: an invoice that failed, another that was paid, and a third that was not accepted.
fn offers() -> Vec<Offer> {
    let bill = |hash: &str, fate| {
        let invoice = Invoice { text: String::new(), hash: hash.to_owned() };
        Arc::new(Bill::plain(InvoicePlan { sat: 7, fate }, invoice))
    };
    let bills = vec![
        bill("failed", Fate::CancelsAfter { ms: 0 }),
        bill("paid", Fate::Plain),
        bill("refused", Fate::Plain),
    ];
    bills[0].note_ok();
    bills[1].note_ok();
    let withdraw = OnceLock::from(Withdraw::default());
    vec![Offer { withdraw, wallets: vec![bills], later: Mutex::default() }]
}

fn sound() -> Books {
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
    Books {
        payee: book([("failed", canceled()), ("paid", settled("proof", 1)), ("refused", open())]),
        payer: book([
            ("failed", json!({ "status": "FAILED" })),
            ("paid", json!({ "status": "SUCCEEDED" })),
        ]),
        stranded: BTreeSet::new(),
        wedged: false,
        attempts: book([
            ("failed", attempt("failed", "FAILED", None)),
            ("paid", attempt("paid", "PAID", Some("proof"))),
        ]),
        requests: 1,
        shown: vec![shown],
    }
}

fn book<T, const N: usize>(entries: [(&str, T); N]) -> Book<T> {
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

fn set<T>(book: &mut Book<T>, hash: &str, entry: T) {
    book.insert(hash.to_owned(), entry);
}

fn state(books: &mut Books, hash: &str, state: &str) {
    state.clone_into(&mut books.attempts.get_mut(hash).unwrap().state);
}

#[test]
fn sound_books_say_nothing_against_the_service() {
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
fn a_write_witness_is_nobodys_payment() {
    let mut books = sound();
    set(&mut books.payer, "witness", write_witness());
    assert_eq!(faults(&offers(), &books), Vec::<String>::new());
}

#[test]
fn every_way_to_pay_wrongly_is_found() {
    type Forge = fn(&mut Books);
    let forgeries: [(&str, Forge); 16] = [
        ("paid twice", |books| set(&mut books.payee, "failed", settled("other", 1))),
        ("paid without a claim", |books| set(&mut books.payee, "refused", settled("other", 1))),
        ("paid by two HTLCs", |books| set(&mut books.payee, "paid", settled("proof", 2))),
        ("paid, and not known", |books| state(books, "paid", "FAILED")),
        ("not paid, and called PAID", |books| set(&mut books.payee, "paid", open())),
        ("another proof", |books| set(&mut books.payee, "paid", settled("other", 1))),
        ("not shown as paid", |books| books.shown[0].status = Status::Active.into()),
        ("shown without proof", |books| books.shown[0].payment = Some(Payment::default())),
        ("told OK and forgotten", |books| drop(books.attempts.remove("failed"))),
        ("never ended", |books| state(books, "failed", "SENDING")),
        ("in flight, not lost by lnd", |books| state(books, "failed", "IN_FLIGHT")),
        ("a doubt after one send", |books| state(books, "failed", "NEEDS_OPERATOR")),
        ("a payment that nobody knows", |books| {
            set(&mut books.payer, "unknown", json!({ "status": "FAILED" }));
        }),
        ("a witness that left the node", |books| {
            let mut witness = write_witness();
            witness["htlcs"] = json!([{ "status": "FAILED" }]);
            set(&mut books.payer, "witness", witness);
        }),
        ("a witness that somebody asked for", |books| {
            let mut witness = write_witness();
            witness["payment_request"] = json!("lnbc1");
            set(&mut books.payer, "witness", witness);
        }),
        ("a request made twice", |books| books.requests = 2),
    ];
    for (what, forge) in forgeries {
        let mut books = sound();
        forge(&mut books);
        assert_ne!(faults(&offers(), &books), Vec::<String>::new(), "{what}");
    }
}
