//! Histories that once paid twice, lost a claim, or let a stranger do harm.

use crate::bench::postgres_options;
use std::{io::ErrorKind::WouldBlock, sync::atomic::Ordering};

use withdrawd::{
    config::Config,
    domain::{FailureReason, Millis, Msat, Preimage, payment::RecordState},
    pb::{payment::State, withdraw::Status},
};

use crate::{
    bench::http,
    bench::invoices::hash_of,
    bench::node::OnSend,
    bench::{Bench, StoreKind, on_every_store, reason, store_kinds},
};

const MINUTE: Millis = Millis::from_secs(60);

fn paid(invoice: &str) -> RecordState {
    let parsed = withdrawd::domain::invoice::parse(invoice).unwrap();
    let preimage: Preimage =
        withdrawd::node::simulated::preimage_of(&parsed.payment_secret.unwrap());
    RecordState::Succeeded { preimage, fee: Msat::new(1).unwrap() }
}

/// A request made by a clock that was an hour ahead is paid now, not when that hour has come.
#[tokio::test]
async fn a_request_from_the_future_is_paid_at_once() {
    on_every_store(async |bench| {
        bench.clock.jump(Millis::from_secs(3600));
        let withdraw = bench.create(10, 10).await;
        bench.clock.jump(Millis::from_secs(-3600));
        // Until the clocks are believed again.
        bench.run_payer_after(Millis::from_secs(100)).await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer_after(Millis::from_secs(5)).await;
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
    })
    .await;
}

/// The first attempt turns out to be paid while the second one is about to be sent once more.
#[tokio::test]
async fn a_request_known_to_be_paid_is_not_sent_again() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        let (first, second) = (bench.invoice(10), bench.invoice(10));
        bench.node.on_next_sends([OnSend::Fail(FailureReason::NoRoute)]);
        bench.claim_ok(&withdraw, &first).await;
        bench.run_payer().await;
        bench.clock.advance(Millis::from_secs(590));
        bench.node.on_next_sends([OnSend::LoseRequest, OnSend::LoseRequest]);
        bench.claim_ok(&withdraw, &second).await;
        bench.run_payer().await;
        bench.node.add_foreign_payment(&first, paid(&first));
        bench.node.unreachable.store(true, Ordering::SeqCst);
        bench.run_payer_after(Millis::from_secs(3010)).await;
        bench.node.unreachable.store(false, Ordering::SeqCst);
        for _ in 0..10 {
            bench.run_payer_after(Millis::from_secs(100)).await;
        }
        let sent_second =
            bench.node.sends().iter().any(|send| send.payment_hash == hash_of(&second));
        let late = bench.events_of(&withdraw.id).await.contains(&"late_success");
        // Whichever was looked up first: once the first is known, the second is never sent.
        assert!(!(late && sent_second && bench.node.settled() > 0), "paid a second time knowingly");
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
    })
    .await;
}

/// A node wiped before any payment of it was PAID here: what was seen in flight is the witness.
#[tokio::test]
async fn a_node_wiped_before_its_first_success_is_not_believed() {
    for (kind, away) in store_kinds().into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
        let bench = Bench::new(kind).await;
        let (b, a) = (bench.create(10, 10).await, bench.create(10, 10).await);
        bench.node.on_next_sends([OnSend::PayAndLoseAnswer, OnSend::Hold]);
        bench.claim_ok(&b, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.claim_ok(&a, &bench.invoice(10)).await;
        bench.run_payer_until(&a.id, State::InFlight).await;
        bench.node.forget_all();
        bench.node.restart();
        if away {
            // Until nothing may be sent any more.
            bench.node.unreachable.store(true, Ordering::SeqCst);
            bench.run_payer_after(Millis::from_secs(3700)).await;
            bench.node.unreachable.store(false, Ordering::SeqCst);
        }
        for _ in 0..6 {
            bench.run_payer_after(MINUTE).await;
        }
        assert!(!bench.get(&b.id).await.claimable, "{kind:?}, away: {away}");
        assert_eq!(bench.claim(&b, &bench.invoice(10)).await["status"], "ERROR");
        bench.run_payer().await;
        assert_eq!(bench.node.settled(), 1, "paid twice");
    }
}

