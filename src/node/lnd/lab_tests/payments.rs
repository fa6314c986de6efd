//! Sends and lookups.

use futures_util::StreamExt;

use super::{super::LndNode, Lab, last, now, send};
use crate::{
    domain::{FailureReason, Millis, PaymentHash, Timestamp, payment::RecordState},
    ports::{LightningNode, NodeError, SendOrder, SendUpdate, WitnessKeys, WitnessOrder},
    runtime::{Clock, SystemClock},
};

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
async fn a_late_send_is_refused_and_not_stored() {
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
async fn no_route_is_a_failure_and_can_be_sent_again() {
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
async fn a_self_payment_is_refused_and_not_stored() {
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

    let calls = ["lnrpc.Lightning/GetInfo", "lnrpc.Lightning/ListChannels"];
    let calls = [&calls[..], &["routerrpc.Router/TrackPaymentV2"]].concat();
    let all = [&calls[..], &["lnrpc.Lightning/PendingChannels"]].concat();
    let (permitted, unpermitted) = (lab.permitted(&all), lab.permitted(&calls));
    // The HTLC reaches the payee a moment after lnd has reported it.
    let accepted = || lab.lncli("payee", &["lookupinvoice", &hash])["state"] == "ACCEPTED";
    assert!((0..500).any(|_| accepted()));
    assert!(permitted.has_htlc(order.payment_hash).await.unwrap());
    let refused = unpermitted.has_htlc(order.payment_hash).await;
    assert!(matches!(refused, Err(NodeError::NotPermitted("PendingChannels"))), "{refused:?}");
    lab.lncli("payee", &["settleinvoice", &hex::encode(preimage.as_bytes())]);
    let rest: Vec<_> = updates.collect().await;
    assert!(
        matches!(last(&rest), RecordState::Succeeded { preimage: shown, .. } if shown == preimage)
    );
    // It leaves the commitment a moment after the preimage has arrived.
    let mut in_flight = true;
    for _ in 0..500 {
        in_flight = in_flight && permitted.has_htlc(order.payment_hash).await.unwrap();
    }
    assert!(!in_flight);
}

/// It shows that lnd stores payments. It fails, and no money can move.
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
