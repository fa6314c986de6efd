//! The lnd backend against a scripted lnd: what it asks, and what it makes of the answers.

use std::time::Duration;

use futures_util::StreamExt;
use tonic::Code;
use withdrawd::{
    domain::{
        FailureReason, Msat, NodeId, PaymentHash, Preimage, Timestamp,
        payment::{Record, RecordState},
    },
    node::lnd::LndNode,
    ports::{Connection, LightningNode, NodeError, SendOrder, SendUpdate},
};

use crate::bench::scripted_lnd::{
    Act, NODE, OTHER_NODE, ScriptedLnd, end, macaroon,
    proto::lnrpc::{Payment, PaymentFailureReason, payment::PaymentStatus},
    refuse, say,
};

const HASH: [u8; 32] = [1; 32];
const DEADLINE: Timestamp = Timestamp::from_ms(1_702_627_908_583);

fn order() -> SendOrder {
    SendOrder {
        node: NodeId::parse(NODE).unwrap(),
        connection: Connection(1),
        invoice: "lnbcrt210n1…".to_owned(),
        payment_hash: PaymentHash::from_bytes(HASH),
        amount: Msat::new(21_000).unwrap(),
        fee_limit: Msat::new(5_000).unwrap(),
        send_deadline: DEADLINE,
    }
}

fn payment(status: PaymentStatus) -> Payment {
    Payment {
        payment_hash: hex::encode(HASH),
        payment_preimage: hex::encode([7; 32]),
        value_msat: 21_000,
        status: status.into(),
        fee_msat: 12,
        creation_time_ns: 1_702_627_908_000_000_000,
        htlcs: Vec::new(),
        failure_reason: PaymentFailureReason::FailureReasonNone.into(),
        ..Payment::default()
    }
}

/// These messages, one after the other, and nothing more.
fn silent_after(messages: impl IntoIterator<Item = Payment>) -> Vec<Act> {
    messages.into_iter().map(|message| say(&message)).collect()
}

/// These messages, as if all had been said.
fn ended_after(messages: impl IntoIterator<Item = Payment>) -> Vec<Act> {
    let mut acts = silent_after(messages);
    acts.push(end(Code::Ok));
    acts
}

async fn send(node: &LndNode) -> Vec<SendUpdate> {
    node.send(order()).await.collect().await
}

fn state(update: &SendUpdate) -> RecordState {
    match update {
        SendUpdate::Record(record) => record.state,
        other => panic!("{other:?}"),
    }
}

