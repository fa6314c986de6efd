//! What operators type: the real binary lists a payment in doubt, shows it, and ends it.

use std::{fs::OpenOptions, io::Write};

use serde_json::{Value, json};
use withdrawd::runtime::{Clock, SystemClock};

use crate::{
    bench::binary::{Home, Service, until},
    bench::invoices::{InvoiceDraft, hash_of},
    payments::doubts::proof_of,
};

/// A service whose node knows a payment of `invoice` that the service did not send: as if a part of
/// its database were lost. `preimage` is what the node calls its proof, if it calls it paid.
pub fn in_doubt(
    home: &Home,
    invoice: &str,
    preimage: Option<&str>,
    environment: &[(&str, &str)],
) -> (Service, Value) {
    let service = home.serve_with(&[], environment);
    let withdraw = service.create("10");
    service.kill9();
    let mut line = json!({
        "payment_hash": hash_of(invoice).to_string(),
        "amount_msat": 10_000,
        "created_ms": SystemClock::new().now().as_ms(),
    });
    if let Some(preimage) = preimage {
        line["preimage"] = json!(preimage);
        line["fee_msat"] = json!(4);
    }
    let ledger = home.data("simulated-node.jsonl");
    writeln!(OpenOptions::new().append(true).open(ledger).unwrap(), "{line}").unwrap();

    let service = home.serve_with(&[], environment);
    let lnurl = service.get(&withdraw["id"])["withdraw_request"].as_str().unwrap().to_owned();
    service.cli(&["claim", &lnurl, "--invoice", invoice]).ok();
    let payment = until("a doubt", || {
        let listed = service.json(&["payments", "--needs-operator"]);
        listed["payments"].get(0).cloned()
    });
    assert_eq!(payment["withdraw_id"], withdraw["id"]);
    (service, payment)
}

fn invoice() -> String {
    InvoiceDraft::new(10_000, SystemClock::new().now()).build()
}

#[test]
fn an_operator_finds_a_doubt_looks_at_it_and_ends_it() {
    let (home, invoice) = (Home::new(), invoice());
    let (service, payment) = in_doubt(&home, &invoice, Some(&"00".repeat(32)), &[]);
    let id = payment["id"].as_str().unwrap();
    assert_eq!(payment["operator_reason"], "KNOWN_BEFORE_SEND");

    let table = service.cli(&["payments"]);
    let lines: Vec<&str> = table.ok().lines().collect();
    let [header, line] = lines[..] else { panic!("{table:?}") };
    assert!(header.starts_with("PAYMENT ") && header.contains(" AGE  WHY"), "{table:?}");
    for part in [id, "NEEDS_OPERATOR", "10000", "KNOWN_BEFORE_SEND"] {
        assert!(line.contains(part), "{part}: {table:?}");
    }
    assert!(lines.iter().all(|line| line.chars().count() <= 100), "{table:?}");
    let hash = hash_of(&invoice).to_string();
    let withdraw = payment["withdraw_id"].as_str().unwrap();
    for args in [
        &["--state", "needs_operator"][..],
        &["--withdraw", withdraw],
        &["--payment-hash", &hash],
        &["--invoice", &invoice],
        &["--older-than", "0s"],
        &["--withdraw", withdraw, "--page-size", "1"],
    ] {
        let found = service.json(&[&["payments"], args].concat());
        assert_eq!(found["payments"], json!([payment]), "{args:?}");
    }
    for args in [&["--state", "paid"][..], &["--older-than", "1d"], &["--late-success"]] {
        let found = service.json(&[&["payments"], args].concat());
        assert_eq!(found, json!({ "payments": [], "next_page_token": "" }), "{args:?}");
    }
    let shown = service.cli(&["payment", id]);
    for part in [id, withdraw, "KNOWN_BEFORE_SEND", &hash, &invoice, "10000 msat", "accepted"] {
        assert!(shown.ok().contains(part), "{part}: {shown:?}");
    }
    assert_eq!(service.json(&["payment", id]), payment);

    let who = ["--operator", "alice", "--reason", "asked the payee"];
    let resolve = |rest: &[&str]| service.cli(&[&["resolve", id], &who[..], rest].concat());
    let confirmed = ["--failed", "--node-is-unreachable", "--payee-was-not-paid"];
    let refused = resolve(&confirmed);
    assert!(
        refused.error_line().starts_with("FAILED_PRECONDITION (NODE_SAYS_PAID): "),
        "{refused:?}"
    );
    let wrong = resolve(&["--paid", "--preimage", &"ab".repeat(32)]);
    assert!(wrong.error_line().contains("paid.preimage must hash"), "{wrong:?}");
    let preimage = proof_of(&invoice).to_string();
    let ended = resolve(&["--paid", "--preimage", &preimage, "--fee-msat", "7"]);
    for part in ["PAID", "7 msat", &preimage] {
        assert!(ended.ok().contains(part), "{part}: {ended:?}");
    }
    let paid = service.get(&payment["withdraw_id"]);
    assert_eq!(
        (&paid["status"], &paid["payment"]["fee_msat"], &paid["payment"]["preimage"]),
        (&json!("PAID"), &json!("7"), &json!(preimage))
    );
    let again = resolve(&["--paid", "--preimage", &preimage]);
    assert!(again.error_line().contains("(NOT_IN_DOUBT): the payment is PAID"), "{again:?}");
    let log = service.log();
    assert!(log.contains("resolved by an operator") && log.contains("alice"), "{log}");
    assert!(!log.contains(&preimage), "a proof stands in the log");
}

