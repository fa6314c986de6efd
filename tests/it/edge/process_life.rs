//! The process from its start to its end: configuration, signals, restarts, keys, and what stays out of the log.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use serde_json::json;

use crate::{
    bench::binary::{Home, Service},
    bench::collector::Collector,
    bench::http,
    bench::{new_postgres_database, postgres_url},
};

/// What the fee limit of a new payment shows of `payments.fee_floor_msat`.
fn fee_floor(service: &Service) -> i64 {
    let made = service.create("1");
    service.json(&["claim", made["withdraw_request"].as_str().unwrap()]);
    let paid = service.paid(&made["id"]);
    paid["payment"]["fee_limit_msat"].as_str().unwrap().parse().unwrap()
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_the_defaults() {
    let home = Home::new();
    assert_eq!(fee_floor(&home.serve(&[])), 10_000, "the default");

    let file = "public_url = 'https://file.example'\n[payments]\nfee_floor_msat = 20000\n";
    fs::write(home.path().join("w.toml"), file).unwrap();
    let args = ["--config", "w.toml"];
    let service = home.serve(&args);
    assert_eq!(service.public_url, "https://file.example");
    drop(service);
    // The file by the environment, too.
    let service = home.serve_with(&[], &[("WITHDRAWD_CONFIG", "w.toml")]);
    assert_eq!(service.public_url, "https://file.example");
    drop(service);

    let environment = [
        ("WITHDRAWD__PUBLIC_URL", "https://environment.example"),
        ("WITHDRAWD__PAYMENTS__FEE_FLOOR_MSAT", "30000"),
    ];
    let service = home.serve_with(&args, &environment);
    assert_eq!(service.public_url, "https://environment.example");
    drop(service);
    let flags = ["--config", "w.toml", "--public-url", "https://flag.example/x/"];
    let service = home.serve_with(&flags, &environment);
    assert_eq!(service.public_url, "https://flag.example/x");
    drop(service);

    // What stands in the file counts where nothing else says otherwise.
    let loopback = [("WITHDRAWD__PUBLIC_URL", "")];
    assert_eq!(fee_floor(&home.serve_with(&args, &loopback)), 20_000);
    let both = [loopback[0], environment[1]];
    assert_eq!(fee_floor(&home.serve_with(&args, &both)), 30_000);
}

#[test]
fn the_first_start_prints_where_it_listens_and_what_to_type() {
    let home = Home::new();
    let mut command = home.command(&[]);
    crate::bench::binary::free_ports(&mut command);
    let service = home.start(command, &home.data("listen.json"));

    let banner = service.stdout();
    let next = format!("withdrawd create --max-amount 1000 --server {}", service.server());
    for part in
        ["SIMULATED", "regtest", &service.grpc.to_string(), &service.lnurl.to_string(), &next]
    {
        assert!(banner.contains(part), "{part}: {banner}");
    }
    let words: Vec<_> = next.split(' ').skip(1).collect();
    assert!(home.run(&words).ok().contains("LNURL1"));

    let mode = |file| fs::metadata(home.data(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("master.key"), mode("")), (0o600, 0o700));
    for file in ["master.key", "withdrawd.sqlite", "simulated-node.jsonl", "listen.json"] {
        let owner = fs::metadata(home.data(file)).unwrap().uid();
        assert_eq!(owner, fs::metadata(home.path()).unwrap().uid(), "{file}");
    }
}

#[test]
fn signals_end_it_with_0_and_a_restart_keeps_everything() {
    let home = Home::new();
    let mut service = home.serve(&["--public-url", "https://pay.example.com"]);
    let made = service.create("1000");
    assert_eq!(service.terminate().code(), Some(0), "{}", service.log());
    assert!(service.stderr().contains("stopped"));

    let mut service = home.serve(&["--public-url", "https://pay.example.com"]);
    assert_eq!(service.get(&made["id"]), made);
    assert_eq!(service.interrupt().code(), Some(0), "{}", service.log());

    // The LNURL is formed from the public URL of now.
    let service = home.serve(&[]);
    let moved = service.get(&made["id"]);
    assert_eq!(moved["ott"], made["ott"]);
    assert_ne!(moved["withdraw_request"], made["withdraw_request"]);
    service.json(&["claim", moved["withdraw_request"].as_str().unwrap()]);
    let paid = service.paid(&made["id"]);
    service.kill9();

    let service = home.serve(&[]);
    assert_eq!(service.get(&made["id"])["payment"], paid["payment"]);
}

#[test]
fn a_data_directory_has_one_process() {
    let home = Home::new();
    let service = home.serve(&[]);
    let second = home.refused(&[]);
    assert!(second.error_line().contains("--data-dir"), "{second:?}");
    // The first was not harmed, and its addresses still stand.
    service.create("1");
    let listening = fs::read_to_string(home.data("listen.json")).unwrap();
    assert!(listening.contains(&service.grpc.to_string()));
    service.kill9();
    home.serve(&[]);
}

#[test]
fn without_its_master_key_a_store_with_requests_is_not_served() {
    let home = Home::new();
    let flags = ["--public-url", "https://pay.example.com"];
    let service = home.serve(&flags);
    let made = service.create("1000");
    drop(service);
    let key = fs::read_to_string(home.data("master.key")).unwrap();
    fs::remove_file(home.data("master.key")).unwrap();

    let lost = home.refused(&[]);
    assert!(lost.error_line().contains("master.key") && lost.err.contains("keys.file"), "{lost:?}");
    assert!(!home.data("master.key").exists(), "no other key takes its place");
    let other = "ab".repeat(32);
    let wrong = home.refused_with(&[], &[("WITHDRAWD__KEYS__MASTER", &other)]);
    assert!(wrong.error_line().contains("keys.master"), "{wrong:?}");
    assert!(!wrong.err.contains(&other) && !wrong.err.contains(key.trim()));

    let service = home.serve_with(&flags, &[("WITHDRAWD__KEYS__MASTER", key.trim())]);
    assert_eq!(service.get(&made["id"]), made);
}

/// The new key is appended everywhere, then put first everywhere, then the old one may go when
/// nothing that is open needs it.
#[test]
fn a_rotated_list_of_keys_still_shows_the_old_lnurls() {
    let home = Home::new();
    let flags = ["--public-url", "https://pay.example.com"];
    let service = home.serve(&flags);
    let old = service.create("1000");
    drop(service);
    let first = fs::read_to_string(home.data("master.key")).unwrap().trim().to_owned();
    // No letter in it: it must not be taken for a number on its way through the environment.
    let second = "22".repeat(32);

    let appended = format!("{first},{second}");
    let service = home.serve_with(&flags, &[("WITHDRAWD__KEYS__MASTER", &appended)]);
    assert_eq!(service.get(&old["id"]), old);
    let between = service.create("1000");
    drop(service);

    fs::write(home.path().join("keys"), format!("# newest first\n{second}\n\n{first}\n")).unwrap();
    let service = home.serve_with(&flags, &[("WITHDRAWD__KEYS__FILE", "keys")]);
    assert_eq!(service.get(&old["id"]), old);
    assert_eq!(service.get(&between["id"]), between);
    let new = service.create("1000");
    drop(service);

    let only_second = [("WITHDRAWD__KEYS__MASTER", second.as_str())];
    let said = home.refused_with(&flags, &only_second);
    assert!(said.error_line().contains("open withdraw requests"), "{said:?}");
    let service = home.serve_with(&flags, &[("WITHDRAWD__KEYS__FILE", "keys")]);
    for withdraw in [&old, &between] {
        service.json(&["deactivate", withdraw["id"].as_str().unwrap()]);
    }
    drop(service);
    let service = home.serve_with(&flags, &only_second);
    assert_eq!(service.get(&new["id"]), new);
    assert_eq!(service.get(&old["id"])["status"], "DEACTIVATED");
}

/// Everything that can be done, on both stores, at the level that says the most: in the log, in the traces
/// as a collector gets them, and in the metrics as Prometheus does.
#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_the_log_the_traces_or_the_metrics() {
    let mut databases = vec![String::new()];
    if postgres_url().is_some() {
        let url = new_postgres_database().await;
        databases.push(url.replacen("postgres@", "postgres:hunter2-hunter2@", 1));
    } else {
        eprintln!("SKIPPED on Postgres: WITHDRAWD_TEST_POSTGRES_URL is not set (see tests/run)");
    }
    for database in databases {
        let home = Home::new();
        let collector = Collector::start().await;
        let endpoint = collector.endpoint();
        let environment = [
            ("WITHDRAWD__STORE__DATABASE_URL", database.as_str()),
            ("WITHDRAWD__LOG__LEVEL", "trace"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer swordfish-swordfish"),
        ];
        let mut service = home.serve_with(&[], &environment);
        let secrets = exercise(&service);
        let metrics = http::get(service.admin, "/metrics").await.body.to_lowercase();
        assert_eq!(service.terminate().code(), Some(0));

        // It came to whom it was meant for.
        let tokens = collector.headers("authorization");
        assert!(!tokens.is_empty());
        assert!(tokens.iter().all(|token| token == "Bearer swordfish-swordfish"), "{tokens:?}");
        let (log, traces) = (service.log().to_lowercase(), collector.text().to_lowercase());
        assert!(log.contains("claimed") && log.contains("\"rpc\":\"createwithdraw\""), "{log}");
        assert!(traces.contains("createwithdraw") && traces.contains("get /cb"), "{traces}");
        assert!(metrics.contains("withdrawd_claims_total 1"), "{metrics}");
        let key = fs::read_to_string(home.data("master.key")).unwrap();
        let fixed = [key.trim(), "hunter2-hunter2", "swordfish-swordfish"];
        for secret in secrets.iter().map(String::as_str).chain(fixed) {
            let secret = secret.to_lowercase();
            for (place, text) in [("log", &log), ("traces", &traces), ("metrics", &metrics)] {
                let line = text.lines().find(|line| line.contains(&secret));
                assert_eq!(line, None, "{secret} stands in the {place}");
            }
        }
    }
}

/// Uses the service up and down; answers with all the secrets that it made.
fn exercise(service: &Service) -> Vec<String> {
    let mut secrets = Vec::new();
    for n in 0..3 {
        let made =
            service.json(&["create", "--max-amount", "1000", "--request-id", &format!("r{n}")]);
        let text = |key: &str| made[key].as_str().unwrap().to_owned();
        let (id, lnurl, lnurlw) = (text("id"), text("withdraw_request"), text("lnurlw"));
        match n {
            0 => {
                service.json(&["claim", &lnurl]);
                secrets.extend(
                    service.paid(&json!(id))["payment"]["preimage"].as_str().map(str::to_owned),
                );
                service.cli(&["claim", &lnurl]).error_line();
            }
            1 => {
                service.json(&["deactivate", &id]);
                service.cli(&["claim", &lnurlw]).error_line();
            }
            // Too little, and outside of what is offered.
            _ => {
                service.cli(&["claim", &lnurlw, "--amount", "1"]).error_line();
                service.cli(&["get", "wr_x"]).error_line();
            }
        }
        service.json(&["list"]);
        secrets.extend([text("ott"), lnurl, lnurlw]);
    }
    secrets
}

/// An outage at the start is reported with the place, and never with the password.
#[test]
fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let nobody = tempfile::tempdir().unwrap();
    let socket = format!("postgres://ann:hunter2@/books?host={}", nobody.path().display());
    for (url, place) in [
        ("postgres://ann:hunter2@127.0.0.1:1/books", "host `127.0.0.1:1`"),
        (socket.as_str(), nobody.path().to_str().unwrap()),
    ] {
        let home = Home::new();
        let environment = [
            ("WITHDRAWD__STORE__DATABASE_URL", url),
            ("WITHDRAWD__STORE__ACQUIRE_TIMEOUT_MS", "500"),
        ];
        let said = home.refused_with(&[], &environment);
        let line = said.error_line();
        assert!(line.contains("could not connect") && line.contains("`books`"), "{line}");
        assert!(line.contains(place) && !line.contains("hunter2"), "{line}");
    }
    let home = Home::new();
    let bad = [("WITHDRAWD__STORE__DATABASE_URL", "postgres://ann:hunt#er2@host/books")];
    let said = home.refused_with(&[], &bad);
    let line = said.error_line();
    assert!(line.contains("store.database_url") && line.contains("%23"), "{line}");
    assert!(!line.contains("hunt") && !line.contains("er2"), "{line}");
}
