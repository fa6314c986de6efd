//! The command line as people meet it: what the client commands print, and what mistakes say.

use std::net::TcpListener;

use serde_json::json;

use crate::bench::binary::Home;

#[test]
fn a_request_is_made_shown_listed_claimed_and_paid() {
    let home = Home::new();
    let service = home.serve(&[]);

    let created = service.cli(&["create", "--max-amount", "1000", "--memo", "Coffee"]);
    let lines: Vec<_> = created.ok().lines().collect();
    let [.., lnurl, id] = lines[..] else { panic!("{created:?}") };
    assert!(lines.len() > 20 && lines[3].contains('█'), "no QR code: {created:?}");
    assert!(lnurl.starts_with("LNURL1") && lnurl.to_uppercase() == lnurl);

    let shown = service.cli(&["get", id]);
    for part in [id, lnurl, "ACTIVE", "1000 SATS", "claimable", "Coffee"] {
        assert!(shown.ok().contains(part), "{part}: {shown:?}");
    }

    let claimed = service.cli(&["claim", lnurl]);
    assert!(claimed.ok().starts_with("accepted: "), "{claimed:?}");
    let paid = service.paid(&json!(id));
    let shown = service.cli(&["get", id]);
    let preimage = paid["payment"]["preimage"].as_str().unwrap();
    for part in ["PAID", "ALREADY_PAID", "1000000 msat", preimage] {
        assert!(shown.ok().contains(part), "{part}: {shown:?}");
    }
    let listed = service.cli(&["list"]);
    assert!(listed.ok().contains(id) && listed.ok().contains("PAID"));

    let again = service.cli(&["claim", lnurl]);
    assert_eq!(again.error_line(), "this withdrawal has already been paid");
}

#[test]
fn every_command_speaks_json() {
    let home = Home::new();
    let service = home.serve(&[]);

    let args = [
        "create",
        "--max-amount",
        "20",
        "--min-amount",
        "10",
        "--memo",
        "m",
        "--ttl-s",
        "180",
        "--request-id",
        "r1",
        "--statement-descriptor",
        "s",
    ];
    let made = service.json(&args);
    for (key, value) in [
        ("object", json!("withdraw_request")),
        ("status", json!("ACTIVE")),
        ("min_amount", json!("10")),
        ("max_amount", json!("20")),
        ("ttl", json!("180s")),
        ("memo", json!("m")),
        ("statement_descriptor", json!("s")),
        ("claimable", json!(true)),
        ("unclaimable_reason", json!("UNCLAIMABLE_REASON_UNSPECIFIED")),
        ("type", json!("lnurl")),
    ] {
        assert_eq!(made[key], value, "{key}");
    }
    assert_eq!(service.json(&args), made, "a replay is the same");
    assert_eq!(service.get(&made["id"]), made);

    let url = format!("{}/w/{}", service.public_url, made["ott"].as_str().unwrap());
    for form in ["withdraw_request", "lnurlw"] {
        let text = made[form].as_str().unwrap();
        assert_eq!(service.json(&["decode", text]), json!({ "url": url }));
        assert_eq!(service.cli(&["decode", text]).ok().trim(), url);
    }

    let lnurlw = made["lnurlw"].as_str().unwrap();
    let claimed = service.json(&["claim", lnurlw, "--amount", "15"]);
    assert_eq!(claimed["status"], "OK");
    let invoice = claimed["invoice"].as_str().unwrap();
    let decoded = service.json(&["decode", invoice]);
    assert_eq!(decoded["amount_msat"], 15_000);
    assert_eq!(decoded["description"], "m");
    let paid = service.paid(&made["id"]);
    assert_eq!(paid["payment"]["payment_hash"], decoded["payment_hash"]);
    let read = service.cli(&["decode", invoice]);
    assert!(read.ok().contains("amount_msat                  15000"), "{read:?}");

    let ended = service.create("5");
    let id = ended["id"].as_str().unwrap();
    let ended = service.json(&["deactivate", id]);
    assert_eq!(ended["status"], "DEACTIVATED");
    assert_eq!(service.json(&["deactivate", id]), ended);
    let shown = service.cli(&["deactivate", id]);
    assert!(shown.ok().contains("ALREADY_DEACTIVATED"));
}

#[test]
fn lists_have_filters_and_pages() {
    let home = Home::new();
    let service = home.serve(&[]);
    let made: Vec<_> = (1..=5).map(|n| service.create(&n.to_string())).collect();
    service.json(&["deactivate", made[0]["id"].as_str().unwrap()]);

    let first = service.json(&["list", "--claimable", "true", "--page-size", "3"]);
    assert_eq!(first["withdraws"], json!([made[4], made[3], made[2]]));
    let token = first["next_page_token"].as_str().unwrap();
    let args = ["list", "--claimable", "true", "--page-size", "3", "--page-token", token];
    let second = service.json(&args);
    assert_eq!(second, json!({ "withdraws": [made[1]], "next_page_token": "" }));
    let ended = service.json(&["list", "--status", "deactivated"]);
    assert_eq!(ended["withdraws"][0]["id"], made[0]["id"]);

    let page = service.cli(&["list", "--page-size", "1"]);
    assert!(page.ok().lines().last().unwrap().starts_with("more: --page-token "));
    let other_filter = service.cli(&["list", "--page-token", token]);
    assert!(other_filter.error_line().contains("page_token"), "{other_filter:?}");
}

