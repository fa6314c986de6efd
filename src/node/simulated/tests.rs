//! The simulated node's health and list of payments.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::domain::Millis;

struct SetClock(AtomicI64);

#[async_trait]
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Millis {
        Millis::ZERO
    }

    async fn sleep(&self, _span: Millis) {}
}

/// An order with an invalid invoice: it fails, and is kept like any other.
fn order(byte: u8) -> SendOrder {
    SendOrder {
        node: identity(),
        connection: CONNECTION,
        invoice: format!("invoice {byte}"),
        payment_hash: PaymentHash::from_bytes([byte; 32]),
        amount: Msat::new(1_000).unwrap(),
        fee_limit: Msat::new(0).unwrap(),
        send_deadline: Timestamp::MAX,
    }
}

#[tokio::test]
async fn payments_are_listed_in_order_and_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(SetClock(AtomicI64::new(0)));
    let node = SimulatedNode::open(dir.path(), Arc::clone(&clock) as Arc<dyn Clock>).unwrap();
    // The first is sent again, and moves to the end.
    for (at, byte) in [(10, 1), (20, 2), (30, 3), (40, 1), (50, 4)] {
        clock.0.store(at, Ordering::SeqCst);
        drop(node.send(order(byte)).await);
    }
    let query = |after_index, limit| PaymentsQuery {
        created_from: Timestamp::from_ms(20),
        created_to: Timestamp::from_ms(40),
        after_index,
        limit,
    };
    let mut listed = Vec::new();
    let mut after_index = 0;
    loop {
        let page = node.payments(query(after_index, 2)).await.unwrap();
        assert_eq!((page.node, page.connection), (identity(), CONNECTION));
        let Some(last) = page.payments.last() else { break };
        after_index = last.index;
        listed.extend(page.payments.into_iter().map(|payment| (payment.index, payment.invoice)));
    }
    let expected = [(2, "invoice 2"), (3, "invoice 3"), (4, "invoice 1")];
    assert_eq!(listed, expected.map(|(index, invoice)| (index, invoice.to_owned())));
}

#[tokio::test]
async fn it_can_send_any_amount() {
    let dir = tempfile::tempdir().unwrap();
    let node = SimulatedNode::open(dir.path(), Arc::new(SetClock(AtomicI64::new(0)))).unwrap();
    let health = node.health().await.unwrap();
    assert_eq!((health.can_send, health.synced), (Msat::MAX, true));
    assert_eq!(health.introduction, node.introduce().await.unwrap());
}
