//! The restore fence on real Postgres: base backups are restored, servers killed, standbys promoted, under
//! the real binary. The simulated node outlives all of it, as a real one would: its ledger is the truth.

use std::fs;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use withdrawd::{
    client::Signed,
    pb::{Halt, instance::FenceReason, payment::State, withdraw::Status},
    runtime::{Clock, SystemClock},
};

use crate::{
    bench::binary::{Home, Service},
    bench::clusters::Clusters,
    bench::daemon,
    bench::invoices::InvoiceDraft,
    bench::lab::{Lab, eventually},
    bench::{StoreKind, claim_at, reason},
};

const CANNOT_PAY: &str = "cannot pay at the moment, please try again later";
const WHO: [&str; 4] = ["--operator", "ann", "--reason", "restored on Sunday"];

/// A service on a site's front, and everything of it that outlives its process.
struct TracedWithdrawal {
    home: Home,
    url: String,
}

impl TracedWithdrawal {
    fn on(clusters: &Clusters) -> Self {
        Self { home: Home::new(), url: clusters.url() }
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

/// As the service shows it now: a restarted process listens on another port.
fn lnurl(service: &Service, withdraw: &Value) -> Option<String> {
    let found = service.cli(&["get", text(withdraw, "id"), "--json"]);
    let found: Value = serde_json::from_str(&found.out).ok()?;
    Some(text(&found, "withdraw_request").to_owned())
}

/// A wallet's claim with an invoice that nobody has seen before.
async fn claim_anew(service: &Service, withdraw: &Value) -> Value {
    let invoice = InvoiceDraft::new(10_000, SystemClock::new().now()).build();
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
        (&json!(why), &json!("0"))
    );
    assert_eq!(reason(&claim_anew(service, paid).await), CANNOT_PAY);
    let offer = service.cli(&["claim", &lnurl(service, paid).unwrap()]);
    assert!(offer.error_line().contains(CANNOT_PAY), "{offer:?}");
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

    let assigned = format!("{}={hash}", text(paid, "id"));
    let done = service.json(&[&["acknowledge-restore", "--paid", &assigned], &WHO[..]].concat());
    assert_eq!((&done["unknown"], &done["withheld"]), (&json!([]), &json!("1")));
    let found = service.get(&paid["id"]);
    assert_eq!((text(&found, "status"), text(&found["payment"], "payment_hash")), ("PAID", hash));

    let held = service.get(&free["id"]);
    assert_eq!(
        (&held["claimable"], text(&held, "unclaimable_reason")),
        (&json!(false), "NEEDS_OPERATOR")
    );
    assert!(reason(&claim_anew(service, free).await).contains("looked into"));
    let released = service.json(&[&["release", text(free, "id")], &WHO[..]].concat());
    assert_eq!(released["released"], "1");
}

/// A wallet tries until it is accepted, and no operator is needed for that. The payment hash.
async fn pay(service: &Service, withdraw: &Value) -> String {
    let id = text(withdraw, "id");
    eventually("a claim is accepted", async || {
        let stands = service.cli(&["instance"]);
        assert!(!stands.out.contains("fenced"), "{stands:?}");
        let claimed = service.cli(&["claim", &lnurl(service, withdraw)?]);
        // Or its answer came too late: then there is a payment all the same.
        let found = service.cli(&["get", id, "--json"]);
        (claimed.code == Some(0) || found.out.contains("pay_")).then_some(())
    })
    .await;
    let paid = service.paid(&withdraw["id"]);
    text(&paid["payment"], "payment_hash").to_owned()
}

/// Last night's base backup is put in the place of the database, and the service started on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_base_backup_is_fenced_at_start() {
    let Some(clusters) = Clusters::open() else { return };
    let (mut primary, story) = (clusters.primary().await, TracedWithdrawal::on(&clusters));
    let mut service = story.serve();
    let [paid, free] = [service.create("10"), service.create("10")];
    let mut backup = clusters.base_backup(&primary);
    let hash = pay(&service, &paid).await;
    assert_eq!(service.terminate().code(), Some(0));
    drop(service);
    primary.crash();
    backup.start().await;
    clusters.route_to(&backup);

