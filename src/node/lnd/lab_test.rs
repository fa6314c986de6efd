//! The backend against real lnds: the lab of `tests/lab`, whose `lab.json` the variable
//! `WITHDRAWD_TEST_LAB` names. Skipped, loudly, where it is not set. No test here takes a node down:
//! all run at once on one lab.

#![expect(clippy::disallowed_methods, reason = "the node has a clock of its own")]

use std::{
    fs,
    process::Command,
    time::{Duration, SystemTime},
};

use futures_util::StreamExt;
use serde_json::Value;

use super::{LndNode, LndOptions, Macaroon};
use crate::{
    domain::{
        FailureReason, Millis, Msat, Network, NodeId, PaymentHash, Timestamp, payment::RecordState,
    },
    ports::{LightningNode, NodeError, SendOrder, SendUpdate},
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
        let command: Vec<&str> = self.0["nodes"][node]["lncli"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let done = Command::new(command[0]).args(&command[1..]).args(args).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// An order for a new invoice of 21 sat, which lnd takes for `life_ms` from now.
    fn order(&self, payee: &str, life_ms: i64) -> SendOrder {
        let invoice = self.lncli(payee, &["addinvoice", "--amt", "21"]);
        let mut hash = [0; 32];
        hex::decode_to_slice(invoice["r_hash"].as_str().unwrap(), &mut hash).unwrap();
        SendOrder {
            node: NodeId::parse(self.text("payer", "pubkey")).unwrap(),
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
    let node = LndNode::new(lab.options()).unwrap();
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
    let node = LndNode::new(lab.options()).unwrap();
    let found = node.look_up(PaymentHash::from_bytes([9; 32])).await.unwrap();
    assert_eq!(found.record, None);
}

#[tokio::test]
async fn a_late_send_is_refused_and_leaves_nothing() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(lab.options()).unwrap();
    for life_ms in [-1, -1_000, i64::MIN / 4] {
        let order = lab.order("payee", life_ms);
        match &send(&node, &order).await[..] {
            [SendUpdate::Error(NodeError::Refused(text))] => {
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
    let node = LndNode::new(lab.options()).unwrap();
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
    let node = LndNode::new(lab.options()).unwrap();
    let order = lab.order("payer", 15_000);
    let updates = send(&node, &order).await;
    assert!(matches!(updates[..], [SendUpdate::Error(NodeError::Refused(_))]));
    assert_eq!(node.look_up(order.payment_hash).await.unwrap().record, None);
}

#[tokio::test]
async fn a_held_payment_is_in_flight_until_the_payee_settles() {
    let Some(lab) = Lab::open() else { return };
    let node = LndNode::new(lab.options()).unwrap();
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

    // The HTLC arrives a moment after lnd has told of it; the payee settles once it is there.
    let there = || lab.lncli("payee", &["lookupinvoice", &hash])["state"] == "ACCEPTED";
    assert!((0..500).any(|_| there()));
    lab.lncli("payee", &["settleinvoice", &hex::encode(preimage.as_bytes())]);
    let rest: Vec<_> = updates.collect().await;
    assert!(
        matches!(last(&rest), RecordState::Succeeded { preimage: shown, .. } if shown == preimage)
    );
}

#[tokio::test]
async fn the_wrong_credentials_are_refused() {
    let Some(lab) = Lab::open() else { return };
    let mut options = lab.options();
    options.tls_cert_pem = Some(fs::read(lab.text("payee", "tls_cert")).unwrap());
    let refused = LndNode::new(options).unwrap().introduce().await;
    assert!(matches!(refused, Err(NodeError::Unreachable(_))), "{refused:?}");

    let mut options = lab.options();
    let strange = fs::read(lab.text("payee", "admin_macaroon")).unwrap();
    options.macaroon = Macaroon::parse(&strange).unwrap();
    let refused = LndNode::new(options).unwrap().introduce().await;
    eprintln!("{refused:?}");
    assert!(matches!(refused, Err(NodeError::Refused(_))), "{refused:?}");

    let mut options = lab.options();
    options.network = Network::Bitcoin;
    let refused = LndNode::new(options).unwrap().introduce().await;
    assert!(matches!(refused, Err(NodeError::WrongNetwork { .. })), "{refused:?}");
}
