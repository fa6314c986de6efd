//! A client that cannot reach the service says where, why, and what to try.

use std::net::TcpListener;

use crate::bench::binary::Home;

#[test]
fn an_unreachable_service_is_reported_with_its_cause() {
    let home = Home::new();
    let service = home.serve(&[]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |scheme: &str, port: u16| format!("{scheme}://127.0.0.1:{port}");
    let [grpc, lnurl, silent] =
        [service.grpc.port(), service.lnurl.port(), silent.local_addr().unwrap().port()];
    for (server, why, advice) in [
        (at("http", 1), "Connection refused", "is `withdrawd serve` running"),
        ("127.0.0.1:1".to_owned(), "Connection refused", "grpc.listen"),
        (
            "http://no-such-host.invalid:50051".to_owned(),
            "failed to lookup address",
            "is the host name in --server correct",
        ),
        (at("https", grpc), "", "it does not speak TLS: use http://"),
        (at("http", lnurl), "", "it does not speak gRPC over http://"),
        (at("http", silent), "", "it does not answer"),
    ] {
        for command in [&["list"][..], &["instance"], &["payments"]] {
            let mut arguments = command.to_vec();
            arguments.extend(["--server", &server]);
            let said = home.run(&arguments);
            let mistake = said.error_line();
            let address = server.rsplit('/').next().unwrap();
            assert!(mistake.starts_with("cannot reach "), "{server}: {said:?}");
            for part in [address, why, advice] {
                assert!(mistake.contains(part), "{server}: {part}: {said:?}");
            }
            if server.ends_with(&silent.to_string()) {
                // It takes its time: once is enough.
                break;
            }
        }
    }
    for server in ["ftp://127.0.0.1:1", "http://bad url", "http://"] {
        let said = home.run(&["list", "--server", server]);
        assert!(said.error_line().contains("--server must be an address such as"), "{said:?}");
    }
    // It speaks gRPC, for health alone.
    let admin = service.admin.to_string();
    let said = home.run(&["list", "--server", &admin]);
    assert!(said.error_line().contains("UNIMPLEMENTED"), "{said:?}");
    assert!(said.error_line().contains("grpc.listen"), "{said:?}");
}

#[test]
fn get_and_list_show_the_expiry_and_an_empty_list_says_so() {
    let home = Home::new();
    let service = home.serve(&[]);
    assert_eq!(service.cli(&["list"]).ok(), "no withdraw requests\n");
    assert_eq!(service.cli(&["payments"]).ok(), "no such payments\n");
    let made = service.create("5");
    let expires = made["expires_at"].as_str().unwrap();
    let shown = service.cli(&["get", made["id"].as_str().unwrap()]);
    assert!(shown.ok().contains(&format!("expires {expires}")), "{shown:?}");
    let second = &expires[.."2026-11-21T20:34:02".len()];
    let listed = service.cli(&["list"]);
    assert!(listed.ok().contains(&format!("until {second}Z")), "{listed:?}");
    assert_eq!(service.cli(&["list", "--status", "PAID"]).ok(), "no such withdraw requests\n");
}

#[test]
fn create_takes_pass_thru_and_list_finds_by_request_id_and_time() {
    let home = Home::new();
    let service = home.serve(&[]);
    let pass_thru = r#"{"order": 17, "lines": ["a", null, true, {"b": 1.5}]}"#;
    let args =
        ["create", "--max-amount", "5", "--request-id", "order-17", "--pass-thru", pass_thru];
    let made = service.json(&args);
    let expected: serde_json::Value = serde_json::from_str(pass_thru).unwrap();
    assert_eq!(made["pass_thru"], expected);
    assert_eq!(service.json(&args), made, "a replay is the same");
    for wrong in ["17", "[1]", "{order: 17}", ""] {
        let said = service.cli(&["create", "--max-amount", "5", "--pass-thru", wrong]);
        assert!(
            wrong.is_empty() || said.error_line().starts_with("--pass-thru must be a JSON object"),
            "{said:?}"
        );
    }

    let ids = |args: &[&str]| {
        let listed = service.json(&[&["list"], args].concat());
        listed["withdraws"].as_array().unwrap().len()
    };
    service.create("6");
    assert_eq!(ids(&["--request-id", "order-17"]), 1);
    assert_eq!(ids(&["--request-id", "order-18"]), 0);
    let created = made["created"].as_str().unwrap();
    assert!(ids(&["--created-after", created]) >= 2);
    assert_eq!(
        ids(&["--created-before", created]),
        ids(&["--created-before", "2020-01-01T00:00:00Z"])
    );
    assert_eq!(ids(&["--created-after", "2100-01-01T00:00:00Z"]), 0);
    let said = service.cli(&["list", "--created-after", "yesterday"]);
    assert!(said.code == Some(2) && said.err.contains("2026-11-21T20:34:02Z"), "{said:?}");
}

/// The contract says so, and the command's help.
#[test]
fn a_memo_is_one_line_of_639_bytes() {
    let home = Home::new();
    let service = home.serve(&[]);
    let create = |option: &str, text: &str| {
        service.cli(&["create", "--max-amount", "5", option, text, "--json"])
    };
    for (option, most) in [("--memo", 639), ("--statement-descriptor", 255)] {
        create(option, &"x".repeat(most)).ok();
        let said = create(option, &"x".repeat(most + 1));
        assert!(said.error_line().contains(&format!("must be at most {most} bytes")), "{said:?}");
        for control in ["a\tb", "a\nb", "a\u{7f}b"] {
            let said = create(option, control);
            assert!(said.error_line().contains("must have no control characters"), "{said:?}");
        }
    }
    let proto = include_str!("../../../proto/withdraw/v1/withdraw.proto");
    assert!(proto.contains("at most 639 bytes"), "the contract states another rule");
}
