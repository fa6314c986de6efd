//! Doubts: what the decision table does when the node contradicts itself, is another one, or has
//! lost its memory. Nothing of it may reopen a request that was or may be paid.

use withdrawd::{
    domain::{FailureReason, Millis, Msat, Preimage, payment::RecordState},
    pb::{
        Withdraw,
        payment::{OperatorReason, State},
        withdraw::Status,
    },
};

use crate::{
    bench::invoices::hash_of,
    bench::node::{OnSend, node_id},
    bench::{Bench, StoreKind, on_every_store, reason},
};

const MINUTE: Millis = Millis::from_secs(60);

fn doubt(withdraw: &Withdraw) -> OperatorReason {
    let payment = withdraw.payment.as_ref().unwrap();
    assert_eq!(payment.state(), State::NeedsOperator, "{payment:?}");
    assert!(!withdraw.claimable);
    payment.operator_reason()
}

async fn claimed(bench: &Bench, on_sends: impl IntoIterator<Item = OnSend>) -> (Withdraw, String) {
    let withdraw = bench.create(10, 10).await;
    let invoice = bench.invoice(10);
    bench.node.on_next_sends(on_sends);
    bench.claim_ok(&withdraw, &invoice).await;
    bench.run_payer().await;
    (withdraw, invoice)
}

/// A node that calls it paid and cannot prove it: an operator is needed, the proof settles it later.
#[tokio::test]
async fn a_success_without_proof_needs_an_operator() {
    on_every_store(async |bench| {
        let (withdraw, invoice) = claimed(&bench, [OnSend::PayWithWrongPreimage]).await;
        assert_eq!(doubt(&bench.get(&withdraw.id).await), OperatorReason::WrongPreimage);
        let refused = bench.claim(&withdraw, &bench.invoice(10)).await;
        assert!(reason(&refused).contains("looked into"), "{refused}");
        bench.claim_ok(&withdraw, &invoice).await;

        // A failure never closes it, a proof does.
        bench.node.add_foreign_payment(&invoice, RecordState::Failed(FailureReason::Timeout));
        bench.run_payer_after(Millis::from_secs(600)).await;
        assert_eq!(doubt(&bench.get(&withdraw.id).await), OperatorReason::WrongPreimage);
        let preimage = proof_of(&invoice);
        let paid = RecordState::Succeeded { preimage, fee: Msat::new(1).unwrap() };
        bench.node.add_foreign_payment(&invoice, paid);
        bench.run_payer_after(Millis::from_secs(600)).await;
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
        let events = bench.events_of(&withdraw.id).await;
        assert_eq!(events, ["created", "claimed", "needs_operator", "paid"]);
    })
    .await;
}

pub fn proof_of(invoice: &str) -> Preimage {
    let parsed = withdrawd::domain::invoice::parse(invoice).unwrap();
    withdrawd::node::simulated::preimage_of(&parsed.payment_secret.unwrap())
}

/// An invoice that this node paid before the request existed cannot have been ours.
#[tokio::test]
async fn an_invoice_that_the_node_paid_long_ago_is_refused_before_the_first_send() {
    on_every_store(async |bench| {
        let invoice = bench.invoice(10);
        let paid =
            RecordState::Succeeded { preimage: proof_of(&invoice), fee: Msat::new(1).unwrap() };
        bench.node.add_foreign_payment(&invoice, paid);
        bench.clock.advance(MINUTE);
        let withdraw = bench.create(10, 10).await;
        bench.claim_ok(&withdraw, &invoice).await;
        bench.run_payer().await;

        let found = bench.get(&withdraw.id).await;
        assert!(found.claimable);
        assert_eq!(found.payment.unwrap().failure_reason().as_str_name(), "INVOICE_KNOWN_TO_NODE");
        assert!(bench.node.sends().is_empty());
    })
    .await;
}

