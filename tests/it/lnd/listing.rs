//! What the node can do, and what it has paid, as a scripted lnd lists it.

use tonic::Code;
use withdrawd::{
    domain::{Msat, Timestamp, payment::RecordState},
    ports::{Connection, LightningNode, NodeError, PaymentsQuery},
};

use crate::bench::scripted_lnd::{
    NODE, OTHER_NODE, ScriptedLnd, macaroon,
    proto::lnrpc::{Channel, ChannelConstraints, Htlc, Payment, payment::PaymentStatus},
};

fn channel(local_balance: i64, reserve_sat: u64) -> Channel {
    Channel {
        active: true,
        local_balance,
        local_constraints: Some(ChannelConstraints { chan_reserve_sat: reserve_sat }),
        ..Channel::default()
    }
}

fn htlc(incoming: bool) -> Htlc {
    Htlc { incoming, ..Htlc::default() }
}

fn with_htlcs(incoming: usize, outgoing: usize) -> Channel {
    let htlcs = [vec![htlc(true); incoming], vec![htlc(false); outgoing]];
    Channel { pending_htlcs: htlcs.concat(), ..channel(0, 0) }
}

/// Of this index, made at this time.
fn listed(index: u64, created_ms: i64) -> Payment {
    Payment {
        payment_hash: hex::encode([1; 32]),
        value_msat: 21_000,
        payment_request: "lnbcrt210n1…".to_owned(),
        status: PaymentStatus::InFlight.into(),
        creation_time_ns: created_ms * 1_000_000,
        payment_index: index,
        ..Payment::default()
    }
}

fn between(from_ms: i64, to_ms: i64) -> PaymentsQuery {
    PaymentsQuery {
        created_from: Timestamp::from_ms(from_ms),
        created_to: Timestamp::from_ms(to_ms),
        after_index: 0,
        limit: 100,
    }
}

async fn indices(lnd: &ScriptedLnd, query: PaymentsQuery) -> Vec<u64> {
    let page = lnd.client().payments(query).await.unwrap();
    page.payments.iter().map(|payment| payment.index).collect()
}

#[tokio::test]
async fn what_can_be_sent_is_what_the_reserves_leave() {
    let lnd = ScriptedLnd::start().await;
    let node = lnd.client();
    // The second is below its reserve: that takes nothing from the others.
    lnd.report_health(
        true,
        vec![channel(1_000_000, 10_000), channel(5_000, 10_000), channel(7, 0)],
    );
    let health = node.health().await.unwrap();
    assert_eq!(health.can_send, Msat::new(990_007_000).unwrap());
    assert_eq!((health.synced, health.active_channels), (true, 3));
    assert_eq!(health.introduction.id.as_str(), NODE);
    assert_eq!(health.introduction.connection, Connection(1));

    // An old lnd has the reserve in another field, and this one still follows the chain.
    let old = Channel { local_chan_reserve_sat: 400, local_constraints: None, ..channel(1_000, 0) };
    lnd.report_health(false, vec![old]);
    let health = node.health().await.unwrap();
    assert_eq!(health.can_send, Msat::new(600_000).unwrap());
    assert!(!health.synced);

    lnd.report_health(true, Vec::new());
    let health = node.health().await.unwrap();
    assert_eq!((health.can_send, health.active_channels), (Msat::new(0).unwrap(), 0));
    assert_eq!(health.busiest_channel_htlcs, 0);
}

/// As BOLT 2 has it: two HTLCs more at twice the rate, less what today's commitment pays already.
#[tokio::test]
async fn who_opened_a_channel_keeps_back_what_the_next_commitments_cost() {
    let lnd = ScriptedLnd::start().await;
    let opened = Channel { initiator: true, fee_per_kw: 2_500, ..channel(100_000, 1_000) };
    lnd.report_health(true, vec![opened]);
    let can_send = lnd.client().health().await.unwrap().can_send;
    let (today, next) = (1_124 * 2_500 / 1_000, (1_124 + 2 * 172) * 5_000 / 1_000);
    assert_eq!(can_send.get(), (100_000 - 1_000 - (next - today)) * 1_000);
}

#[tokio::test]
async fn the_busiest_channel_is_the_one_with_most_htlcs_of_our_own() {
    let lnd = ScriptedLnd::start().await;
    lnd.report_health(true, vec![with_htlcs(9, 2), with_htlcs(0, 5), with_htlcs(3, 4)]);
    assert_eq!(lnd.client().health().await.unwrap().busiest_channel_htlcs, 5);
}

#[tokio::test]
async fn numbers_without_sense_do_not_overflow() {
    let lnd = ScriptedLnd::start().await;
    let huge = Channel { initiator: true, fee_per_kw: i64::MAX, ..channel(i64::MAX, u64::MAX) };
    lnd.report_health(
        true,
        vec![channel(i64::MAX, 0), channel(i64::MAX, 0), channel(i64::MIN, 1), huge],
    );
    assert_eq!(lnd.client().health().await.unwrap().can_send, Msat::MAX);
}

