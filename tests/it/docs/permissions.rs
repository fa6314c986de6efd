//! The macaroon that the documents tell operators to make: what withdrawd calls, and no more.

use std::{collections::BTreeSet, fs, path::Path};

/// The calls that `text` permits: `SendPaymentV2` of `uri:/routerrpc.Router/SendPaymentV2`.
fn permitted(text: &str) -> BTreeSet<&str> {
    let uris = text.split("uri:/").skip(1).filter_map(|rest| {
        let uri = rest.split([' ', '"', '\n']).next()?;
        uri.split_once('/').map(|(_, call)| call)
    });
    uris.collect()
}

/// `send_payment_v2`, as the generated client has it.
fn method(call: &str) -> String {
    let mut name = String::new();
    for letter in call.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[test]
fn the_macaroon_permits_what_is_called_and_no_more() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let files = ["README.md", "withdrawd.example.toml", "tests/lab/lab"].map(read);
    let [readme, example, lab] = files.each_ref().map(|text| permitted(text));
    assert!(!readme.is_empty());
    assert_eq!(readme, example);
    assert_eq!(readme, lab);

    let sources = fs::read_dir(root.join("src/node/lnd")).unwrap();
    let mut source = String::new();
    for file in sources.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        source.push_str(&fs::read_to_string(file).unwrap());
    }
    source.push_str(&read("src/node/lnd/transport/connection.rs"));
    for call in readme {
        let called = format!(".{}(", method(call));
        assert!(source.contains(&called), "the node is never asked for {call}");
    }
}
