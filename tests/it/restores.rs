//! The restore fence on real Postgres: base backups are restored, servers killed, standbys promoted, under
//! the real binary. The simulated node outlives all of it, as a real one would: its ledger is the truth.

use std::fs;

use serde_json::{Value, json};
use withdrawd::runtime::{Clock, SystemClock};

use crate::{
    bench::{claim_at, reason},
    binary::{Home, Service},
    clusters::Site,
    invoices::Wanted,
    lab::eventually,
};

const CANNOT_PAY: &str = "cannot pay at the moment, please try again later";
const WHO: [&str; 4] = ["--operator", "ann", "--reason", "restored on Sunday"];

/// A service on a site's front, and everything of it that outlives its process.
struct Story {
    home: Home,
    url: String,
}

impl Story {
    fn on(site: &Site) -> Self {
        Self { home: Home::new(), url: site.url() }
    }

    fn serve(&self) -> Service {
        self.home.serve_with(&[], &[("WITHDRAWD__STORE__DATABASE_URL", &self.url)])
    }

    /// Payment hashes that the node has paid, as often as it has.
    fn paid_by_node(&self) -> Vec<String> {
        let ledger = fs::read_to_string(self.home.data("simulated-node.jsonl")).unwrap();
        let lines = ledger.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let paid = lines.filter(|line| line["preimage"].is_string());
        paid.map(|line| line["payment_hash"].as_str().unwrap().to_owned()).collect()
    }
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap()
}

/// As the service shows it now: another life listens on another port.
fn lnurl(service: &Service, withdraw: &Value) -> String {
    text(&service.get(&withdraw["id"]), "withdraw_request").to_owned()
}

/// A wallet of the simulated node's claims all of it. The payment hash of what was paid.
fn pay(service: &Service, withdraw: &Value) -> String {
    service.cli(&["claim", &lnurl(service, withdraw)]).ok();
    let paid = service.paid(&withdraw["id"]);
    text(&paid["payment"], "payment_hash").to_owned()
}

/// A wallet's claim with an invoice that nobody has seen before.
async fn claim_anew(service: &Service, withdraw: &Value) -> Value {
    let invoice = Wanted::new(10_000, SystemClock::new().now()).build();
    claim_at(service.lnurl, text(withdraw, "ott"), &invoice).await
}

/// Claims again and again what was paid already, until the instance is fenced: every time in vain.
async fn fences_itself(service: &Service, paid: &Value, why: &str) {
    let instance = eventually("FENCED", async || {
        let answer = claim_anew(service, paid).await;
        assert_eq!(answer["status"], "ERROR", "it would be paid twice");
        let said = service.cli(&["instance", "--json"]);
        let stands = serde_json::from_str::<Value>(&said.out).ok()?;
        (stands["halt"] == "FENCED").then_some(stands)
    })
    .await;
    assert_eq!(
        (&instance["fence_reason"], &instance["max_withdrawable_sat"]),
        (&json!(why), &json!(0))
    );
    assert_eq!(reason(&claim_anew(service, paid).await), CANNOT_PAY);
    let offer = service.cli(&["claim", &lnurl(service, paid)]);
    assert!(offer.mistake().contains(CANNOT_PAY), "{offer:?}");
    assert_eq!(service.get(&paid["id"])["status"], "ACTIVE", "all that the database knows");
}

/// What the guide says: look at what is unknown, assign it, release what was not paid.
async fn an_operator_ends_the_fence(service: &Service, paid: &Value, hash: &str, free: &Value) {
    let unknown = service.json(&["acknowledge-restore"]);
    let unknown = unknown["payments"].as_array().unwrap();
    assert_eq!(unknown.len(), 1, "{unknown:?}");
    assert_eq!(
        (text(&unknown[0], "payment_hash"), text(&unknown[0], "state")),
        (hash, "SUCCEEDED")
    );

    let pair = format!("{}={hash}", text(paid, "id"));
    let done = service.json(&[&["acknowledge-restore", "--paid", &pair], &WHO[..]].concat());
    assert_eq!((&done["unknown"], &done["withheld"]), (&json!([]), &json!(1)));
    let found = service.get(&paid["id"]);
    assert_eq!((text(&found, "status"), text(&found["payment"], "payment_hash")), ("PAID", hash));

    let held = service.get(&free["id"]);
    assert_eq!(
        (&held["claimable"], text(&held, "unclaimable_reason")),
        (&json!(false), "NEEDS_OPERATOR")
    );
    assert!(reason(&claim_anew(service, free).await).contains("looked into"));
    let released = service.json(&[&["release", text(free, "id")], &WHO[..]].concat());
    assert_eq!(released["released"], 1);
}

