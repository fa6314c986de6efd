//! The backend against real lnds: the lab of `tests/lab`, whose `lab.json` the variable
//! `WITHDRAWD_TEST_LAB` names. Skipped, loudly, where it is not set. No test here takes a node down:
//! all run at once on one lab.

#![expect(clippy::disallowed_methods, reason = "the node has a clock of its own")]

mod deadlines;
mod invoices;

use std::{
    fs,
    process::{Command, Output},
    time::{Duration, SystemTime},
};

use futures_util::StreamExt;
use serde_json::Value;

use super::{LndNode, LndOptions, Macaroon};
use crate::{
    domain::{
        FailureReason, Millis, Msat, Network, NodeId, PaymentHash, Timestamp, TroubleKind,
        payment::RecordState,
    },
    ports::{
        Connection, LightningNode, NodeError, PaymentsQuery, SendOrder, SendUpdate, WitnessKeys,
        WitnessOrder,
    },
    runtime::{Clock, SystemClock},
};

struct Lab(Value);

impl Lab {
    fn open() -> Option<Self> {
        let Ok(path) = std::env::var("WITHDRAWD_TEST_LAB") else {
            let required = std::env::var("WITHDRAWD_REQUIRE_ALL").is_ok_and(|all| all == "1");
            assert!(!required, "WITHDRAWD_TEST_LAB is not set (see tests/run)");
            eprintln!("SKIPPED: WITHDRAWD_TEST_LAB is not set (see tests/run)");
            return None;
        };
        Some(Self(serde_json::from_slice(&fs::read(path).unwrap()).unwrap()))
    }

    fn text(&self, node: &str, key: &str) -> &str {
        self.0["nodes"][node][key].as_str().unwrap()
    }

    fn options(&self) -> LndOptions {
        let macaroon = fs::read(self.text("payer", "payer_macaroon")).unwrap();
        LndOptions {
            endpoint: format!("https://{}", self.text("payer", "rpc")),
            tls_cert_pem: Some(fs::read(self.text("payer", "tls_cert")).unwrap()),
            macaroon: Macaroon::parse(&macaroon).unwrap(),
            network: Network::Regtest,
            cltv_limit: 1_000,
            max_parts: 16,
            payment_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(5),
            info_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(20),
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(10),
        }
    }