    let service = story.serve();
    fences_itself(&service, &paid, "UNKNOWN_PAYMENTS").await;
    an_operator_ends_the_fence(&service, &paid, &hash, &free).await;
    let other = pay(&service, &free).await;
    assert_eq!(story.paid_by_node(), [hash, other]);
}

/// The same under a service that goes on running: another server answers behind its URL.
#[tokio::test(flavor = "multi_thread")]
async fn a_base_backup_restored_under_a_running_service_fences_it() {
    let Some(clusters) = Clusters::open() else { return };
    let (mut primary, story) = (clusters.primary().await, TracedWithdrawal::on(&clusters));
    let service = story.serve();
    let [paid, free] = [service.create("10"), service.create("10")];
    let mut backup = clusters.base_backup(&primary);
    let hash = pay(&service, &paid).await;
    primary.crash();
    backup.start().await;
    clusters.route_to(&backup);

    fences_itself(&service, &paid, "MARK_LOST").await;
    an_operator_ends_the_fence(&service, &paid, &hash, &free).await;
    // What was looked at is not a loss again when the server is the next one.
    backup.crash();
    backup.start().await;
    let other = pay(&service, &free).await;
    assert_eq!(story.paid_by_node(), [hash, other]);
}

/// A dump is restored into the server that goes on running, under a service that does too: neither has
/// been started anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_dump_restored_into_the_running_server_fences_the_service() {
    let Some(clusters) = Clusters::open() else { return };
    let (primary, story) = (clusters.primary().await, TracedWithdrawal::on(&clusters));
    let service = story.serve();
    let [paid, free] = [service.create("10"), service.create("10")];
    primary.dump();
    let hash = pay(&service, &paid).await;
    primary.restore_dump().await;

    fences_itself(&service, &paid, "MARK_LOST").await;
    an_operator_ends_the_fence(&service, &paid, &hash, &free).await;
    let other = pay(&service, &free).await;
    assert_eq!(story.paid_by_node(), [hash, other]);
}

/// A failover to a standby that had lost its primary before the payment.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_without_the_last_commits_fences_the_service() {
    let Some(clusters) = Clusters::open() else { return };
    let (mut primary, story) = (clusters.primary().await, TracedWithdrawal::on(&clusters));
    let service = story.serve();
    let [paid, free] = [service.create("10"), service.create("10")];
    let standby = clusters.standby(&primary).await;
    standby.until("select count(*) from withdraws", 2).await;
    standby.cut_off().await;
    let hash = pay(&service, &paid).await;
    primary.crash();
    // First it answers reads alone.
    clusters.route_to(&standby);
    reason(&claim_anew(&service, &paid).await);
    standby.promote().await;

    fences_itself(&service, &paid, "MARK_LOST").await;
    an_operator_ends_the_fence(&service, &paid, &hash, &free).await;
    let other = pay(&service, &free).await;
    assert_eq!(story.paid_by_node(), [hash, other]);
}

/// What was answered just before the failover, which the standby lacks.
async fn a_failover_undoes(what: impl Fn(&Service, &Value)) {
    let Some(clusters) = Clusters::open() else { return };
    let (mut primary, story) = (clusters.primary().await, TracedWithdrawal::on(&clusters));
    let service = story.serve();
    let withdraw = service.create("10");
    let standby = clusters.standby(&primary).await;
    standby.until("select count(*) from withdraws", 1).await;
    standby.cut_off().await;
    what(&service, &withdraw);
    primary.crash();
    standby.promote().await;
    clusters.route_to(&standby);
    fences_itself(&service, &withdraw, "MARK_LOST").await;
    assert_eq!(story.paid_by_node(), Vec::<String>::new());
}

