//! What the real binary makes of its environment and its file, and what a start says of them.

use std::{fs, os::unix::fs::PermissionsExt};

use withdrawd::config::Config;

use crate::{
    bench::binary::{Home, until},
    bench::{StoreKind, new_postgres_database, store_kinds},
};

const TYPO: (&str, &str) = ("WITHDRAWD_LIMITS__MAX_AMOUNT_SAT", "1000");
const MEANT: &str = "WITHDRAWD_LIMITS__MAX_AMOUNT_SAT is set, and nothing reads it: did you mean \
                     WITHDRAWD__LIMITS__MAX_AMOUNT_SAT?";

/// Whatever the command: a limit that does not hold, a server that is not asked.
#[test]
fn an_unknown_variable_is_refused_with_the_likely_one() {
    let home = Home::new();
    assert_eq!(home.refused_with(&[], &[TYPO]).error_line(), MEANT);
    for command in [&["migrate"][..], &["health"], &["create", "--max-amount", "1"], &["list"]] {
        assert_eq!(home.run_with(command, &[TYPO]).error_line(), MEANT, "{command:?}");
    }
    assert!(!home.data("").exists(), "nothing of these starts anything");
    let said = home.run_with(&["list"], &[("WITHDRAWD_SEVER", "http://hunter2")]);
    assert!(said.error_line().ends_with("did you mean WITHDRAWD_SERVER?"), "{said:?}");
    assert!(!said.err.contains("hunter2"), "{said:?}");
    // The tests' own variables are no options: an operator's typo could not be told from them.
    let said = home.run_with(&["list"], &[("WITHDRAWD_TEST_POSTGRES_URL", "x")]);
    assert!(said.error_line().contains("WITHDRAWD_TEST_POSTGRES_URL is set"), "{said:?}");
}

/// A Service named withdrawd puts these into every pod beside it (`enableServiceLinks`).
#[test]
fn service_links_of_kubernetes_do_not_stop_a_start() {
    let home = Home::new();
    let links = [
        ("WITHDRAWD_SERVICE_HOST", "10.0.171.239"),
        ("WITHDRAWD_SERVICE_PORT", "50051"),
        ("WITHDRAWD_SERVICE_PORT_GRPC", "50051"),
        ("WITHDRAWD_PORT", "tcp://10.0.171.239:50051"),
        ("WITHDRAWD_PORT_50051_TCP", "tcp://10.0.171.239:50051"),
        ("WITHDRAWD_PORT_50051_TCP_PROTO", "tcp"),
        ("WITHDRAWD_PORT_50051_TCP_PORT", "50051"),
        ("WITHDRAWD_PORT_50051_TCP_ADDR", "10.0.171.239"),
    ];
    let service = home.serve_with(&[], &links);
    service.create("5");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_names_store_limits_and_config_file() {
    let home = Home::new();
    let service = home.serve(&[]);
    for text in
        ["SQLite in withdrawd-data", "no limit for one request, no limit in 24 hours", "no file"]
    {
        assert!(service.stdout().contains(text), "{text}: {}", service.stdout());
        assert!(service.stderr().contains(text), "{text}: {}", service.stderr());
    }
    drop(service);

    let file = home.path().join("mine.toml");
    fs::write(&file, "[limits]\nmax_amount_sat = 1000\nrolling_24h_sat = 50000\n").unwrap();
    let file = file.to_str().unwrap();
    let limits = "1000 sat for one request, 50000 sat in 24 hours";
    let url = if store_kinds().contains(&StoreKind::Postgres) {
        format!("{}&channel_binding=require", new_postgres_database().await)
    } else {
        String::new()
    };
    let service = home.serve_with(&["--config", file], &[("WITHDRAWD__STORE__DATABASE_URL", &url)]);
    let store = if url.is_empty() { "SQLite" } else { "Postgres " };
    for text in [store, limits, file] {
        assert!(service.stdout().contains(text), "{text}: {}", service.stdout());
        until(text, || service.stderr().contains(text).then_some(()));
    }
    if !url.is_empty() {
        assert!(service.stderr().contains("channel_binding=require, which is not supported"));
        assert!(!service.log().contains(&url), "it shows the URL");
    }
}

#[test]
fn mistakes_of_the_configuration_name_the_file_the_section_and_the_key() {
    let home = Home::new();
    let path = home.path().join("mine.toml");
    let file = path.to_str().unwrap();
    for (text, words) in [
        (
            "[payments]\nfee_pmm = 7\n",
            "payments.fee_pmm: is not an option (did you mean payments.fee_ppm?) (set in ",
        ),
        ("[payments]\nfee_ppm = \"much\"\n", "payments.fee_ppm: must be an integer"),
        ("[payments]\nfee_ppm = 1000001\n", "payments.fee_ppm: must be from 0 to 1000000 (set in "),
        (
            "[payments]\nlease_ms = 1\n",
            "payments.lease_ms: must be longer than fresh_for_s (set in ",
        ),
        ("[log]\nformat = \"xml\"\n", "log.format: must be auto, human or json (set in "),
        ("[grpc]\nlisten = \"nowhere\"\n", "grpc.listen (--grpc-listen): must be HOST:PORT"),
        (
            "network = \"moon\"\n",
            "network: must be bitcoin (or mainnet), testnet, signet or regtest (set in ",
        ),
    ] {
        fs::write(&path, text).unwrap();
        // Without the listeners of the tests, which win over the file.
        let said = home.run(&["serve", "--config", file]);
        assert!(said.error_line().contains(words), "{said:?}");
        assert!(said.error_line().contains(file), "{said:?}");
    }
    let said = home.refused_with(&[], &[("WITHDRAWD__PAYMENTS__FEE_PPM", "1000001")]);
    assert!(said.error_line().ends_with("(set by WITHDRAWD__PAYMENTS__FEE_PPM)"), "{said:?}");
    let said = home.refused(&["--public-url", "pay.example.com"]);
    assert_eq!(
        said.error_line(),
        "public_url: https:// is missing: it must be a whole URL, such as https://pay.example.com \
         (set by a flag)"
    );
    let said = home.refused(&["--public-url", "https://abcdef.onion"]);
    assert!(said.error_line().contains("must be http for an .onion host"), "{said:?}");
    let said = home.refused(&["--network", "mainnet"]);
    assert!(said.error_line().starts_with("node.backend: simulated moves no money"), "{said:?}");
}

/// Two connections are operators', and a command waits for its lock within one statement.
#[test]
fn postgres_needs_connections_and_time_enough_for_operators() {
    let read = |key: &'static str, value: &str| {
        let url = ("store.database_url", "postgres://localhost/x".to_owned());
        Config::defaults(&[url, (key, value.to_owned())]).unwrap().check_store()
    };
    for (key, least, below) in
        [("store.max_connections", "4", "3"), ("store.statement_timeout_ms", "1000", "999")]
    {
        assert!(read(key, least).is_ok(), "{key}");
        let refused = read(key, below).map(drop).unwrap_err().to_string();
        assert!(refused.contains(key) && refused.contains(least), "{refused}");
    }
}