/// A wallet tries until it is accepted: without a word of an operator. The payment hash.
async fn pay_once_accepted(service: &Service, withdraw: &Value) -> String {
    eventually("a claim is accepted", async || {
        let stands = service.cli(&["instance"]);
        assert!(!stands.out.contains("fenced"), "{stands:?}");
        let lnurl = text(withdraw, "withdraw_request");
        (service.cli(&["claim", lnurl]).code == Some(0)).then_some(())
    })
    .await;
    let paid = service.paid(&withdraw["id"]);
    text(&paid["payment"], "payment_hash").to_owned()
}

/// Last night's base backup is put in the place of the database, and the service started on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_base_backup_is_fenced_at_start() {
    let Some(site) = Site::open() else { return };
    let (mut primary, story) = (site.primary().await, Story::on(&site));
    let mut service = story.serve();
    let [paid, free] = [service.create("10"), service.create("10")];
    let mut backup = site.base_backup(&primary);
    let hash = pay(&service, &paid);
    assert_eq!(service.terminate().code(), Some(0));
    drop(service);
    primary.crash();
    backup.start().await;
    site.lead(&backup);

    let service = story.serve();
    fences_itself(&service, &paid, "UNKNOWN_PAYMENTS").await;
    an_operator_ends_the_fence(&service, &paid, &hash, &free).await;
    let other = pay(&service, &free);
    assert_eq!(story.paid_by_node(), [hash, other]);
}

/// The same under a service that goes on running: another server answers behind its URL.
#[tokio::test(flavor = "multi_thread")]
async fn a_base_backup_restored_under_a_running_service_fences_it() {
    let Some(site) = Site::open() else { return };
    let (mut primary, story) = (site.primary().await, Story::on(&site));
    let service = story.serve();
    let [paid, free] = [service.create("10"), service.create("10")];
    let mut backup = site.base_backup(&primary);
    let hash = pay(&service, &paid);
    primary.crash();
    backup.start().await;
    site.lead(&backup);

    fences_itself(&service, &paid, "MARK_LOST").await;
    an_operator_ends_the_fence(&service, &paid, &hash, &free).await;
    // What was looked at is not a loss again when the server is the next one.
    backup.crash();
    backup.start().await;
    let other = pay_once_accepted(&service, &free).await;
    assert_eq!(story.paid_by_node(), [hash, other]);
}

/// A failover to a standby that had lost its primary before the payment.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_without_the_last_commits_fences_the_service() {
    let Some(site) = Site::open() else { return };
    let (mut primary, story) = (site.primary().await, Story::on(&site));
    let service = story.serve();
    let [paid, free] = [service.create("10"), service.create("10")];
    let standby = site.standby(&primary).await;
    standby.until("select count(*) from withdraws", 2).await;
    standby.cut_off().await;
    let hash = pay(&service, &paid);
    primary.crash();
    // First it answers reads alone.
    site.lead(&standby);
    reason(&claim_anew(&service, &paid).await);
    standby.promote().await;

    fences_itself(&service, &paid, "MARK_LOST").await;
    an_operator_ends_the_fence(&service, &paid, &hash, &free).await;
    let other = pay(&service, &free);
    assert_eq!(story.paid_by_node(), [hash, other]);
}

/// A failover that lost nothing needs nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_with_all_commits_takes_over() {
    let Some(site) = Site::open() else { return };
    let (mut primary, story) = (site.primary().await, Story::on(&site));
    let service = story.serve();
    let [paid, free] = [service.create("10"), service.create("10")];
    let standby = site.standby(&primary).await;
    let hash = pay(&service, &paid);
    standby.until("select count(*) from payments where state = 'PAID'", 1).await;
    primary.crash();
    standby.promote().await;
    site.lead(&standby);

    let other = pay_once_accepted(&service, &free).await;
    assert_eq!(service.get(&paid["id"])["status"], "PAID");
    assert_eq!(story.paid_by_node(), [hash, other]);
}

/// A server that crashes and starts again has lost nothing, and the service goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_postgres_fences_nothing() {
    let Some(site) = Site::open() else { return };
    let (mut primary, story) = (site.primary().await, Story::on(&site));
    let service = story.serve();
    let [paid, free] = [service.create("10"), service.create("10")];
    let hash = pay(&service, &paid);
    primary.crash();
    let refused = claim_anew(&service, &free).await;
    assert!(reason(&refused).contains("try again"), "{refused}");
    primary.start().await;

    let other = pay_once_accepted(&service, &free).await;
    assert_eq!(service.get(&paid["id"])["status"], "PAID");
    assert_eq!(story.paid_by_node(), [hash, other]);
}