/// Asks until the node is introduced on another connection than the `first`.
async fn reconnected(node: &LndNode, first: Connection) -> Result<Connection, NodeError> {
    loop {
        let connection = node.introduce().await?.connection;
        if connection != first {
            return Ok(connection);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_payment_is_streamed_until_it_is_paid() {
    let lnd = ScriptedLnd::start().await;
    let told = [PaymentStatus::Initiated, PaymentStatus::InFlight, PaymentStatus::Succeeded];
    // What comes after the end is not heard.
    lnd.on_send([silent_after(told.map(payment))]);
    let updates = send(&lnd.client()).await;

    assert_eq!(updates.len(), 3);
    assert_eq!(state(&updates[0]), RecordState::InFlight);
    assert_eq!(state(&updates[1]), RecordState::InFlight);
    let paid = RecordState::Succeeded {
        preimage: Preimage::from_bytes([7; 32]),
        fee: Msat::new(12).unwrap(),
    };
    assert_eq!(state(&updates[2]), paid);
}

#[tokio::test]
async fn a_send_says_what_was_ordered_and_lnd_refuses_it_after_its_deadline() {
    let lnd = ScriptedLnd::start().await;
    let node = lnd.client();
    lnd.on_send([ended_after([payment(PaymentStatus::Succeeded)])]);
    lnd.on_look_up(1, [ended_after([payment(PaymentStatus::Succeeded)])]);
    send(&node).await;
    node.look_up(PaymentHash::from_bytes(HASH)).await.unwrap();

    let calls = lnd.calls();
    let methods: Vec<_> = calls.iter().map(|call| call.method.as_str()).collect();
    assert_eq!(methods, ["GetInfo", "SendPaymentV2", "TrackPaymentV2"]);
    assert_eq!(calls[0].macaroon, macaroon().expose_hex());
    assert_eq!(calls[1].macaroon, macaroon().until(DEADLINE).expose_hex());
    assert_eq!(calls[2].macaroon, macaroon().expose_hex());

    let request = calls[1].send.as_ref().unwrap();
    assert_eq!(request.payment_request, order().invoice);
    assert_eq!(request.fee_limit_msat, 5_000);
    assert_eq!(request.timeout_seconds, 60);
    assert_eq!(request.cltv_limit, 1_000);
    assert_eq!(request.max_parts, 16);
    assert!(!request.cancelable && !request.no_inflight_updates);
}

#[tokio::test]
async fn a_failure_is_reported_with_its_reason() {
    let lnd = ScriptedLnd::start().await;
    let mut failed = payment(PaymentStatus::Failed);
    failed.failure_reason = PaymentFailureReason::FailureReasonNoRoute.into();
    lnd.on_send([ended_after([payment(PaymentStatus::InFlight), failed])]);

    let updates = send(&lnd.client()).await;
    assert_eq!(updates.len(), 2);
    assert_eq!(state(&updates[1]), RecordState::Failed(FailureReason::NoRoute));
}

#[tokio::test]
async fn a_look_up_takes_the_first_message() {
    let lnd = ScriptedLnd::start().await;
    let node = lnd.client();
    lnd.on_look_up(0, [silent_after([payment(PaymentStatus::InFlight)])]);
    let found = node.look_up(PaymentHash::from_bytes(HASH)).await.unwrap();

    let record = Record {
        payment_hash: PaymentHash::from_bytes(HASH),
        amount: Msat::new(21_000).unwrap(),
        created: Timestamp::from_ms(1_702_627_908_000),
        state: RecordState::InFlight,
    };
    assert_eq!(found.record, Some(record));
    assert_eq!(found.node.as_str(), NODE);
    assert_eq!(found.connection, Connection(1));
}

#[tokio::test]
async fn an_unknown_hash_is_not_found() {
    let lnd = ScriptedLnd::start().await;
    lnd.on_look_up(0, [refuse(Code::NotFound, "payment isn't initiated")]);
    let found = lnd.client().look_up(PaymentHash::from_bytes(HASH)).await;
    assert_eq!(found.unwrap().record, None);
}

#[tokio::test]
async fn a_look_up_without_an_answer_is_an_error() {
    let lnd = ScriptedLnd::start().await;
    lnd.on_look_up(0, [ended_after([])]);
    let found = lnd.client().look_up(PaymentHash::from_bytes(HASH)).await;
    assert!(matches!(found, Err(NodeError::Garbled(_))));
}

#[tokio::test]
async fn a_second_send_already_exists() {
    let lnd = ScriptedLnd::start().await;
    lnd.on_send([refuse(Code::AlreadyExists, "invoice is already paid")]);
    let updates = send(&lnd.client()).await;
    assert!(matches!(updates[..], [SendUpdate::AlreadyExists]));
}

#[tokio::test]
async fn a_refused_send_is_an_error() {
    let lnd = ScriptedLnd::start().await;
    lnd.on_send([refuse(Code::Unknown, "macaroon has expired")]);
    match &send(&lnd.client()).await[..] {
        [SendUpdate::Refused(NodeError::Refused(text))] => {
            assert_eq!(text, "Unknown: macaroon has expired");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_that_ends_too_early_is_an_error() {
    let lnd = ScriptedLnd::start().await;
    lnd.on_send([ended_after([payment(PaymentStatus::InFlight)])]);
    let updates = send(&lnd.client()).await;
    assert!(matches!(
        updates[..],
        [SendUpdate::Record(_), SendUpdate::Lost(NodeError::Garbled(_))]
    ));
}

#[tokio::test]
async fn a_stream_that_is_cut_is_an_error() {
    let lnd = ScriptedLnd::start().await;
    let node = lnd.client();
    lnd.on_send([silent_after([payment(PaymentStatus::InFlight)])]);
    let mut updates = node.send(order()).await;
    assert_eq!(state(&updates.next().await.unwrap()), RecordState::InFlight);

    lnd.cut();
    let lost = updates.next().await;
    assert!(matches!(lost, Some(SendUpdate::Lost(NodeError::Unreachable(_)))), "{lost:?}");
    assert!(updates.next().await.is_none());
}

#[tokio::test]
async fn a_message_that_is_too_long_is_an_error() {
    let lnd = ScriptedLnd::start().await;
    let mut huge = payment(PaymentStatus::Succeeded);
    huge.payment_preimage = "0".repeat(33 << 20);
    lnd.on_send([ended_after([huge])]);
    let updates = send(&lnd.client()).await;
    assert!(matches!(updates[..], [SendUpdate::Lost(_)]), "{updates:?}");
}

#[tokio::test]
async fn another_certificate_is_refused() {
    let (lnd, other) = (ScriptedLnd::start().await, ScriptedLnd::start().await);
    let mut options = lnd.options();
    options.tls_cert_pem = Some(other.certificate_pem.clone().into_bytes());
    let by_pin = LndNode::new(&options, None).unwrap();
    options.tls_cert_pem = None;
    let by_roots = LndNode::new(&options, None).unwrap();

    for node in [by_pin, by_roots] {
        let refused = node.introduce().await;
        assert!(matches!(refused, Err(NodeError::Barred(_))), "{refused:?}");
    }
    assert!(lnd.calls().is_empty());

    // One certificate of several is enough.
    let both = format!("{}{}", other.certificate_pem, lnd.certificate_pem);
    options.tls_cert_pem = Some(both.into_bytes());
    LndNode::new(&options, None).unwrap().introduce().await.unwrap();
}

#[tokio::test]
async fn nothing_is_sent_to_another_node() {
    let lnd = ScriptedLnd::start().await;
    let node = lnd.client();
    let first = node.introduce().await.unwrap().connection;
    lnd.introduce_as(OTHER_NODE, "regtest");
    lnd.cut();
    reconnected(&node, first).await.unwrap();

    match &send(&node).await[..] {
        [SendUpdate::Unsent(NodeError::OtherNode { found, expected })] => {
            assert_eq!((found.as_str(), expected.as_str()), (OTHER_NODE, NODE));
        }
        other => panic!("{other:?}"),
    }
    assert!(lnd.calls().iter().all(|call| call.method == "GetInfo"));
}

#[tokio::test]
async fn nothing_is_asked_on_another_network() {
    let lnd = ScriptedLnd::start().await;
    lnd.introduce_as(NODE, "mainnet");
    let node = lnd.client();
    match node.look_up(PaymentHash::from_bytes(HASH)).await {
        Err(NodeError::WrongNetwork { found, .. }) => assert_eq!(found, "mainnet"),
        other => panic!("{other:?}"),
    }
    let updates = send(&node).await;
    assert!(matches!(updates[..], [SendUpdate::Unsent(NodeError::WrongNetwork { .. })]));
    assert!(lnd.calls().iter().all(|call| call.method == "GetInfo"));
}

#[tokio::test]
async fn every_connection_begins_with_an_introduction() {
    let lnd = ScriptedLnd::start().await;
    let node = lnd.client();
    let mut connection = Connection(0);
    for _ in 0..3 {
        lnd.on_look_up(0, [ended_after([payment(PaymentStatus::Succeeded)])]);
        let next = reconnected(&node, connection).await.unwrap();
        assert_eq!(next, Connection(connection.0 + 1));
        let found = node.look_up(PaymentHash::from_bytes(HASH)).await.unwrap();
        assert_eq!(found.connection, next);
        connection = next;
        lnd.cut();
    }
    let calls: Vec<_> =
        lnd.calls().into_iter().map(|call| (call.connection, call.method)).collect();
    let expected: Vec<_> = (1..=3)
        .flat_map(|connection| {
            ["GetInfo", "TrackPaymentV2"].map(|call| (connection, call.to_owned()))
        })
        .collect();
    assert_eq!(calls, expected);
}

#[tokio::test]
async fn many_callers_make_one_connection() {
    let lnd = ScriptedLnd::start().await;
    let node = lnd.client();
    let introductions = futures_util::future::join_all((0..20).map(|_| node.introduce())).await;
    assert!(introductions.into_iter().all(|i| i.unwrap().connection == Connection(1)));
    assert_eq!(lnd.calls().len(), 1);
}

#[tokio::test]
async fn many_callers_make_one_attempt_and_the_next_makes_another() {
    let lnd = ScriptedLnd::start().await;
    let locked = "wallet locked, unlock it to enable full RPC access";
    lnd.refuse_info(Code::Unknown, locked);
    let node = lnd.client();
    let refusals = futures_util::future::join_all((0..20).map(|_| node.introduce())).await;
    assert!(refusals.iter().all(|r| matches!(r, Err(NodeError::Barred(_)))));
    assert_eq!(lnd.calls().len(), 1);

    assert!(node.introduce().await.is_err());
    assert_eq!(lnd.calls().len(), 1);
}

#[tokio::test]
async fn silence_is_an_error_after_a_while_and_casts_doubt_on_the_connection() {
    let lnd = ScriptedLnd::start().await;
    let mut options = lnd.options();
    options.call_timeout = Duration::from_millis(50);
    let node = LndNode::new(&options, None).unwrap();
    lnd.on_look_up(0, [silent_after([])]);

    let silence = node.look_up(PaymentHash::from_bytes(HASH)).await;
    assert!(matches!(silence, Err(NodeError::Timeout)));
    assert_eq!(node.introduce().await.unwrap().connection, Connection(2));
}

#[tokio::test]
async fn a_node_that_is_not_there_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut options = ScriptedLnd::start().await.options();
    options.endpoint = format!("https://{address}");
    let refused = LndNode::new(&options, None).unwrap().introduce().await;
    assert!(matches!(refused, Err(NodeError::Barred(_))), "{refused:?}");
}