/// Known since the request was made, though nothing was sent: our own send may have been lost
/// together with a part of the database.
#[tokio::test]
async fn a_payment_that_is_known_before_its_first_send_needs_an_operator() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.clock.advance(MINUTE);
        let invoice = bench.invoice(10);
        bench.node.add_foreign_payment(&invoice, RecordState::InFlight);
        bench.claim_ok(&withdraw, &invoice).await;
        bench.run_payer().await;
        let found = bench.get(&withdraw.id).await;
        assert_eq!(doubt(&found), OperatorReason::KnownBeforeSend);

        // The proof settles it, though no send of it is stored.
        let paid =
            RecordState::Succeeded { preimage: proof_of(&invoice), fee: Msat::new(1).unwrap() };
        bench.node.add_foreign_payment(&invoice, paid);
        bench.run_payer_after(Millis::from_secs(600)).await;
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
        assert!(bench.node.sends().is_empty());
    })
    .await;
}

/// An old failure of the same invoice is no reason not to pay it.
#[tokio::test]
async fn an_older_failure_of_the_same_invoice_is_no_obstacle() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        let invoice = bench.invoice(10);
        bench.node.add_foreign_payment(&invoice, RecordState::Failed(FailureReason::NoRoute));
        bench.clock.advance(MINUTE);
        bench.claim_ok(&withdraw, &invoice).await;
        bench.run_payer().await;
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
    })
    .await;
}

/// In flight once, unknown now: it may have been paid.
#[tokio::test]
async fn a_payment_that_vanishes_needs_an_operator() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        let invoice = bench.invoice(10);
        bench.node.on_next_sends([OnSend::Hold]);
        bench.claim_ok(&withdraw, &invoice).await;
        bench.run_payer_until(&withdraw.id, State::InFlight).await;
        bench.node.forget(hash_of(&invoice));
        for _ in 0..4 {
            bench.clock.advance(MINUTE);
            bench.run_payer().await;
        }
        assert_eq!(doubt(&bench.get(&withdraw.id).await), OperatorReason::Vanished);
    })
    .await;
}

/// A node restored from a backup that knows older payments and not the newest: that one is looked up
/// first, with an older one as its witness, and nothing else is believed for it.
#[tokio::test]
async fn a_node_that_forgot_its_newest_payment_is_asked_to_pay_no_other() {
    on_every_store(async |bench| {
        claimed(&bench, []).await;
        let withdraw = bench.create(10, 10).await;
        let invoice = bench.invoice(10);
        bench.node.on_next_sends([OnSend::Hold]);
        bench.claim_ok(&withdraw, &invoice).await;
        bench.run_payer_until(&withdraw.id, State::InFlight).await;
        bench.node.forget(hash_of(&invoice));
        bench.node.restart();
        for _ in 0..4 {
            bench.run_payer_after(MINUTE).await;
        }
        assert_eq!(doubt(&bench.get(&withdraw.id).await), OperatorReason::Vanished);

        bench.heartbeat().await;
        let other = bench.create(10, 10).await;
        let refused = bench.claim(&other, &bench.invoice(10)).await;
        assert!(reason(&refused).contains("cannot pay at the moment"), "{refused}");
    })
    .await;
}

/// Another node at the same address: it is not asked to pay, and its ignorance proves nothing.
#[tokio::test]
async fn another_node_stops_payments_and_what_is_in_doubt_waits_for_an_operator() {
    on_every_store(async |mut bench| {
        let (paid, _) = claimed(&bench, []).await;
        assert_eq!(bench.get(&paid.id).await.status(), Status::Paid);
        let (doubtful, _) = claimed(&bench, [OnSend::PayAndLoseAnswer]).await;
        bench.node.replace_with(2);
        let (waiting, _) = claimed(&bench, []).await;
        for _ in 0..4 {
            bench.run_payer_after(MINUTE).await;
        }
        assert_eq!(doubt(&bench.get(&doubtful.id).await), OperatorReason::NodeChanged);
        let found = bench.get(&waiting.id).await;
        assert_eq!(found.payment.unwrap().state(), State::Reserved);
        assert_eq!(bench.node.sends().len(), 2, "the other node was asked to pay");

        // The operator names the node: what was never sent is paid by it.
        bench.config.node.expected_identity = node_id(2).to_string();
        bench.crash_and_restart().await;
        bench.run_payer_after(MINUTE).await;
        assert_eq!(bench.get(&waiting.id).await.status(), Status::Paid);
        assert_eq!(doubt(&bench.get(&doubtful.id).await), OperatorReason::NodeChanged);
    })
    .await;
}

