//! How long a wallet waits for its money, beside what lnd itself takes in the same run.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use withdrawd::{
    config::{Backend, Config},
    domain::{Millis, Msat, NodeId, payment::RecordState},
    node::lnd::LndNode,
    pb::withdraw::Status,
    ports::{LightningNode, SendOrder, SendUpdate},
    runtime::Runtime,
};

use crate::{
    bench::daemon::{Daemon, Home},
    bench::invoices::hash_of,
    bench::lab::Lab,
    bench::store_kinds,
};

/// The median of payments through the service, stated; the test asserts ten times as much.
const STATED: Duration = Duration::from_millis(250);
const PAYMENTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(2);

/// From the wallet's claim until `GetWithdraw` says PAID, one at a time, beside as many plain
/// payments over our own backend.
#[tokio::test]
async fn a_payment_is_not_much_slower_than_its_node() {
    let Some(lab) = Lab::open() else { return };
    let _alone = lab.lock_exclusively().await;
    let node = node(&lab);
    node.introduce().await.unwrap();
    for kind in store_kinds() {
        let service = Home::new(kind, &lab).await.start().await;
        through_service(&lab, &service).await;
        let (mut ours, mut plain) = (Vec::new(), Vec::new());
        for _ in 0..PAYMENTS {
            ours.push(through_service(&lab, &service).await);
            plain.push(straight(&lab, &node).await);
        }
        eprintln!(
            "{PAYMENTS} payments on {kind:?}: {}; straight to lnd: {}",
            figures(&mut ours),
            figures(&mut plain)
        );
        assert!(ours[PAYMENTS / 2] < 10 * STATED, "{ours:?}");
    }
}

async fn through_service(lab: &Lab, service: &Daemon) -> Duration {
    let withdraw = service.create(5).await;
    let invoice = lab.invoice("payee", 5);
    let began = Instant::now();
    service.claim_ok(&withdraw, &invoice.text).await;
    while service.get(&withdraw).await.status() != Status::Paid {
        assert!(began.elapsed() < 100 * STATED, "{}", service.log());
        tokio::time::sleep(PAUSE).await;
    }
    began.elapsed()
}

async fn straight(lab: &Lab, node: &LndNode) -> Duration {
    let invoice = lab.invoice("payee", 5);
    let began = Instant::now();
    let order = SendOrder {
        node: NodeId::parse(lab.fact("payer", "pubkey")).unwrap(),
        connection: node.introduce().await.unwrap().connection,
        payment_hash: hash_of(&invoice.text),
        invoice: invoice.text,
        amount: Msat::new(5_000).unwrap(),
        fee_limit: Msat::new(5_000).unwrap(),
        send_deadline: Runtime::system().clock.now().plus(Millis::from_secs(15)),
    };
    let updates: Vec<SendUpdate> = node.send(order).await.collect().await;
    let paid = matches!(updates.last(), Some(SendUpdate::Record(record))
        if matches!(record.state, RecordState::Succeeded { .. }));
    assert!(paid, "{updates:?}");
    began.elapsed()
}

fn node(lab: &Lab) -> LndNode {
    let endpoint = format!("https://{}", lab.fact("payer", "rpc"));
    let config = Config::defaults(&[
        ("node.backend", "lnd".to_owned()),
        ("lnd.endpoint", endpoint),
        ("lnd.macaroon", lab.fact("payer", "payer_macaroon").to_owned()),
        ("lnd.tls_cert", lab.fact("payer", "tls_cert").to_owned()),
    ]);
    let Backend::Lnd(lnd) = config.unwrap().check().unwrap().node.unwrap().backend else {
        panic!("lnd is configured");
    };
    LndNode::new(&lnd.options, None).unwrap()
}

/// Sorts, and returns the median and the slowest.
fn figures(times: &mut [Duration]) -> String {
    times.sort();
    let (median, slowest) = (times[times.len() / 2], times[times.len() - 1]);
    format!("median {median:.1?}, max {slowest:.1?}")
}