/// Each in one line that says what to change.
#[test]
fn mistakes_of_clients_are_reported_in_one_line() {
    let home = Home::new();
    let service = home.serve(&[]);
    let missing = "wr_00000000000000000000000000";
    let damaged = service.create("9")["withdraw_request"].as_str().unwrap().replace('1', "B");
    for (args, word) in [
        (&["create", "--max-amount", "ten"][..], "INVALID_ARGUMENT (INVALID_FIELDS): max_amount"),
        (&["create", "--max-amount", "1.5"], "max_amount"),
        (&["create", "--max-amount", "0"], "max_amount"),
        (&["create", "--max-amount", "1", "--min-amount", "2"], "min_amount"),
        (&["create", "--max-amount", "1", "--ttl-s", "1"], "ttl"),
        (&["get", "wr_1"], "id must be wr_ and 26 characters"),
        (&["get", missing], "NOT_FOUND (WITHDRAW_NOT_FOUND)"),
        (&["deactivate", missing], "NOT_FOUND (WITHDRAW_NOT_FOUND)"),
        (&["list", "--status", "gone"], "--status"),
        (&["list", "--page-size=-1"], "page_size"),
        (&["claim", &damaged], "lnurl1"),
        (&["claim", "LNURL1QQQ"], "bech32"),
        (&["claim", "lnurlw://127.0.0.1:1/w/x"], "cannot reach"),
        (&["decode", "LNURL1QQQ"], "bech32"),
        (&["decode", "hello"], "neither"),
        (
            &["list", "--server", "http://127.0.0.1:1"],
            "cannot reach http://127.0.0.1:1: Connection refused",
        ),
        (&["list", "--server", "http://bad url"], "--server"),
    ] {
        let said = service.cli(args);
        assert!(said.error_line().contains(word), "{args:?}: {said:?}");
    }
    let request_id = |amount| ["create", "--request-id", "x", "--max-amount", amount];
    service.json(&request_id("1"));
    let conflict = service.cli(&request_id("2"));
    assert!(conflict.error_line().starts_with("ALREADY_EXISTS (REQUEST_ID_CONFLICT)"));

    // Several at once: a line for each.
    let both = service.cli(&["create", "--max-amount", "ten", "--ttl-s", "1"]);
    assert_eq!((both.code, both.err.lines().count()), (Some(1), 3), "{both:?}");
    assert!(both.err.contains("\n  max_amount ") && both.err.contains("\n  ttl "));
}

#[test]
fn arguments_that_nobody_knows_end_with_2() {
    let home = Home::new();
    for args in [
        &["serve", "--no-such-flag"][..],
        &["--no-such-flag"],
        &["create"],
        &["frobnicate"],
        &["claim"],
        &["create", "--max-amount", "1", "--ttl-s", "soon"],
    ] {
        let said = home.run(args);
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{said:?}");
        assert!(said.err.starts_with("error: "), "{said:?}");
    }
    assert!(home.run(&["--version"]).ok().starts_with("withdrawd "));
    let help = home.run(&["--help"]);
    for word in ["serve", "migrate", "create", "claim", "decode", "--lnd-macaroon"] {
        assert!(help.ok().contains(word), "{word}");
    }
    assert!(!home.data("").exists(), "nothing of these starts anything");
}

#[test]
fn a_start_that_cannot_be_says_which_option_to_change() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let typo = home.path().join("typo.toml");
    std::fs::write(&typo, "[payments]\nfee_pmm = 7\n").unwrap();
    let typo = typo.to_str().unwrap();
    for (args, word) in [
        (&["--grpc-listen", &taken][..], "grpc.listen (--grpc-listen)"),
        (&["--lnurl-listen", &taken], "lnurl.listen (--lnurl-listen)"),
        (&["--admin-listen", &taken], "admin.listen (--admin-listen)"),
        (&["--grpc-listen", "nowhere"], "grpc.listen"),
        (&["--lnurl-listen", "0.0.0.0:0"], "public_url"),
        (&["--public-url", "http://pay.example.com"], "public_url: must be https"),
        (&["--public-url", "pay.example.com"], "public_url: https:// is missing"),
        (&["--public-url", "https://pay.example.com/?a=b"], "public_url"),
        (&["--network", "bitcoin"], "node.backend: simulated"),
        (&["--network", "moon"], "network"),
        (&["--node", "abacus"], "node.backend: must be simulated"),
        (&["--node", "lnd"], "lnd.macaroon (--lnd-macaroon)"),
        (&["--node", "lnd", "--lnd-macaroon", "none.macaroon"], "lnd.macaroon: none.macaroon"),
        (&["--database-url", "mysql://u:hidden@h/d"], "store.database_url: must be postgres://"),
        (&["--database-url", "postgres://u:hidden@127.0.0.1:1/d"], "connect"),
        (&["--config", "none.toml"], "none.toml"),
        (&["--config", typo], "fee_pmm"),
        (&["--data-dir", "/dev/null/x"], "/dev/null/x: cannot make the data directory"),
    ] {
        let said = home.refused(args);
        assert!(said.error_line().contains(word), "{args:?}: {said:?}");
        assert!(!said.err.contains("hidden"), "{said:?}");
    }
    for (name, value, word) in [
        ("WITHDRAWD__PAYMENTS__FEE_PMM", "7", "WITHDRAWD__PAYMENTS__FEE_PPM"),
        ("WITHDRAWD__PAYMENTS__FEE_PPM", "much", "payments.fee_ppm: must be an integer"),
        ("WITHDRAWD__PAYMENTS__LEASE_MS", "1000", "payments.lease_ms"),
        ("WITHDRAWD__LOG__FORMAT", "xml", "log.format"),
        ("WITHDRAWD__KEYS__MASTER", "hidden", "keys.master"),
        ("WITHDRAWD__SHUTDOWN__DRAIN_MS", "0", "shutdown.drain_ms"),
    ] {
        let said = home.refused_with(&[], &[(name, value)]);
        assert!(said.error_line().contains(word), "{name}: {said:?}");
        assert!(!said.err.contains("hidden"), "{said:?}");
    }
}