/// A node restored from an old backup says NOT_FOUND of everything: that is not "never paid".
#[tokio::test]
async fn a_node_without_its_memory_is_not_believed() {
    on_every_store(async |bench| {
        claimed(&bench, []).await;
        let (doubtful, _) = claimed(&bench, [OnSend::PayAndLoseAnswer]).await;
        let asked = bench.node.sends().len();
        bench.node.forget_all();
        bench.node.restart();
        let (waiting, _) = claimed(&bench, []).await;
        for _ in 0..4 {
            bench.run_payer_after(MINUTE).await;
        }
        assert_eq!(doubt(&bench.get(&doubtful.id).await), OperatorReason::NodeForgot);
        let found = bench.get(&waiting.id).await;
        assert_eq!(found.payment.unwrap().state(), State::Reserved);
        assert_eq!(bench.node.sends().len(), asked, "a node without memory was asked to pay");
    })
    .await;
}

/// The node pays an attempt that was closed as failed, while the request is still free: PAID.
/// When another attempt was paid meanwhile, the late one is noted and never dropped.
#[tokio::test]
async fn a_late_success_is_never_dropped() {
    on_every_store(async |bench| {
        for claimed_again in [false, true] {
            let (withdraw, invoice) = claimed(&bench, [OnSend::Fail(FailureReason::NoRoute)]).await;
            assert!(bench.get(&withdraw.id).await.claimable);
            if claimed_again {
                bench.claim_ok(&withdraw, &bench.invoice(10)).await;
                bench.run_payer().await;
            }
            let late =
                RecordState::Succeeded { preimage: proof_of(&invoice), fee: Msat::new(1).unwrap() };
            bench.node.add_foreign_payment(&invoice, late);
            bench.run_payer_after(Millis::from_secs(3601)).await;
            // The expiry job may have changed the request at the same moment.
            bench.run_payer_after(Millis::from_secs(1)).await;

            assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
            let events = bench.events_of(&withdraw.id).await;
            let told: &[&str] = if claimed_again {
                &["created", "claimed", "payment_failed", "claimed", "paid", "late_success"]
            } else {
                &["created", "claimed", "payment_failed", "paid"]
            };
            // The expiry job may have marked it in between.
            let events: Vec<_> = events.into_iter().filter(|e| *e != "expired").collect();
            assert_eq!(events, told);
        }
    })
    .await;
}

/// Paid late while another attempt was open, which then fails: the request was paid, and must not
/// be claimed a third time.
#[tokio::test]
async fn a_late_success_settles_the_request_when_the_attempt_beside_it_fails() {
    on_every_store(async |bench| {
        let (withdraw, first) = claimed(&bench, [OnSend::Fail(FailureReason::NoRoute)]).await;
        bench.node.on_next_sends([OnSend::Hold]);
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer_until(&withdraw.id, State::InFlight).await;
        let late =
            RecordState::Succeeded { preimage: proof_of(&first), fee: Msat::new(1).unwrap() };
        bench.node.add_foreign_payment(&first, late);
        bench.run_payer_after(Millis::from_secs(3601)).await;
        assert!(bench.events_of(&withdraw.id).await.contains(&"late_success"));

        bench.node.release(false);
        bench.run_payer_after(Millis::from_secs(100)).await;
        assert!(!bench.get(&withdraw.id).await.claimable, "a request that was paid opened again");
        let refused = bench.claim(&withdraw, &bench.invoice(10)).await;
        assert_eq!(refused["status"], "ERROR");
        for _ in 0..8 {
            bench.run_payer_after(Millis::from_secs(100)).await;
        }
        let found = bench.get(&withdraw.id).await;
        assert_eq!(found.status(), Status::Paid);
        assert_eq!(found.payment.unwrap().invoice, first);
    })
    .await;
}