#[tokio::test]
async fn another_identity_on_the_same_connection_is_an_error() {
    let lnd = ScriptedLnd::start().await;
    let node = lnd.client();
    node.introduce().await.unwrap();
    lnd.introduce_as(OTHER_NODE, "regtest");
    let health = node.health().await;
    assert!(matches!(health, Err(NodeError::OtherNode { .. })), "{health:?}");
}

#[tokio::test]
async fn payments_are_listed_with_what_is_known_of_them() {
    let lnd = ScriptedLnd::start().await;
    lnd.lists([vec![listed(7, 1_500), listed(9, 2_000)]]);
    let query = PaymentsQuery { after_index: 6, limit: 2, ..between(1_500, 2_000) };
    let page = lnd.client().payments(query).await.unwrap();

    assert_eq!(page.node.as_str(), NODE);
    assert_eq!(page.connection, Connection(1));
    let [first, second] = &page.payments[..] else { panic!("{page:?}") };
    assert_eq!((first.index, second.index), (7, 9));
    assert_eq!(first.invoice, "lnbcrt210n1…");
    assert_eq!(first.record.amount, Msat::new(21_000).unwrap());
    assert_eq!(first.record.created, Timestamp::from_ms(1_500));
    assert_eq!(first.record.state, RecordState::InFlight);

    let calls = lnd.calls();
    let methods: Vec<_> = calls.iter().map(|call| call.method.as_str()).collect();
    assert_eq!(methods, ["GetInfo", "ListPayments"]);
    assert_eq!(calls[1].macaroon, macaroon().expose_hex());
    let asked = calls[1].list.unwrap();
    assert!(asked.include_incomplete && asked.omit_hops);
    assert_eq!((asked.index_offset, asked.max_payments), (6, 2));
    assert_eq!((asked.creation_date_start, asked.creation_date_end), (1, 3));
}

/// lnd counts in seconds, and takes no span of one.
#[tokio::test]
async fn the_bounds_are_to_the_millisecond_and_included() {
    let lnd = ScriptedLnd::start().await;
    let listing = [(1, 4_999), (2, 5_000), (3, 5_001), (4, 5_002)];
    lnd.lists([listing.map(|(index, ms)| listed(index, ms)).to_vec()]);
    assert_eq!(indices(&lnd, between(5_000, 5_001)).await, [2, 3]);
    let asked = lnd.calls()[1].list.unwrap();
    assert_eq!((asked.creation_date_start, asked.creation_date_end), (5, 6));

    assert!(indices(&lnd, between(5_001, 5_000)).await.is_empty());
}

/// An empty page means the end to who asks, so a page of which nothing is left is not shown.
#[tokio::test]
async fn a_page_outside_of_the_bounds_is_not_the_last() {
    let lnd = ScriptedLnd::start().await;
    let pages = [vec![listed(1, 5_999), listed(4, 5_998)], vec![listed(5, 5_000)], Vec::new()];
    lnd.lists(pages);
    assert_eq!(indices(&lnd, between(5_000, 5_100)).await, [5]);
    let offsets: Vec<_> = lnd.calls()[1..].iter().map(|c| c.list.unwrap().index_offset).collect();
    assert_eq!(offsets, [0, 4]);

    let end = PaymentsQuery { after_index: 5, ..between(5_000, 5_100) };
    assert!(indices(&lnd, end).await.is_empty());
}

#[tokio::test]
async fn a_payment_without_a_time_is_listed_rather_than_left_out() {
    let lnd = ScriptedLnd::start().await;
    lnd.lists([vec![listed(1, 0)]]);
    assert_eq!(indices(&lnd, between(5_000, 6_000)).await, [1]);
}

#[tokio::test]
async fn a_list_that_is_not_understood_is_no_list() {
    let lnd = ScriptedLnd::start().await;
    let node = lnd.client();
    let newer = Payment { status: 9, ..listed(2, 5_000) };
    lnd.lists([vec![listed(1, 5_000), newer]]);
    let page = node.payments(between(5_000, 6_000)).await;
    assert!(matches!(page, Err(NodeError::Garbled(_))), "{page:?}");

    // It would be asked for the same page for ever.
    lnd.lists([vec![listed(3, 9_000)]]);
    let page = node.payments(PaymentsQuery { after_index: 3, ..between(5_000, 6_000) }).await;
    assert!(matches!(page, Err(NodeError::Garbled(_))), "{page:?}");
}

#[tokio::test]
async fn a_macaroon_without_the_permission_is_distinguished() {
    let lnd = ScriptedLnd::start().await;
    let node = lnd.client();
    for (code, text) in [
        (Code::Unknown, "permission denied"),
        (Code::Unknown, "verification failed: permission denied"),
        (Code::PermissionDenied, "any text"),
    ] {
        lnd.refuse_list(code, text);
        let refused = node.payments(between(0, 1)).await;
        assert!(matches!(refused, Err(NodeError::NotPermitted("ListPayments"))), "{refused:?}");
    }
    for code in [Code::Internal, Code::Unavailable, Code::Unauthenticated] {
        lnd.refuse_list(code, "permission denied");
        let refused = node.payments(between(0, 1)).await;
        assert!(matches!(refused, Err(NodeError::Refused(_))), "{refused:?}");
    }
}