/// The customer was told that the request is over, and got the money in another way.
#[tokio::test(flavor = "multi_thread")]
async fn a_deactivation_that_a_failover_undoes_fences_before_the_old_lnurl_is_claimed() {
    a_failover_undoes(|service, withdraw| {
        service.json(&["deactivate", text(withdraw, "id")]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_a_failover_undoes_fences_before_anything_is_claimed() {
    a_failover_undoes(|service, _| {
        service.json(&[&["pause"], &WHO[..]].concat());
    })
    .await;
}

/// A failover that lost nothing needs nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_with_all_commits_takes_over() {
    let Some(clusters) = Clusters::open() else { return };
    let (mut primary, story) = (clusters.primary().await, TracedWithdrawal::on(&clusters));
    let service = story.serve();
    let [paid, free] = [service.create("10"), service.create("10")];
    let standby = clusters.standby(&primary).await;
    let hash = pay(&service, &paid).await;
    standby.until("select count(*) from payments where state = 'PAID'", 1).await;
    primary.crash();
    standby.promote().await;
    clusters.route_to(&standby);

    let other = pay(&service, &free).await;
    assert_eq!(service.get(&paid["id"])["status"], "PAID");
    assert_eq!(story.paid_by_node(), [hash, other]);
}

/// A server that crashes and starts again has lost nothing, and the service goes on by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_postgres_fences_nothing() {
    let Some(clusters) = Clusters::open() else { return };
    let (mut primary, story) = (clusters.primary().await, TracedWithdrawal::on(&clusters));
    let service = story.serve();
    let [paid, free] = [service.create("10"), service.create("10")];
    let hash = pay(&service, &paid).await;
    primary.crash();
    let refused = claim_anew(&service, &free).await;
    assert!(reason(&refused).contains("try again"), "{refused}");
    primary.start().await;

    let other = pay(&service, &free).await;
    assert_eq!(service.get(&paid["id"])["status"], "PAID");
    assert_eq!(story.paid_by_node(), [hash, other]);
}

/// A macaroon that permits `ListPayments`, too.
fn list_permitted(lab: &Lab) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let save_to = format!("--save_to={}", file.path().display());
    let permissions = [
        "uri:/lnrpc.Lightning/GetInfo",
        "uri:/lnrpc.Lightning/ListChannels",
        "uri:/routerrpc.Router/SendPaymentV2",
        "uri:/routerrpc.Router/TrackPaymentV2",
        "uri:/lnrpc.Lightning/ListPayments",
    ];
    lab.try_ask("payer", &[&["bakemacaroon", save_to.as_str()], &permissions[..]].concat())
        .unwrap();
    file
}

/// The same beside a real lnd that others pay from, too: what the process remembers is all that there is.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_makes_lnd_pay_nothing_twice() {
    let Some(lab) = Lab::open() else { return };
    let Some(clusters) = Clusters::open() else { return };
    let _up = lab.share().await;
    let mut primary = clusters.primary().await;
    let home = daemon::Home::new(StoreKind::Sqlite, &lab).await;
    let macaroon = list_permitted(&lab);
    let settings = [
        ("store.database_url", clusters.url()),
        ("lnd.macaroon", macaroon.path().display().to_string()),
    ];
    let daemon = home.with(&settings.each_ref().map(|(key, value)| (*key, value.as_str())));
    let daemon = daemon.start().await;
    let withdraw = daemon.create(1000).await;
    let standby = clusters.standby(&primary).await;
    standby.until("select count(*) from withdraws", 1).await;
    standby.cut_off().await;
    let [invoice, again] = [lab.invoice("payee", 1000), lab.invoice("payee", 1000)];
    daemon.claim_ok(&withdraw, &invoice.text).await;
    let hash = daemon.until(&withdraw, State::Paid).await.payment_hash;
    primary.crash();
    clusters.route_to(&standby);
    standby.promote().await;

    let mut operations = daemon.operations().await;
    let fenced = eventually("FENCED", async || {
        let answer = daemon.claim(&withdraw, &again.text).await;
        assert_eq!(answer["status"], "ERROR", "it would be paid twice");
        operations.instance().await.ok().filter(|stands| stands.halt() == Halt::Fenced)
    });
    assert_eq!(fenced.await.fence_reason(), FenceReason::MarkLost);
    let unknown = operations.unknown().await.unwrap();
    assert!(unknown.payments.iter().any(|payment| payment.payment_hash == hash), "{unknown:?}");
    let by = Signed { operator: "ann".into(), reason: "promoted".into() };
    let pair = format!("{}={hash}", withdraw.id).parse().unwrap();
    operations.acknowledge(by, vec![pair], false).await.unwrap();
    assert_eq!(daemon.get(&withdraw).await.status(), Status::Paid);
    assert_eq!(daemon.claim(&withdraw, &again.text).await["status"], "ERROR");
    lab.assert_paid_once(&invoice, 1000).await;
    lab.assert_unpaid(&again);
}
