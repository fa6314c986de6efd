//! Scenarios that are more than a row: lnd is another one, cannot be believed, or answers when it is
//! too late.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;
use tonic::Code;
use withdrawd::{domain::Millis, pb::Withdraw};

use super::{
    row::{EARLY, LATE, attempt_summary, refused, run_payer_times, wait_for_summary},
    test_invoice::{InvoiceUnderTest, SAT},
};
use crate::{
    bench::scripted_lnd::{
        Act, NODE, OTHER_NODE, ScriptedLnd,
        proto::lnrpc::PaymentFailureReason::FailureReasonNoRoute as NoRoute, refuse,
    },
    bench::{Bench, reason},
};

/// From a send to when it is over, and its lease has run out.
const OVER: Millis = Millis::from_secs(95);

async fn claimed(bench: &Bench, test_invoice: &InvoiceUnderTest) -> Withdraw {
    let withdraw = bench.create(SAT, SAT).await;
    bench.claim_ok(&withdraw, &test_invoice.invoice).await;
    withdraw
}

/// A claim that is not accepted, since nobody knows whether the node can pay.
async fn refused_claim(bench: &Bench, test_invoice: &InvoiceUnderTest) -> Withdraw {
    let withdraw = bench.create(SAT, SAT).await;
    let answer = bench.claim(&withdraw, &test_invoice.invoice).await;
    assert_eq!(reason(&answer), "cannot pay at the moment, please try again later");
    withdraw
}

