//! README.md, run as [`crate::bench::documents`] says. The database, lnd's address and certificate, and `lnbcrt...`
//! are those of the tests' own.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    bench::binary::{CommandOutput, clean_command, test_variable},
    bench::documents::{DocumentRun, ROOT, check_links, commands, scenarios},
    bench::lab::Lab,
    bench::new_postgres_database,
};

const README: &str = "README.md";

const SCENARIOS: [&str; 6] = ["walk", "tests", "grpcurl", "configuration", "postgres", "lnd"];

#[test]
fn every_command_belongs_to_a_scenario_with_a_test() {
    assert_eq!(scenarios(README), SCENARIOS.map(str::to_owned).into());
}

#[test]
fn links_lead_somewhere() {
    check_links(README);
}

#[test]
fn the_walk_leads_from_nothing_to_a_claimed_withdrawal() {
    let mut walk = DocumentRun::of(README);
    walk.run_scenario("walk");
    assert!(walk.service().stdout().contains("SIMULATED"));
    assert!(walk.output_of("withdrawd create --max-amount").contains('█'));
    assert!(walk.output_of("withdrawd decode").starts_with("http://127.0.0.1:"));
    assert!(walk.output_of("withdrawd claim").starts_with("accepted"));
    walk.until("withdrawd get", "PAID");
    walk.until("withdrawd get", "preimage");
    let ranged: Value =
        serde_json::from_str(walk.output_of("withdrawd create --min-amount")).unwrap();
    assert_eq!(ranged["ttl"], "3600s");
    assert!(walk.output_of("withdrawd list").contains(ranged["id"].as_str().unwrap()));
    assert!(walk.output_of("withdrawd deactivate").contains("DEACTIVATED"));
    walk.stop();
}

/// Not from within itself; but it is there, and finds that what it needs is installed.
#[test]
fn the_test_command_is_there() {
    let tests: Vec<_> = commands(README).into_iter().filter(|c| c.scenario == "tests").collect();
    let [command] = &tests[..] else { panic!("{tests:?}") };
    assert_eq!(command.command, "tests/run");
    let script = Path::new(ROOT).join("tests/run");
    assert_ne!(fs::metadata(&script).unwrap().permissions().mode() & 0o111, 0);
    if test_variable("WITHDRAWD_TEST_POSTGRES_URL").is_some() {
        let packages = clean_command(script).arg("--packages").output().unwrap();
        CommandOutput::of(packages).ok();
    }
}

#[test]
fn the_same_with_grpcurl() {
    let Some(grpcurl) = test_variable("WITHDRAWD_TEST_GRPCURL") else {
        return;
    };
    let mut run = DocumentRun::of(README);
    symlink(grpcurl, run.home.path().join("bin/grpcurl")).unwrap();
    run.serve("withdrawd serve");
    run.run_scenario("grpcurl");
    let said = |n: usize| -> Value { serde_json::from_str(&run.outputs[n].1.out).unwrap() };
    assert!(run.outputs[0].1.out.contains("string request_id = 1;"));
    assert_eq!(said(1)["passThru"], json!({ "order": 18 }));
    assert_eq!(said(2), said(1));
    assert_eq!(said(3)["withdraws"], json!([said(1)]));
    assert_eq!(said(4)["status"], "SERVING");
    let refused = &run.outputs[5].1;
    for part in ["InvalidArgument", "INVALID_FIELDS", "\"max_amount\"", "\"ttl\""] {
        assert!(refused.err.contains(part), "{part}: {refused:?}");
    }
    run.stop();
}

#[test]
fn configuration_comes_from_the_environment_and_from_flags() {
    let mut run = DocumentRun::of(README);
    run.run_scenario("configuration");
    let service = run.service();
    assert_eq!(service.public_url, "https://pay.example.com");
    assert!(run.home.path().join("other-data/withdrawd.sqlite").exists());
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_on_postgres() {
    if test_variable("WITHDRAWD_TEST_POSTGRES_URL").is_none() {
        return;
    }
    let mut run = DocumentRun::of(README);
    let url = format!("'{}'", new_postgres_database().await);
    run.replace("postgres://withdrawd@localhost/withdrawd", url);
    run.run_scenario("postgres");
    assert_eq!(run.output_of("WITHDRAWD__STORE__DATABASE_URL="), "the schema is up to date\n");
    let service = run.service();
    let made = service.create("1000");
    service.json(&["claim", made["withdraw_request"].as_str().unwrap()]);
    service.paid(&made["id"]);
    assert!(!run.home.data("withdrawd.sqlite").exists());
    run.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_pays_with_lnd() {
    let Some(lab) = Lab::open() else { return };
    let _up = lab.share().await;
    let mut run = DocumentRun::of(README);
    let lncli = lab.command("payer", "lncli").join(" ");
    run.tool("lncli", &format!("exec {lncli} \"$@\""));
    run.replace("https://127.0.0.1:10009", format!("https://{}", lab.fact("payer", "rpc")));
    run.replace("~/.lnd/tls.cert", lab.fact("payer", "tls_cert"));
    let invoice = lab.invoice("payee", 1000);
    run.replace("lnbcrt...", &invoice.text);

    run.run_scenario("lnd");
    assert!(run.service().stdout().contains("paid by lnd"));
    assert!(run.output_of("withdrawd claim").starts_with("accepted"));
    run.until("withdrawd get", "  PAID");
    lab.assert_paid_once(&invoice, 1000).await;
    run.stop();
}
