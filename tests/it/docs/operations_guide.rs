//! deploy/operations.md, run as [`crate::bench::documents`] says, each scenario in the trouble that it is about.
//! `pay_...`, HASH and PREIMAGE are those of that trouble.

use std::{fs, path::PathBuf};

use serde_json::Value;
use withdrawd::runtime::{Clock, SystemClock};

use crate::{
    bench::binary::until,
    bench::documents::{DocumentRun, check_links, scenarios},
    bench::invoices::{InvoiceDraft, hash_of},
    edge::cli_payments::in_doubt,
    payments::doubts::proof_of,
};

const GUIDE: &str = "deploy/operations.md";
/// "kubernetes" and "systemd" are run by `deploy/guide.rs`.
const SCENARIOS: [&str; 10] = [
    "by-hand",
    "doubt",
    "fence",
    "kubernetes",
    "probes",
    "release",
    "standing",
    "systemd",
    "unpaid",
    "upgrade",
];

/// So that what may still arrive is over soon.
const SHORT: [(&str, &str); 3] = [
    ("WITHDRAWD__PAYMENTS__SEND_LIFE_MS", "1000"),
    ("WITHDRAWD__PAYMENTS__CLOCK_SKEW_MS", "500"),
    ("WITHDRAWD__PAYMENTS__NODE_SLACK_MS", "500"),
];

fn serve(run: &mut DocumentRun) {
    run.serve("withdrawd serve");
}

/// It has made sure of its database, and heard of its node.
fn until_instance_says(run: &DocumentRun, word: &str) {
    until(word, || run.service().cli(&["instance"]).out.contains(word).then_some(()));
}

#[test]
fn every_command_belongs_to_a_scenario_with_a_test() {
    assert_eq!(scenarios(GUIDE), SCENARIOS.map(str::to_owned).into());
}

#[test]
fn links_lead_somewhere() {
    check_links(GUIDE);
}

#[test]
fn it_shows_the_status_of_the_instance_and_how_to_pause_it() {
    let mut run = DocumentRun::of(GUIDE);
    serve(&mut run);
    until_instance_says(&run, "accepts claims");
    run.run_scenario("standing");
    assert!(run.output_of("withdrawd instance").starts_with("accepts claims"));
    let said = |n: usize| run.outputs[run.outputs.len() - n].1.out.clone();
    assert!(said(3).contains("PAUSED") && said(3).contains("paused by ann: lnd is being upgraded"));
    assert!(said(2).contains("PAUSED"));
    assert!(said(1).starts_with("accepts claims"));
    run.stop();
}

#[test]
fn it_probes_a_service() {
    let mut run = DocumentRun::of(GUIDE);
    serve(&mut run);
    let admin = run.service().admin.to_string();
    run.set("WITHDRAWD__ADMIN__LISTEN", &admin);
    run.replace("127.0.0.1:9090", admin);
    run.run_scenario("probes");
    let said: Vec<_> = run.outputs.iter().map(|(_, said)| said.ok()).collect();
    assert_eq!(said, ["ready\n", "live\n", "started\n"]);
    run.stop();
}

#[test]
fn it_ends_a_doubt_about_what_was_paid() {
    let mut run = DocumentRun::of(GUIDE);
    let invoice = InvoiceDraft::new(10_000, SystemClock::new().now()).build();
    let (service, payment) = in_doubt(&run.home, &invoice, Some(&"00".repeat(32)), &[]);
    run.service = Some(service);
    let id = payment["id"].as_str().unwrap();
    run.replace("pay_...", id);
    run.replace("PREIMAGE", proof_of(&invoice).to_string());
    run.replace("HASH", hash_of(&invoice).to_string());
    run.run_scenario("doubt");
    assert!(run.output_of("withdrawd payments --needs-operator").contains(id));
    assert!(run.output_of("withdrawd payment pay_").contains("KNOWN_BEFORE_SEND"));
    assert!(run.output_of("withdrawd payments --payment-hash").contains(id));
    assert_eq!(run.service().get(&payment["withdraw_id"])["status"], "PAID");
    run.stop();
}

