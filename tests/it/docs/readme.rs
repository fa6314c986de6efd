//! README.md, run as [`crate::bench::documents`] says. The database, lnd's address and certificate, and `lnbcrt...`
//! are those of the tests' own.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    bench::binary::{Said, clean, given},
    bench::documents::{ROOT, Telling, check_links, commands, stories},
    bench::lab::Lab,
    bench::new_postgres_database,
};

const README: &str = "README.md";

const STORIES: [&str; 6] = ["walk", "tests", "grpcurl", "configuration", "postgres", "lnd"];

#[test]
fn every_command_belongs_to_a_story_with_a_test() {
    assert_eq!(stories(README), STORIES.map(str::to_owned).into());
}

#[test]
fn links_lead_somewhere() {
    check_links(README);
}

#[test]
fn the_walk_leads_from_nothing_to_a_claimed_withdrawal() {
    let mut walk = Telling::of(README);
    walk.tell("walk");
    assert!(walk.service().stdout().contains("SIMULATED"));
    assert!(walk.told("withdrawd create --max-amount").contains('█'));
    assert!(walk.told("withdrawd decode").starts_with("http://127.0.0.1:"));
    assert!(walk.told("withdrawd claim").starts_with("accepted"));
    walk.until("withdrawd get", "PAID");
    walk.until("withdrawd get", "preimage");
    let ranged: Value = serde_json::from_str(walk.told("withdrawd create --min-amount")).unwrap();
    assert_eq!(ranged["ttl"], "3600s");
    assert!(walk.told("withdrawd list").contains(ranged["id"].as_str().unwrap()));
    assert!(walk.told("withdrawd deactivate").contains("DEACTIVATED"));
    walk.end();
}

/// Not from within itself; but it is there, and finds that what it needs is installed.
#[test]
fn the_test_command_is_there() {
    let tests: Vec<_> = commands(README).into_iter().filter(|c| c.story == "tests").collect();
    let [command] = &tests[..] else { panic!("{tests:?}") };
    assert_eq!(command.command, "tests/run");
    let script = Path::new(ROOT).join("tests/run");
    assert_ne!(fs::metadata(&script).unwrap().permissions().mode() & 0o111, 0);
    if given("WITHDRAWD_TEST_POSTGRES_URL").is_some() {
        let packages = clean(script).arg("--packages").output().unwrap();
        Said::of(packages).ok();
    }
}

#[test]
fn the_same_with_grpcurl() {
    let Some(grpcurl) = given("WITHDRAWD_TEST_GRPCURL") else {
        return;
    };
    let mut story = Telling::of(README);
    symlink(grpcurl, story.home.path().join("bin/grpcurl")).unwrap();
    story.serve("withdrawd serve");
    story.tell("grpcurl");
    let said = |n: usize| -> Value { serde_json::from_str(&story.told[n].1.out).unwrap() };
    assert!(story.told[0].1.out.contains("string request_id = 1;"));
    assert_eq!(said(1)["passThru"], json!({ "order": 18 }));
    assert_eq!(said(2), said(1));
    assert_eq!(said(3)["withdraws"], json!([said(1)]));
    assert_eq!(said(4)["status"], "SERVING");
    let refused = &story.told[5].1;
    for part in ["InvalidArgument", "INVALID_FIELDS", "\"max_amount\"", "\"ttl\""] {
        assert!(refused.err.contains(part), "{part}: {refused:?}");
    }
    story.end();
}

#[test]
fn configuration_comes_from_the_environment_and_from_flags() {
    let mut story = Telling::of(README);
    story.tell("configuration");
    let service = story.service();
    assert_eq!(service.public_url, "https://pay.example.com");
    assert!(story.home.path().join("other-data/withdrawd.sqlite").exists());
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_on_postgres() {
    if given("WITHDRAWD_TEST_POSTGRES_URL").is_none() {
        return;
    }
    let mut story = Telling::of(README);
    let url = format!("'{}'", new_postgres_database().await);
    story.replace("postgres://withdrawd@localhost/withdrawd", url);
    story.tell("postgres");
    assert_eq!(story.told("WITHDRAWD__STORE__DATABASE_URL="), "the schema is up to date\n");
    let service = story.service();
    let made = service.create("1000");
    service.json(&["claim", made["withdraw_request"].as_str().unwrap()]);
    service.paid(&made["id"]);
    assert!(!story.home.data("withdrawd.sqlite").exists());
    story.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_pays_with_lnd() {
    let Some(lab) = Lab::open() else { return };
    let _up = lab.together().await;
    let mut story = Telling::of(README);
    let lncli = lab.command("payer", "lncli").join(" ");
    story.tool("lncli", &format!("exec {lncli} \"$@\""));
    story.replace("https://127.0.0.1:10009", format!("https://{}", lab.fact("payer", "rpc")));
    story.replace("~/.lnd/tls.cert", lab.fact("payer", "tls_cert"));
    let invoice = lab.invoice("payee", 1000);
    story.replace("lnbcrt...", &invoice.text);

    story.tell("lnd");
    assert!(story.service().stdout().contains("paid by lnd"));
    assert!(story.told("withdrawd claim").starts_with("accepted"));
    story.until("withdrawd get", "  PAID");
    lab.assert_paid_once(&invoice, 1000).await;
    story.end();
}