    fn lncli(&self, node: &str, args: &[&str]) -> Value {
        let done = self.try_lncli(node, args);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// A client whose macaroon has these permissions on the payer.
    fn permitted(&self, calls: &[&str]) -> LndNode {
        let calls: Vec<_> = calls.iter().map(|call| format!("uri:/{call}")).collect();
        let mut args = vec!["bakemacaroon"];
        args.extend(calls.iter().map(String::as_str));
        let baked = self.try_lncli("payer", &args);
        assert!(baked.status.success(), "{}", String::from_utf8_lossy(&baked.stderr));
        let macaroon = Macaroon::parse(&baked.stdout).unwrap();
        LndNode::new(&LndOptions { macaroon, ..self.options() }, None).unwrap()
    }

    fn try_lncli(&self, node: &str, args: &[&str]) -> Output {
        let command: Vec<&str> = self.0["nodes"][node]["lncli"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        Command::new(command[0]).args(&command[1..]).args(args).output().unwrap()
    }

    /// An order for a new invoice of 21 sat, which lnd takes for `life_ms` from now.
    fn order(&self, payee: &str, life_ms: i64) -> SendOrder {
        let invoice = self.lncli(payee, &["addinvoice", "--amt", "21"]);
        let mut hash = [0; 32];
        hex::decode_to_slice(invoice["r_hash"].as_str().unwrap(), &mut hash).unwrap();
        SendOrder {
            node: NodeId::parse(self.text("payer", "pubkey")).unwrap(),
            connection: Connection(1),
            invoice: invoice["payment_request"].as_str().unwrap().to_owned(),
            payment_hash: PaymentHash::from_bytes(hash),
            amount: Msat::new(21_000).unwrap(),
            fee_limit: Msat::new(5_000).unwrap(),
            send_deadline: now().plus(Millis::from_ms(life_ms)),
        }
    }
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_ms(i64::try_from(since_epoch.as_millis()).unwrap())
}

async fn send(node: &LndNode, order: &SendOrder) -> Vec<SendUpdate> {
    let updates: Vec<_> = node.send(order.clone()).await.collect().await;
    eprintln!("{updates:#?}");
    updates
}

fn last(updates: &[SendUpdate]) -> RecordState {
    match updates.last() {
        Some(SendUpdate::Record(record)) => record.state,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_invoice_is_paid_once_and_found_again() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(&lab.options(), None).unwrap();
    let order = lab.order("payee", 15_000);

    let began = now();
    let updates = send(&node, &order).await;
    let RecordState::Succeeded { preimage, .. } = last(&updates) else {
        panic!("not paid");
    };
    assert_eq!(preimage.hash(), order.payment_hash);

    let found = node.look_up(order.payment_hash).await.unwrap();
    let record = found.record.unwrap();
    assert_eq!(found.node, order.node);
    assert_eq!(record.amount, order.amount);
    assert!(record.created >= began && record.created <= now());
    assert_eq!(record.state, last(&updates));

    let again = send(&node, &order).await;
    assert!(matches!(again[..], [SendUpdate::AlreadyExists]));
}

#[tokio::test]
async fn an_unknown_hash_is_not_found() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(&lab.options(), None).unwrap();
    let found = node.look_up(PaymentHash::from_bytes([9; 32])).await.unwrap();
    assert_eq!(found.record, None);
}

#[tokio::test]
async fn a_late_send_is_refused_and_leaves_nothing() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(&lab.options(), None).unwrap();
    for life_ms in [-1, -1_000, i64::MIN / 4] {
        let order = lab.order("payee", life_ms);
        match &send(&node, &order).await[..] {
            [SendUpdate::Refused(NodeError::Refused(text))] => {
                assert!(text.contains("macaroon has expired"), "{text}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(node.look_up(order.payment_hash).await.unwrap().record, None);
    }
}

#[tokio::test]
async fn no_route_is_a_failure_and_can_be_tried_again() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(&lab.options(), None).unwrap();
    let order = lab.order("stranger", 15_000);
    for _ in 0..2 {
        let updates = send(&node, &order).await;
        assert_eq!(last(&updates), RecordState::Failed(FailureReason::NoRoute));
    }
    let found = node.look_up(order.payment_hash).await.unwrap().record.unwrap();
    assert_eq!(found.state, RecordState::Failed(FailureReason::NoRoute));
}

#[tokio::test]
async fn a_payment_to_itself_is_refused_and_leaves_nothing() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(&lab.options(), None).unwrap();
    let order = lab.order("payer", 15_000);
    let updates = send(&node, &order).await;
    assert!(matches!(updates[..], [SendUpdate::Refused(NodeError::Refused(_))]));
    assert_eq!(node.look_up(order.payment_hash).await.unwrap().record, None);
}

#[tokio::test]
async fn a_held_payment_is_in_flight_until_the_payee_settles() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(&lab.options(), None).unwrap();
    let preimage = crate::domain::Preimage::from_bytes(
        Timestamp::as_ms(now()).to_be_bytes().repeat(4).try_into().unwrap(),
    );
    let hash = preimage.hash().to_string();
    let held = lab.lncli("payee", &["addholdinvoice", &hash, "21"]);
    let order = SendOrder {
        invoice: held["payment_request"].as_str().unwrap().to_owned(),
        payment_hash: preimage.hash(),
        ..lab.order("payee", 15_000)
    };
    let mut updates = node.send(order.clone()).await;
    for _ in 0..2 {
        match updates.next().await {
            Some(SendUpdate::Record(record)) => assert_eq!(record.state, RecordState::InFlight),
            other => panic!("{other:?}"),
        }
    }
    let found = node.look_up(order.payment_hash).await.unwrap().record.unwrap();
    assert_eq!(found.state, RecordState::InFlight);
    let again = send(&node, &order).await;
    assert!(matches!(again[..], [SendUpdate::AlreadyExists]));

    let asks = ["lnrpc.Lightning/GetInfo", "lnrpc.Lightning/ListChannels"];
    let asks = [&asks[..], &["routerrpc.Router/TrackPaymentV2"]].concat();
    let all = [&asks[..], &["lnrpc.Lightning/PendingChannels"]].concat();
    let (asking, blind) = (lab.permitted(&all), lab.permitted(&asks));
    // The HTLC arrives a moment after lnd has told of it; the payee settles once it is there.
    let there = || lab.lncli("payee", &["lookupinvoice", &hash])["state"] == "ACCEPTED";
    assert!((0..500).any(|_| there()));
    assert!(asking.has_htlc(order.payment_hash).await.unwrap());
    let refused = blind.has_htlc(order.payment_hash).await;
    assert!(matches!(refused, Err(NodeError::NotPermitted("PendingChannels"))), "{refused:?}");
    lab.lncli("payee", &["settleinvoice", &hex::encode(preimage.as_bytes())]);
    let rest: Vec<_> = updates.collect().await;
    assert!(
        matches!(last(&rest), RecordState::Succeeded { preimage: shown, .. } if shown == preimage)
    );
    // It goes from the commitment a moment after its preimage has come.
    let mut is_out = true;
    for _ in 0..500 {
        is_out = is_out && asking.has_htlc(order.payment_hash).await.unwrap();
    }
    assert!(!is_out);
}

#[tokio::test]
async fn the_wrong_credentials_are_refused() {
    let Some(lab) = Lab::open() else { return };
    let mut options = lab.options();
    options.tls_cert_pem = Some(fs::read(lab.text("payee", "tls_cert")).unwrap());
    let refused = LndNode::new(&options, None).unwrap().introduce().await;
    let trouble = refused.unwrap_err().trouble();
    assert_eq!(trouble.kind, TroubleKind::OtherCertificate);

    let mut options = lab.options();
    let strange = fs::read(lab.text("payee", "admin_macaroon")).unwrap();
    options.macaroon = Macaroon::parse(&strange).unwrap();
    let refused = LndNode::new(&options, None).unwrap().introduce().await;
    assert_eq!(refused.unwrap_err().trouble().kind, TroubleKind::MacaroonRefused);

    let mut options = lab.options();
    options.network = Network::Bitcoin;
    let refused = LndNode::new(&options, None).unwrap().introduce().await;
    assert!(matches!(refused, Err(NodeError::WrongNetwork { .. })), "{refused:?}");
}

/// What a macaroon lacks is found out by calls that lnd refuses by itself where they are permitted.
#[tokio::test]
async fn permissions_are_tried_without_a_payment() {
    let Some(lab) = Lab::open() else { return };
    let needed = ["lnrpc.Lightning/GetInfo", "lnrpc.Lightning/ListChannels"];
    let [send, track] = ["routerrpc.Router/SendPaymentV2", "routerrpc.Router/TrackPaymentV2"];
    let lacking = |more: &[&str]| lab.permitted(&[&needed, more].concat());
    let refused = lacking(&[track]).try_permissions().await;
    assert!(matches!(refused, Err(NodeError::NotPermitted("SendPaymentV2"))), "{refused:?}");
    let refused = lacking(&[send]).try_permissions().await;
    assert!(matches!(refused, Err(NodeError::NotPermitted("TrackPaymentV2"))), "{refused:?}");
    let blind = lab.permitted(&["lnrpc.Lightning/GetInfo"]).health().await;
    assert!(matches!(blind, Err(NodeError::NotPermitted("ListChannels"))), "{blind:?}");

    let node = lacking(&[send, track]);
    node.try_permissions().await.unwrap();
    node.try_permissions().await.unwrap();
    // lnd's default is 2016.
    let above = LndOptions { cltv_limit: 2_017, ..lab.options() };
    let refused = LndNode::new(&above, None).unwrap().try_permissions().await.unwrap_err();
    assert_eq!(refused.trouble(), TroubleKind::CltvLimit.into());
    // A payment of nothing, to nobody, would be listed.
    let listed = lab.lncli("payer", &["listpayments", "--include_incomplete"]);
    let listed = listed["payments"].as_array().unwrap();
    assert!(listed.iter().all(|payment| payment["value_msat"] != "0"), "{listed:?}");
}

/// What can be sent is lnd's own measure: one satoshi more and it finds no route.
#[tokio::test]
async fn what_can_be_sent_is_what_lnd_finds_a_route_for() {
    let Some(lab) = Lab::open() else { return };
    let node = lab.permitted(&["lnrpc.Lightning/GetInfo", "lnrpc.Lightning/ListChannels"]);
    let payee = lab.text("payee", "pubkey");
    let finds = |sat: i64| {
        let found = lab.try_lncli("payer", &["queryroutes", payee, &sat.to_string()]);
        found.status.success()
    };
    for _ in 0..50 {
        let health = node.health().await.unwrap();
        assert_eq!(health.introduction.id.as_str(), lab.text("payer", "pubkey"));
        assert!(health.synced && health.active_channels > 0);
        let all = health.can_send.get() / 1_000;
        let (reaches, exceeds) = (finds(all), finds(all + 1));
        // Others pay from the same channel meanwhile.
        if node.health().await.unwrap() == health {
            // An HTLC too small for an output of its own weighs nothing, and is counted all the same.
            let exact = health.busiest_channel_htlcs == 0;
            assert!(reaches && !(exact && exceeds), "{health:?}: {reaches} {exceeds}");
            return;
        }
    }
    panic!("the channel was never at rest");
}

#[tokio::test]
async fn payments_are_listed_where_the_macaroon_permits_it() {
    let Some(lab) = Lab::open() else { return };
    let began = now();
    let paid = lab.order("payee", 15_000);
    let unroutable = lab.order("stranger", 15_000);
    let node = LndNode::new(&lab.options(), None).unwrap();
    send(&node, &paid).await;
    send(&node, &unroutable).await;
    let done = now();

    let query = PaymentsQuery { created_from: began, created_to: done, after_index: 0, limit: 1 };
    let refused = lab.permitted(&["lnrpc.Lightning/GetInfo"]).payments(query).await;
    assert!(matches!(refused, Err(NodeError::NotPermitted("ListPayments"))), "{refused:?}");

    // A page at a time; others pay from the same node meanwhile.
    let node = lab.permitted(&["lnrpc.Lightning/GetInfo", "lnrpc.Lightning/ListPayments"]);
    let (mut listed, mut after_index) = (Vec::new(), 0);
    loop {
        let page = node.payments(PaymentsQuery { after_index, ..query }).await.unwrap();
        assert_eq!(page.node, paid.node);
        let Some(last) = page.payments.last() else { break };
        assert!(last.index > after_index && page.payments.len() == 1);
        after_index = last.index;
        listed.extend(page.payments);
    }
    for (order, failed) in [(&paid, false), (&unroutable, true)] {
        let here: Vec<_> =
            listed.iter().filter(|l| l.record.payment_hash == order.payment_hash).collect();
        let [one] = here[..] else { panic!("{here:?}") };
        assert_eq!((&one.invoice, one.record.amount), (&order.invoice, order.amount));
        let state = one.record.state;
        assert_eq!(matches!(state, RecordState::Failed(FailureReason::NoRoute)), failed);
        assert_eq!(matches!(state, RecordState::Succeeded { .. }), !failed);
        assert!(one.record.created >= began && one.record.created <= done);
    }
    let earlier = PaymentsQuery {
        created_from: Timestamp::MIN,
        created_to: began.minus(Millis::from_ms(1)),
        limit: 1_000,
        ..query
    };
    let earlier = node.payments(earlier).await.unwrap().payments;
    assert!(earlier.iter().all(|l| l.record.payment_hash != paid.payment_hash));
}

/// What shows that lnd stores payments: it fails, and no money can move.
#[tokio::test]
async fn a_write_witness_is_stored_and_fails() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(&lab.options(), None).unwrap();
    let id = node.introduce().await.unwrap().id;
    let mut keys = [[0; 32]; 2];
    for key in &mut keys {
        getrandom::fill(key).unwrap();
    }
    let payment_hash = PaymentHash::from_bytes(keys[1]);
    let keys = WitnessKeys { payee: keys[0], payment_hash };
    let send_deadline = SystemClock::new().now().plus(Millis::from_secs(15));
    let order = WitnessOrder { node: id, keys, send_deadline };
    let updates: Vec<_> = node.witness(order).await.collect().await;
    assert_eq!(last(&updates), RecordState::Failed(FailureReason::NoRoute));
    let found = node.look_up(payment_hash).await.unwrap().record.unwrap();
    assert_eq!(found.state, RecordState::Failed(FailureReason::NoRoute));
}