/// A closed attempt that a delayed send has restarted is followed for as long as it is out.
#[tokio::test]
async fn a_closed_attempt_that_is_in_flight_again_is_followed_to_its_end() {
    on_every_store(async |bench| {
        let (withdraw, invoice) = claimed(&bench, [OnSend::Fail(FailureReason::NoRoute)]).await;
        bench.node.add_foreign_payment(&invoice, RecordState::InFlight);
        for _ in 0..4 {
            bench.run_payer_after(Millis::from_secs(12 * 3600)).await;
        }
        let late =
            RecordState::Succeeded { preimage: proof_of(&invoice), fee: Msat::new(1).unwrap() };
        bench.node.add_foreign_payment(&invoice, late);
        for _ in 0..2 {
            bench.run_payer_after(Millis::from_secs(400)).await;
        }
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
    })
    .await;
}

/// While wall and monotonic clock disagree, nothing is closed or reopened.
#[tokio::test]
async fn a_clock_that_jumps_closes_nothing() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let (withdraw, _) = claimed(&bench, [OnSend::FailAndLoseAnswer(FailureReason::NoRoute)]).await;
    bench.run_payer_after(Millis::from_secs(2)).await;

    // Two hours forward, though no time has passed: the send is not over.
    bench.clock.jump(Millis::from_secs(7200));
    bench.run_payer().await;
    assert!(!bench.get(&withdraw.id).await.claimable, "closed by a clock that lies");

    // By the monotonic clock it is over after 80 s; the jump itself was never undone.
    for _ in 0..5 {
        bench.run_payer_after(Millis::from_secs(40)).await;
    }
    let found = bench.get(&withdraw.id).await;
    assert_eq!(found.payment.as_ref().unwrap().state(), State::Failed, "{found:?}");
    assert_eq!(bench.node.settled(), 0);
}

/// A node that cannot refuse late sends: the request stays closed until the invoice has expired.
#[tokio::test]
async fn without_a_deadline_at_the_node_a_request_reopens_after_the_invoice_expired() {
    on_every_store(async |bench| {
        bench.node.traits.lock().unwrap().refuses_late_sends = false;
        let withdraw = bench.create(10, 10).await;
        let mut wanted = bench.invoice_draft(10);
        wanted.expiry_s = 300;
        bench.node.on_next_sends([OnSend::Fail(FailureReason::NoRoute)]);
        bench.claim_ok(&withdraw, &wanted.build()).await;
        bench.run_payer().await;

        let found = bench.get(&withdraw.id).await;
        assert_eq!(found.unclaimable_reason().as_str_name(), "REOPENS_LATER");
        let refused = bench.claim(&withdraw, &bench.invoice(10)).await;
        assert_eq!(reason(&refused), "the last payment failed, please try again in 305 seconds");
        bench.clock.advance(Millis::from_secs(305));
        // The pass that the app runs by itself may have been faster.
        bench.mark_expired().await;
        assert_eq!(bench.events_of(&withdraw.id).await.last(), Some(&"reopened"));
        assert!(bench.get(&withdraw.id).await.claimable);
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
    })
    .await;
}

/// The node is wiped between the lookup and the send. Paying there would make the wiped node look like
/// one with its memory, and what it paid before would be paid again.
#[tokio::test]
async fn a_node_that_is_connected_anew_is_looked_up_before_it_is_sent_to() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.node.restart_before_next_send();
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        assert!(bench.node.sends().is_empty(), "nothing reached the node");
        for _ in 0..4 {
            bench.run_payer_after(Millis::from_secs(60)).await;
        }
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
        assert_eq!(bench.node.sends().len(), 1);
    })
    .await;
}