#[test]
fn what_the_node_still_pays_cannot_be_ended() {
    let (home, invoice) = (Home::new(), invoice());
    let (service, payment) = in_doubt(&home, &invoice, None, &[]);
    let id = payment["id"].as_str().unwrap();
    let preimage = proof_of(&invoice).to_string();
    for rest in [
        &["--failed", "--payee-was-not-paid", "--node-is-unreachable"][..],
        &["--paid", "--preimage", &preimage],
    ] {
        let who = ["--operator", "alice", "--reason", "why not"];
        let refused = service.cli(&[&["resolve", id], &who[..], rest].concat());
        assert!(refused.error_line().contains("(NODE_SAYS_IN_FLIGHT)"), "{refused:?}");
    }
}

#[test]
fn mistakes_of_operators_are_reported() {
    let home = Home::new();
    let service = home.serve(&[]);
    let missing = "pay_00000000000000000000000000";
    let who = ["--operator", "a", "--reason", "b"];
    let failed = [&["resolve", missing, "--failed"], &who[..]].concat();
    let unproven = ["--paid", "--preimage", "zz"];
    let unproven = [&["resolve", missing], &unproven[..], &who[..]].concat();
    for (args, word) in [
        (&["payment", "pay_1"][..], "id must be pay_ and 26 characters"),
        (&["payment", missing], "NOT_FOUND (PAYMENT_NOT_FOUND)"),
        (&failed, "NOT_FOUND (PAYMENT_NOT_FOUND)"),
        (&unproven, "paid.preimage must be 32 bytes in hex"),
        (&["payments", "--state", "gone"], "--state must be RESERVED"),
        (&["payments", "--state", "state_unspecified"], "--state must be RESERVED"),
        (&["payments", "--withdraw", "x"], "withdraw_id must be wr_"),
        (&["payments", "--payment-hash", "x"], "payment_hash must be 32 bytes"),
        (&["payments", "--invoice", "x"], "invoice must be a BOLT11 invoice"),
    ] {
        let said = service.cli(args);
        assert!(said.error_line().contains(word), "{args:?}: {said:?}");
    }
    for args in [
        &["resolve", missing, "--operator", "a", "--reason", "b"][..],
        &["resolve", missing, "--failed"],
        &["resolve", missing, "--failed", "--operator", "a"],
        &["resolve", missing, "--paid", "--operator", "a", "--reason", "b"],
        &["resolve", missing, "--failed", "--preimage", "ab", "--operator", "a", "--reason", "b"],
        &["resolve", missing, "--paid", "--preimage", "ab", "--payee-was-not-paid"],
        &["resolve", missing, "--paid", "--failed", "--operator", "a", "--reason", "b"],
        &["payments", "--older-than", "10"],
        &["payments", "--older-than", "+1m"],
        &["payments", "--older-than", "-1m"],
        &["payments", "--older-than", "é"],
        &["payments", "--needs-operator", "--state", "PAID"],
    ] {
        let said = home.run(args);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{args:?}: {said:?}");
    }
}
