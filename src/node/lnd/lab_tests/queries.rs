//! Health and the list of payments.

use super::{super::LndNode, Lab, now, send};
use crate::{
    domain::{FailureReason, Millis, Timestamp, payment::RecordState},
    ports::{LightningNode, NodeError, PaymentsQuery},
};

/// One satoshi more than the node can send, and lnd finds no route.
#[tokio::test]
async fn lnd_finds_a_route_for_exactly_what_it_can_send() {
    let Some(lab) = Lab::open() else { return };
    let node = lab.permitted(&["lnrpc.Lightning/GetInfo", "lnrpc.Lightning/ListChannels"]);
    let payee = lab.text("payee", "pubkey");
    let finds = |sat: i64| {
        let found = lab.try_lncli("payer", &["queryroutes", payee, &sat.to_string()]);
        found.status.success()
    };
    let mut last = String::new();
    for _ in 0..50 {
        let health = node.health().await.unwrap();
        assert_eq!(health.introduction.id.as_str(), lab.text("payer", "pubkey"));
        assert!(health.synced && health.active_channels > 0);
        let all = health.can_send.get() / 1_000;
        let (reaches, exceeds) = (finds(all), finds(all + 1));
        // An HTLC below the dust limit has no output and no weight, and yet is counted.
        let exact = health.busiest_channel_htlcs == 0;
        // Other tests pay from the same channel: a payment that failed meanwhile leaves no trace.
        let is_idle = node.health().await.unwrap() == health;
        if is_idle && reaches && !(exact && exceeds) {
            return;
        }
        last = format!("idle: {is_idle}, {health:?}: {reaches} {exceeds}");
    }
    panic!("never so, at last {last}");
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

    // One payment per page; other tests pay from the same node.
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
