//! Payments from the claim to their end: what the wallet is answered, what the node does, what is recorded.

use withdrawd::{
    domain::{FailureReason, Millis},
    pb::{payment::State, withdraw::Status},
};

use crate::{
    bench::node::OnSend,
    bench::{Bench, on_every_store, reason, store_kinds},
};

/// The main job.
#[tokio::test]
async fn a_claimed_request_is_paid_once_and_says_so() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 20).await;
        let offer = bench.offer(&withdraw).await;
        assert_eq!(offer["tag"], "withdrawRequest");
        assert_eq!(
            (&offer["minWithdrawable"], &offer["maxWithdrawable"]),
            (&10_000.into(), &20_000.into())
        );

        let invoice = bench.invoice(15);
        bench.claim_ok(&withdraw, &invoice).await;
        bench.run_payer().await;

        let paid = bench.get(&withdraw.id).await;
        assert_eq!(paid.status(), Status::Paid);
        let payment = paid.payment.unwrap();
        assert_eq!((payment.state(), payment.amount_msat), (State::Paid, 15_000));
        assert_eq!((payment.invoice.as_str(), payment.fee_msat), (invoice.as_str(), Some(1)));
        assert_eq!(bench.node.settled(), 1);
        assert_eq!(bench.events_of(&withdraw.id).await, ["created", "claimed", "paid"]);
        // A phone that taps again is told the same, and nothing moves.
        bench.claim_ok(&withdraw, &invoice).await;
        let other = bench.claim(&withdraw, &bench.invoice(15)).await;
        assert_eq!(reason(&other), "this withdrawal has already been paid");
        bench.run_payer().await;
        assert_eq!(bench.node.settled(), 1);
    })
    .await;
}

/// The node pays but its answer is lost, the classic window for a double payment. The next lookup
/// must learn the outcome by asking, not by sending again.
#[tokio::test]
async fn a_lost_answer_is_looked_up_not_paid_again() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::PayAndLoseAnswer]);
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        assert_eq!(bench.get(&withdraw.id).await.payment.unwrap().state(), State::Sending);
        let other = bench.claim(&withdraw, &bench.invoice(10)).await;
        assert!(reason(&other).contains("being paid"), "{other}");

        bench.run_payer_after(Millis::from_secs(2)).await;

        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
        assert_eq!((bench.node.settled(), bench.node.sends().len()), (1, 1));
        assert_eq!(bench.events_of(&withdraw.id).await, ["created", "claimed", "paid"]);
    })
    .await;
}

/// A definite failure reopens the request at once, for another invoice.
#[tokio::test]
async fn a_definite_failure_reopens_the_request() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        let unlucky = bench.invoice(10);
        bench.node.on_next_sends([OnSend::Fail(FailureReason::NoRoute)]);
        bench.claim_ok(&withdraw, &unlucky).await;
        bench.run_payer().await;

        let failed = bench.get(&withdraw.id).await;
        assert!(failed.claimable);
        assert_eq!(failed.payment.unwrap().failure_reason().as_str_name(), "NO_ROUTE");
        let again = bench.claim(&withdraw, &unlucky).await;
        assert_eq!(reason(&again), "this invoice was already used, please make a new one");

        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
        assert_eq!(
            bench.events_of(&withdraw.id).await,
            ["created", "claimed", "payment_failed", "claimed", "paid"]
        );
    })
    .await;
}

/// A failure whose own answer was lost waits until no send can arrive any more.
#[tokio::test]
async fn a_failure_seen_by_look_up_closes_only_when_every_send_is_over() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::FailAndLoseAnswer(FailureReason::NoRoute)]);
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.run_payer_after(Millis::from_secs(10)).await;
        let noted = bench.get(&withdraw.id).await;
        assert_eq!((noted.claimable, noted.payment.unwrap().state()), (false, State::Sending));

        // send_life 15 s, clock_skew 5 s, node_slack 60 s.
        bench.run_payer_after(Millis::from_secs(69)).await;
        assert!(!bench.get(&withdraw.id).await.claimable);
        // And until the node has shown that it holds none: a write witness.
        bench.run_payer_after(Millis::from_secs(30)).await;
        assert!(!bench.get(&withdraw.id).await.claimable);
        assert_eq!(bench.node.witnesses(), 1);
        bench.run_payer_after(Millis::from_secs(60)).await;

        assert!(bench.get(&withdraw.id).await.claimable);
        assert_eq!((bench.node.settled(), bench.node.witnesses()), (0, 1));
    })
    .await;
}