#[test]
fn it_ends_a_doubt_about_what_was_not() {
    let mut run = DocumentRun::of(GUIDE);
    let invoice = InvoiceDraft::new(10_000, SystemClock::new().now()).build();
    let (service, payment) = in_doubt(&run.home, &invoice, None, &SHORT);
    service.kill9();
    // lnd was never asked, and its own record of it is gone.
    fs::write(run.home.data("simulated-node.jsonl"), "").unwrap();
    for (name, value) in SHORT {
        run.set(name, value);
    }
    serve(&mut run);
    let id = payment["id"].as_str().unwrap();
    let early = ["resolve", id, "--failed", "--operator", "ann", "--reason", "too early"];
    until("no send can arrive", || {
        let said = run.service().cli(&early);
        assert!(said.err.contains("MAY_STILL_ARRIVE") || said.err.contains("CONFIRMATION"));
        said.err.contains("CONFIRMATION").then_some(())
    });
    run.replace("pay_...", id);
    run.run_scenario("unpaid");
    let [(_, refused), (_, ended)] = &run.outputs[..] else { panic!("{:?}", run.outputs) };
    assert!(refused.error_line().contains("CONFIRMATION_REQUIRED"), "{refused:?}");
    assert!(ended.ok().contains("RESOLVED_BY_OPERATOR"), "{ended:?}");
    let open = run.service().get(&payment["withdraw_id"]);
    assert!(open["payment"]["state"] == "FAILED" && open["status"] == "ACTIVE", "{open}");
    run.stop();
}

/// As the guide says: the file and its log, while nothing runs.
struct Copy([(PathBuf, Option<Vec<u8>>); 3]);

impl Copy {
    fn of(run: &DocumentRun) -> Self {
        let names = ["withdrawd.sqlite", "withdrawd.sqlite-wal", "withdrawd.sqlite-shm"];
        Self(names.map(|name| {
            let file = run.home.data(name);
            let bytes = fs::read(&file).ok();
            (file, bytes)
        }))
    }

    fn put_back(self) {
        for (file, bytes) in self.0 {
            let _ = fs::remove_file(&file);
            if let Some(bytes) = bytes {
                fs::write(file, bytes).unwrap();
            }
        }
    }
}

#[test]
fn it_ends_a_fence_and_releases_what_was_not_paid() {
    let mut run = DocumentRun::of(GUIDE);
    serve(&mut run);
    let [paid, free] = [(); 2].map(|()| run.service().create("10")["id"].clone());
    run.stop();
    let copy = Copy::of(&run);
    serve(&mut run);
    until_instance_says(&run, "accepts claims");
    claim(&run, &paid);
    let hash = run.service().paid(&paid)["payment"]["payment_hash"].clone();
    run.stop();
    copy.put_back();
    serve(&mut run);
    until_instance_says(&run, "FENCED");

    let hash = hash.as_str().unwrap();
    run.replace("HASH", hash);
    paid.as_str().unwrap().clone_into(&mut run.id);
    run.run_scenario("fence");
    assert!(run.output_of("withdrawd acknowledge-restore").contains(hash));
    assert!(
        run.output_of("withdrawd acknowledge-restore --paid").contains("1 requests are withheld")
    );
    assert!(run.output_of("withdrawd instance").starts_with("accepts claims"));
    assert_eq!(run.service().get(&paid)["status"], "PAID");

    free.as_str().unwrap().clone_into(&mut run.id);
    run.run_scenario("release");
    assert!(run.output_of("withdrawd get").contains("NEEDS_OPERATOR"));
    assert_eq!(run.output_of("withdrawd release wr_"), "1 requests were released\n");
    assert_eq!(run.output_of("withdrawd release --release-all"), "0 requests were released\n");
    claim(&run, &free);
    run.service().paid(&free);
    run.stop();
}

fn claim(run: &DocumentRun, id: &Value) {
    let service = run.service();
    let lnurl = service.get(id)["withdraw_request"].clone();
    service.cli(&["claim", lnurl.as_str().unwrap()]).ok();
}

#[test]
fn it_fences_the_instance() {
    let mut run = DocumentRun::of(GUIDE);
    serve(&mut run);
    run.run_scenario("by-hand");
    assert!(run.output_of("withdrawd fence").contains("fenced: BY_HAND"));
    run.stop();
}

#[test]
fn it_upgrades() {
    let mut run = DocumentRun::of(GUIDE);
    run.run_scenario("upgrade");
    assert_eq!(run.output_of("withdrawd migrate"), "the schema is up to date\n");
    until_instance_says(&run, "accepts claims");
    run.stop();
}