/// A wallet whose payee refuses each time cannot keep a link alive for ever.
#[tokio::test]
async fn grace_after_a_failure_ends() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        let mut claims = 0;
        for _ in 0..20 {
            bench.node.clear_on_next_sends();
            bench.node.on_next_sends([OnSend::Fail(FailureReason::IncorrectPaymentDetails)]);
            if bench.claim(&withdraw, &bench.invoice(10)).await["status"] != "OK" {
                break;
            }
            claims += 1;
            bench.run_payer().await;
            bench.clock.advance(Millis::from_secs(590));
        }
        assert!((2..=4).contains(&claims), "claimed {claims} times");
    })
    .await;
}

/// A clock that went a day ahead and back has put payments off: they are pulled in.
#[tokio::test]
async fn a_clock_that_went_ahead_and_back_delays_nothing_for_long() {
    on_every_store(async |bench| {
        bench.clock.jump(Millis::from_secs(86_400));
        bench.node.unreachable.store(true, Ordering::SeqCst);
        let withdraw = bench.create(10, 10).await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.node.unreachable.store(false, Ordering::SeqCst);
        bench.clock.jump(Millis::from_secs(-86_400));
        for _ in 0..6 {
            bench.clock.advance(Millis::from_secs(100));
            bench.mark_expired().await;
            bench.run_payer().await;
        }
        let found = bench.get(&withdraw.id).await;
        assert_eq!(found.status(), Status::Paid, "{found:?}");
    })
    .await;
}

/// An operator who names the node is not paid from another one, first start or not.
#[tokio::test]
async fn only_the_named_node_pays() {
    let named = |byte| crate::bench::node::node_id(byte).to_string();
    let stranger =
        Bench::with(StoreKind::Sqlite, &[("node.expected_identity", named(7).as_str())]).await;
    let withdraw = stranger.create(10, 10).await;
    let answer = stranger.claim(&withdraw, &stranger.invoice(10)).await;
    assert!(reason(&answer).contains("cannot pay at the moment"), "{answer}");

    let bench =
        Bench::with(StoreKind::Sqlite, &[("node.expected_identity", named(1).as_str())]).await;
    let withdraw = bench.create(10, 10).await;
    bench.node.unreachable.store(true, Ordering::SeqCst);
    bench.claim_ok(&withdraw, &bench.invoice(10)).await;
    bench.node.replace_with(7);
    bench.node.unreachable.store(false, Ordering::SeqCst);
    for _ in 0..4 {
        bench.run_payer_after(MINUTE).await;
    }
    assert!(bench.node.sends().is_empty());
    let found = bench.get(&withdraw.id).await;
    assert_eq!(found.payment.unwrap().state(), State::Reserved);
}

/// A client that pipelines requests and never reads an answer loses its place in time.
#[tokio::test]
async fn a_client_that_never_reads_does_not_keep_its_place() {
    let bench = Bench::with(StoreKind::Sqlite, &[("lnurl.max_connections", "1")]).await;
    let stream = tokio::net::TcpStream::connect(bench.lnurl()).await.unwrap();
    let requests = "GET /w/x HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2000);
    // Until the server's answers have filled every buffer and it stops to read.
    let mut idle = 0;
    while idle < 200 {
        if stream.try_write(requests.as_bytes()).is_ok() {
            idle = 0;
        } else {
            idle += 1;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
    // One minute at a time, and only while it stays: the honest one's own limits must not pass too.
    let closed = async || {
        while stream.try_write(b"G").map_or_else(|error| error.kind() == WouldBlock, |_| true) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    let mut minutes = 0;
    while tokio::time::timeout(std::time::Duration::from_secs(1), closed()).await.is_err() {
        assert!(minutes < 10, "it holds its place for ever");
        bench.clock.advance(MINUTE);
        minutes += 1;
    }
    assert_eq!(http::get(bench.lnurl(), "/w/x").await.status, 200);
}

/// Nothing prints what opens the database or a link.
#[test]
fn nothing_prints_a_password() {
    let url = "postgres://u:hunter2@h/d".to_owned();
    let config = Config::defaults(&[("store.database_url", url)]).unwrap();
    let options = postgres_options(&config, true);
    assert!(!format!("{options:?} {config:?}").contains("hunter2"));
    let withdraw = withdrawd::pb::Withdraw {
        ott: "hunter2".into(),
        withdraw_request: "hunter2".into(),
        lnurlw: "hunter2".into(),
        ..Default::default()
    };
    assert!(!format!("{withdraw:?}").contains("hunter2"));
}