/// A request that was lost on its way is sent again, with the same invoice, once it is over.
#[tokio::test]
async fn a_lost_request_is_repeated_with_the_same_invoice() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::LoseRequest]);
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.run_payer_after(Millis::from_secs(60)).await;
        assert!(bench.node.sends().is_empty(), "sent again while the first may still arrive");

        bench.run_payer_after(Millis::from_secs(60)).await;

        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
        assert_eq!(bench.node.settled(), 1);
    })
    .await;
}

/// An invoice that the node refuses each time is given up after three errors, and nothing is paid.
#[tokio::test]
async fn a_node_that_refuses_each_time_is_asked_three_times() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::Refuse, OnSend::Refuse, OnSend::Refuse]);
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        for _ in 0..15 {
            bench.run_payer_after(Millis::from_secs(45)).await;
        }
        let refused = bench.get(&withdraw.id).await;
        assert_eq!(
            refused.payment.as_ref().unwrap().failure_reason().as_str_name(),
            "NODE_REFUSED"
        );
        assert_eq!((bench.node.sends().len(), bench.node.settled()), (3, 0));
        // The request itself expired meanwhile, but the failure gives it ten more minutes.
        assert!(refused.claimable, "{:?}", refused.unclaimable_reason());
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
    })
    .await;
}

/// A hold invoice stays in flight for days, through expiry and restarts, and is then paid.
#[tokio::test]
async fn a_held_payment_never_times_out() {
    on_every_store(async |mut bench| {
        let withdraw = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::Hold]);
        let invoice = bench.invoice(10);
        bench.claim_ok(&withdraw, &invoice).await;
        bench.run_payer_until(&withdraw.id, State::InFlight).await;
        bench.clock.advance(Millis::from_secs(3 * 24 * 3600));
        bench.run_payer().await;
        bench.crash_and_restart().await;
        bench.node.restart();
        bench.clock.advance(Millis::from_secs(600));
        bench.run_payer().await;

        let held = bench.get(&withdraw.id).await;
        assert_eq!(held.payment.unwrap().state(), State::InFlight);
        assert!(!held.claimable);
        bench.claim_ok(&withdraw, &invoice).await;

        bench.node.release(true);
        bench.run_payer_after(Millis::from_secs(600)).await;
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
        assert_eq!(bench.node.settled(), 1);
    })
    .await;
}

/// A node that cannot be reached is not a failure: the claim waits for it.
#[tokio::test]
async fn an_unreachable_node_delays_and_loses_nothing() {
    on_every_store(async |bench| {
        bench.node.unreachable.store(true, std::sync::atomic::Ordering::SeqCst);
        let withdraw = bench.create(10, 10).await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.run_payer_after(Millis::from_secs(300)).await;
        assert_eq!(bench.get(&withdraw.id).await.payment.unwrap().state(), State::Reserved);

        bench.node.unreachable.store(false, std::sync::atomic::Ordering::SeqCst);
        bench.run_payer_after(Millis::from_secs(60)).await;
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
    })
    .await;
}

/// Held invoices are no longer among those that are sent: they hold up nobody.
#[tokio::test]
async fn held_payments_hold_up_nobody() {
    for kind in store_kinds() {
        let bench = Bench::with(kind, &[("payments.max_sending", "2")]).await;
        bench.node.on_next_sends([OnSend::Hold, OnSend::Hold]);
        let mut held = Vec::new();
        for _ in 0..2 {
            let withdraw = bench.create(10, 10).await;
            bench.claim_ok(&withdraw, &bench.invoice(10)).await;
            bench.run_payer_until(&withdraw.id, State::InFlight).await;
            held.push(withdraw);
        }
        let waiting = bench.create(10, 10).await;
        bench.claim_ok(&waiting, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.until(&waiting.id, |withdraw| withdraw.status() == Status::Paid).await;
        bench.node.release(true);
        for withdraw in held {
            bench.until(&withdraw.id, |withdraw| withdraw.status() == Status::Paid).await;
        }
    }
}