/// Runs the payer until the attempt has this summary. A send that waits for its answer is looked up once that is overdue.
async fn run_until(bench: &Bench, lnd: &ScriptedLnd, withdraw: &Withdraw, so: &str) {
    let patience = std::time::Instant::now() + Duration::from_secs(20);
    bench.start_payer().await;
    while attempt_summary(bench, lnd, withdraw).await != so {
        let found = attempt_summary(bench, lnd, withdraw).await;
        assert!(std::time::Instant::now() < patience, "{found} instead of {so}");
        bench.clock.advance(Millis::from_ms(200));
        bench.start_payer().await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A gate that the test opens, and the act that waits before it.
fn gate() -> (Arc<Semaphore>, Act) {
    let gate = Arc::new(Semaphore::new(0));
    (Arc::clone(&gate), Act::Wait(gate))
}

/// A bench whose first send is answered so, once the gate is open; all others are refused.
async fn bench_with_late(answer: Vec<Act>) -> (ScriptedLnd, Bench, Arc<Semaphore>) {
    let lnd = ScriptedLnd::start().await;
    let (gate, wait) = gate();
    lnd.on_send([[vec![wait], answer].concat(), refuse(Code::Unknown, "x")]);
    let mut options = lnd.options();
    options.call_timeout = Duration::from_mins(2);
    let bench = Bench::on_lnd(options).await;
    (lnd, bench, gate)
}

#[tokio::test]
async fn nothing_is_sent_to_who_shows_another_certificate() {
    let (lnd, other) = (ScriptedLnd::start().await, ScriptedLnd::start().await);
    let test_invoice = InvoiceUnderTest::new();
    lnd.on_send(test_invoice.is_paid());
    let mut options = lnd.options();
    options.tls_cert_pem = Some(other.certificate_pem.into_bytes());
    let bench = Bench::on_lnd(options).await;

    let withdraw = refused_claim(&bench, &test_invoice).await;
    run_payer_times(&bench, EARLY).await;
    assert!(bench.get(&withdraw.id).await.claimable);
    assert!(lnd.calls().is_empty());
}

/// Claims are accepted, and paid, once the macaroon is taken.
#[tokio::test]
async fn a_macaroon_that_is_refused_sends_nothing_and_loses_nothing() {
    let texts = [
        "verification failed: signature mismatch after caveat verification",
        "macaroon has expired",
    ];
    for text in texts {
        let lnd = ScriptedLnd::start().await;
        let test_invoice = InvoiceUnderTest::new();
        lnd.on_send(test_invoice.is_paid());
        lnd.refuse_info(Code::Unknown, text);
        let bench = Bench::on_lnd(lnd.options()).await;

        let withdraw = refused_claim(&bench, &test_invoice).await;
        run_payer_times(&bench, EARLY).await;
        assert!(lnd.calls().iter().all(|call| call.method != "SendPaymentV2"));
        lnd.accept_info();
        bench.verify_database().await;
        bench.heartbeat().await;
        bench.claim_ok(&withdraw, &test_invoice.invoice).await;
        run_payer_times(&bench, EARLY).await;
        assert_eq!(attempt_summary(&bench, &lnd, &withdraw).await, "PAID held, sent 1");
    }
}

/// Its SUCCEEDED is worth as little as its NOT_FOUND: it is not the node that was asked.
#[tokio::test]
async fn another_identity_after_a_reconnect_is_not_believed() {
    for says_paid in [true, false] {
        let lnd = ScriptedLnd::start().await;
        let test_invoice = InvoiceUnderTest::new();
        let (gate, wait) = gate();
        lnd.on_send([vec![wait, Act::Cut]]);
        if says_paid {
            lnd.on_look_up(1, test_invoice.is_paid());
        }
        let bench = Bench::on_lnd(lnd.options()).await;
        let withdraw = claimed(&bench, &test_invoice).await;
        run_until(&bench, &lnd, &withdraw, "SENDING held, sent 1").await;

        lnd.introduce_as(OTHER_NODE, "regtest");
        gate.add_permits(1);
        run_payer_times(&bench, LATE).await;
        let doubt = "NEEDS_OPERATOR NODE_CHANGED held, sent 1";
        assert_eq!(attempt_summary(&bench, &lnd, &withdraw).await, doubt);

        // The one that was asked is back, and proves it.
        lnd.introduce_as(NODE, "regtest");
        lnd.on_look_up(1, test_invoice.is_paid());
        lnd.cut();
        run_payer_times(&bench, LATE).await;
        assert_eq!(attempt_summary(&bench, &lnd, &withdraw).await, "PAID held, sent 1");
    }
}

#[tokio::test]
async fn another_identity_before_the_first_send_is_not_asked_to_pay() {
    let lnd = ScriptedLnd::start().await;
    let test_invoice = InvoiceUnderTest::new();
    lnd.on_send(test_invoice.is_paid());
    let bench = Bench::on_lnd(lnd.options()).await;
    bench.run_payer().await;
    lnd.introduce_as(OTHER_NODE, "regtest");
    lnd.cut();

    let withdraw = claimed(&bench, &test_invoice).await;
    run_payer_times(&bench, LATE).await;
    assert_eq!(attempt_summary(&bench, &lnd, &withdraw).await, "RESERVED held, sent 0");
    lnd.introduce_as(NODE, "regtest");
    lnd.cut();
    run_payer_times(&bench, LATE).await;
    assert_eq!(attempt_summary(&bench, &lnd, &withdraw).await, "PAID held, sent 1");
}

/// The first send is answered only after its deadline, when a second one has been made.
#[tokio::test]
async fn an_answer_after_the_deadline_is_still_an_answer() {
    let test_invoice = InvoiceUnderTest::new();
    let cases = [
        // Paid is paid.
        (test_invoice.is_paid(), "PAID held, sent 2", "PAID held, sent 2"),
        // Until the second one is over, it may start the payment anew; a third may be made to see that.
        (
            test_invoice.has_failed(NoRoute),
            "SENDING held, sent 2",
            "FAILED NO_ROUTE claimable, sent ",
        ),
        (
            vec![refuse(Code::Unavailable, "x")],
            "SENDING held, sent 2",
            "FAILED NODE_REFUSED claimable, sent 4",
        ),
    ];
    for (answer, soon, end) in cases {
        let (lnd, bench, gate) = bench_with_late(answer.concat()).await;
        let withdraw = claimed(&bench, &test_invoice).await;
        run_until(&bench, &lnd, &withdraw, "SENDING held, sent 1").await;
        bench.clock.advance(OVER);
        run_until(&bench, &lnd, &withdraw, "SENDING held, sent 2").await;

        gate.add_permits(1);
        assert_eq!(wait_for_summary(&bench, &lnd, &withdraw, soon).await, soon);
        run_payer_times(&bench, LATE).await;
        let stands = attempt_summary(&bench, &lnd, &withdraw).await;
        assert!(stands.starts_with(end), "{stands} is not {end}");
    }
}

/// It was given up once its sends were over, and lnd had paid it all the same.
#[tokio::test]
async fn a_success_after_all_was_given_up_is_recorded_while_the_request_is_free() {
    let test_invoice = InvoiceUnderTest::new();
    let (lnd, bench, gate) = bench_with_late(test_invoice.is_paid().concat()).await;
    let withdraw = claimed(&bench, &test_invoice).await;
    run_until(&bench, &lnd, &withdraw, "SENDING held, sent 1").await;
    for sends in 2..=4 {
        bench.clock.advance(OVER);
        run_until(&bench, &lnd, &withdraw, &format!("SENDING held, sent {sends}")).await;
        // Time that passes before would put off the next lookup.
        refused(&bench, &withdraw, sends - 1).await;
    }
    bench.clock.advance(OVER);
    run_until(&bench, &lnd, &withdraw, "FAILED NODE_REFUSED claimable, sent 4").await;

    gate.add_permits(1);
    let paid = "PAID held, sent 4";
    assert_eq!(wait_for_summary(&bench, &lnd, &withdraw, paid).await, paid);
}
