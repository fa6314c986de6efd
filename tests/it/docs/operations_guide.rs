//! deploy/operations.md, run as [`crate::bench::documents`] says, each story in the trouble that it is about.
//! `pay_...`, HASH and PREIMAGE are those of that trouble.

use std::{fs, path::PathBuf};

use serde_json::Value;
use withdrawd::runtime::{Clock, SystemClock};

use crate::{
    bench::binary::until,
    bench::documents::{DocumentRun, check_links, stories},
    bench::invoices::{InvoiceDraft, hash_of},
    edge::cli_payments::in_doubt,
    payments::doubts::proof_of,
};

const GUIDE: &str = "deploy/operations.md";
/// "kubernetes" and "systemd" are told in `deploy/guide.rs`.
const STORIES: [&str; 10] = [
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

fn serve(story: &mut DocumentRun) {
    story.serve("withdrawd serve");
}

/// It has made sure of its database, and heard of its node.
fn until_instance_says(story: &DocumentRun, word: &str) {
    until(word, || story.service().cli(&["instance"]).out.contains(word).then_some(()));
}

#[test]
fn every_command_belongs_to_a_story_with_a_test() {
    assert_eq!(stories(GUIDE), STORIES.map(str::to_owned).into());
}

#[test]
fn links_lead_somewhere() {
    check_links(GUIDE);
}

#[test]
fn it_tells_how_the_instance_stands_and_how_to_pause_it() {
    let mut story = DocumentRun::of(GUIDE);
    serve(&mut story);
    until_instance_says(&story, "accepts claims");
    story.tell("standing");
    assert!(story.told("withdrawd instance").starts_with("accepts claims"));
    let said = |n: usize| story.told[story.told.len() - n].1.out.clone();
    assert!(said(3).contains("PAUSED") && said(3).contains("paused by ann: lnd is being upgraded"));
    assert!(said(2).contains("PAUSED"));
    assert!(said(1).starts_with("accepts claims"));
    story.end();
}

#[test]
fn it_probes_a_service() {
    let mut story = DocumentRun::of(GUIDE);
    serve(&mut story);
    let admin = story.service().admin.to_string();
    story.set("WITHDRAWD__ADMIN__LISTEN", &admin);
    story.replace("127.0.0.1:9090", admin);
    story.tell("probes");
    let said: Vec<_> = story.told.iter().map(|(_, said)| said.ok()).collect();
    assert_eq!(said, ["ready\n", "live\n", "started\n"]);
    story.end();
}

#[test]
fn it_ends_a_doubt_about_what_was_paid() {
    let mut story = DocumentRun::of(GUIDE);
    let invoice = InvoiceDraft::new(10_000, SystemClock::new().now()).build();
    let (service, payment) = in_doubt(&story.home, &invoice, Some(&"00".repeat(32)), &[]);
    story.service = Some(service);
    let id = payment["id"].as_str().unwrap();
    story.replace("pay_...", id);
    story.replace("PREIMAGE", proof_of(&invoice).to_string());
    story.replace("HASH", hash_of(&invoice).to_string());
    story.tell("doubt");
    assert!(story.told("withdrawd payments --needs-operator").contains(id));
    assert!(story.told("withdrawd payment pay_").contains("KNOWN_BEFORE_SEND"));
    assert!(story.told("withdrawd payments --payment-hash").contains(id));
    assert_eq!(story.service().get(&payment["withdraw_id"])["status"], "PAID");
    story.end();
}

#[test]
fn it_ends_a_doubt_about_what_was_not() {
    let mut story = DocumentRun::of(GUIDE);
    let invoice = InvoiceDraft::new(10_000, SystemClock::new().now()).build();
    let (service, payment) = in_doubt(&story.home, &invoice, None, &SHORT);
    service.kill9();
    // lnd was never asked, and its own record of it is gone.
    fs::write(story.home.data("simulated-node.jsonl"), "").unwrap();
    for (name, value) in SHORT {
        story.set(name, value);
    }
    serve(&mut story);
    let id = payment["id"].as_str().unwrap();
    let early = ["resolve", id, "--failed", "--operator", "ann", "--reason", "too early"];
    until("no send can arrive", || {
        let said = story.service().cli(&early);
        assert!(said.err.contains("MAY_STILL_ARRIVE") || said.err.contains("CONFIRMATION"));
        said.err.contains("CONFIRMATION").then_some(())
    });
    story.replace("pay_...", id);
    story.tell("unpaid");
    let [(_, refused), (_, ended)] = &story.told[..] else { panic!("{:?}", story.told) };
    assert!(refused.error_line().contains("CONFIRMATION_REQUIRED"), "{refused:?}");
    assert!(ended.ok().contains("RESOLVED_BY_OPERATOR"), "{ended:?}");
    let open = story.service().get(&payment["withdraw_id"]);
    assert!(open["payment"]["state"] == "FAILED" && open["status"] == "ACTIVE", "{open}");
    story.end();
}

/// As the guide says: the file and its log, while nothing runs.
struct Copy([(PathBuf, Option<Vec<u8>>); 3]);

impl Copy {
    fn of(story: &DocumentRun) -> Self {
        let names = ["withdrawd.sqlite", "withdrawd.sqlite-wal", "withdrawd.sqlite-shm"];
        Self(names.map(|name| {
            let file = story.home.data(name);
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
    let mut story = DocumentRun::of(GUIDE);
    serve(&mut story);
    let [paid, free] = [(); 2].map(|()| story.service().create("10")["id"].clone());
    story.end();
    let copy = Copy::of(&story);
    serve(&mut story);
    until_instance_says(&story, "accepts claims");
    claim(&story, &paid);
    let hash = story.service().paid(&paid)["payment"]["payment_hash"].clone();
    story.end();
    copy.put_back();
    serve(&mut story);
    until_instance_says(&story, "FENCED");

    let hash = hash.as_str().unwrap();
    story.replace("HASH", hash);
    paid.as_str().unwrap().clone_into(&mut story.id);
    story.tell("fence");
    assert!(story.told("withdrawd acknowledge-restore").contains(hash));
    assert!(story.told("withdrawd acknowledge-restore --paid").contains("1 requests are withheld"));
    assert!(story.told("withdrawd instance").starts_with("accepts claims"));
    assert_eq!(story.service().get(&paid)["status"], "PAID");

    free.as_str().unwrap().clone_into(&mut story.id);
    story.tell("release");
    assert!(story.told("withdrawd get").contains("NEEDS_OPERATOR"));
    assert_eq!(story.told("withdrawd release wr_"), "1 requests were released\n");
    assert_eq!(story.told("withdrawd release --release-all"), "0 requests were released\n");
    claim(&story, &free);
    story.service().paid(&free);
    story.end();
}

fn claim(story: &DocumentRun, id: &Value) {
    let service = story.service();
    let lnurl = service.get(id)["withdraw_request"].clone();
    service.cli(&["claim", lnurl.as_str().unwrap()]).ok();
}

#[test]
fn it_fences_by_hand() {
    let mut story = DocumentRun::of(GUIDE);
    serve(&mut story);
    story.tell("by-hand");
    assert!(story.told("withdrawd fence").contains("fenced: BY_HAND"));
    story.end();
}

#[test]
fn it_upgrades() {
    let mut story = DocumentRun::of(GUIDE);
    story.tell("upgrade");
    assert_eq!(story.told("withdrawd migrate"), "the schema is up to date\n");
    until_instance_says(&story, "accepts claims");
    story.end();
}