#[test]
fn localhost_is_an_address_to_listen_on() {
    let home = Home::new();
    let service = home.serve(&[
        "--grpc-listen",
        "localhost:0",
        "--lnurl-listen",
        "localhost:0",
        "--admin-listen",
        "localhost:0",
    ]);
    for address in [service.grpc, service.lnurl, service.admin] {
        assert!(address.ip().is_loopback() && address.is_ipv4(), "{address}");
    }
    let made = service.create("5");
    service.cli(&["claim", made["withdraw_request"].as_str().unwrap()]).ok();
    // Where `health` asks by itself.
    let admin = format!("localhost:{}", service.admin.port());
    let asked = home.run_with(&["health"], &[("WITHDRAWD__ADMIN__LISTEN", &admin)]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    let said = Home::new().refused(&["--grpc-listen", "no-such-host.invalid:1"]);
    assert!(said.error_line().contains("the host no-such-host.invalid has no address"), "{said:?}");
}

#[test]
fn a_master_key_that_everybody_can_read_is_warned_of() {
    let home = Home::new();
    let warned = |mode| {
        fs::set_permissions(home.data("master.key"), fs::Permissions::from_mode(mode)).unwrap();
        let mut service = home.serve(&[]);
        service.terminate();
        let log = service.stderr();
        let line = log.lines().find(|line| line.contains("chmod 600")).map(str::to_owned);
        line.inspect(|line| assert!(line.contains("WARN") && line.contains("master.key"), "{line}"))
    };
    // Made by the first start, for its user alone.
    drop(home.serve(&[]));
    assert_eq!(fs::metadata(home.data("master.key")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!((warned(0o600), warned(0o400), warned(0o440)), (None, None, None));
    assert!(warned(0o644).unwrap().contains("0644"));
    assert!(warned(0o604).is_some());
}
