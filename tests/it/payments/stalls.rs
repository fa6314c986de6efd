//! The node's database takes no writes while its reads are answered: a stuck volume, a frozen file
//! system. What it was asked to pay waits inside, with its deadline checked, and is paid when the disk
//! comes back, however late. So a send that was never answered is over only with a write witness.

use serde_json::json;
use withdrawd::{
    domain::{Millis, Timestamp, payment::Unanswered},
    pb::{
        self, Withdraw,
        payment::{FailureReason, OperatorReason, State, send::Answer},
        resolve_payment_request::{Failed, Outcome},
    },
    ports::NewWitness,
    runtime::Clock,
};

use crate::{
    bench::invoices::hash_of,
    bench::node::OnSend,
    bench::{Bench, StoreKind, on_every_store, reason},
    claims::requests::reason_of,
    operators::resolving::resolve,
};

/// From a send to when its time has passed, and its lease has run out.
const OVER: Millis = Millis::from_secs(95);
const OVERDUE: Millis = Millis::from_secs(11);
const HOUR: Millis = Millis::from_secs(3600);

/// A request whose invoice was accepted, and whose first send waits in the stalled node.
async fn stalled(bench: &Bench) -> (Withdraw, String) {
    let withdraw = bench.create(10, 10).await;
    let invoice = bench.invoice(10);
    bench.node.stall();
    bench.claim_ok(&withdraw, &invoice).await;
    let waiting = bench.node.waiting();
    bench.start_payer().await;
    until(|| bench.node.waiting() > waiting).await;
    (withdraw, invoice)
}

async fn until(so: impl Fn() -> bool) {
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !so() {
        assert!(std::time::Instant::now() < patience, "it never came to be so");
        tokio::task::yield_now().await;
    }
}

/// Time passes, and all is done that is due; what the node does not answer becomes overdue.
async fn pass(bench: &Bench, span: Millis) {
    bench.clock.advance(span);
    let mut work = std::pin::pin!(bench.run_payer());
    loop {
        tokio::select! {
            () = &mut work => return,
            () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {
                bench.clock.advance(OVERDUE);
            }
        }
    }
}

async fn payment(bench: &Bench, withdraw: &Withdraw) -> pb::Payment {
    let id = bench.get(&withdraw.id).await.payment.unwrap().id;
    let request = pb::GetPaymentRequest { id };
    bench.payments().get_payment(request).await.unwrap().into_inner()
}

async fn is_paid(bench: &Bench, withdraw: &Withdraw) {
    let paid = |withdraw: &Withdraw| {
        withdraw.payment.as_ref().is_some_and(|payment| payment.state() == State::Paid)
    };
    bench.until(&withdraw.id, paid).await;
}

/// The double payment that an attack found: after four minutes of NOT_FOUND the request reopened, a
/// second invoice was accepted, the disk came back, and both were paid.
#[tokio::test]
async fn a_node_that_stalls_is_not_paid_around() {
    on_every_store(async |bench| {
        let (withdraw, first) = stalled(&bench).await;
        for _ in 0..10 {
            pass(&bench, OVER).await;
            let second = bench.claim(&withdraw, &bench.invoice(10)).await;
            assert_eq!(reason(&second), "this withdrawal is being paid to another invoice already");
        }
        assert_eq!(payment(&bench, &withdraw).await.state(), State::Sending);

        bench.node.unstall();
        pass(&bench, OVER).await;
        is_paid(&bench, &withdraw).await;
        assert_eq!(bench.node.settled(), 1);
        assert_eq!(bench.claim(&withdraw, &first).await, json!({ "status": "OK" }));
        let again = bench.claim(&withdraw, &bench.invoice(10)).await;
        assert_eq!(reason(&again), "this withdrawal has already been paid");
    })
    .await;
}

/// The answer comes hours late, on the stream of the first send: no lookup was needed.
#[tokio::test]
async fn a_late_answer_arrives_on_the_first_sends_stream() {
    on_every_store(async |bench| {
        let (withdraw, _) = stalled(&bench).await;
        bench.clock.advance(HOUR);
        bench.node.unstall();
        is_paid(&bench, &withdraw).await;
        assert_eq!(payment(&bench, &withdraw).await.sends[0].answer(), Answer::Final);
        assert_eq!(bench.node.settled(), 1);
    })
    .await;
}

/// Nothing else is paid, and no repeat is allowed any more: the payer makes a witness of its own.
#[tokio::test]
async fn a_lost_send_is_closed_by_a_witness_that_was_made_for_it() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::LoseRequest; 50]);
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.run_payer_after(HOUR).await;
        let waiting = payment(&bench, &withdraw).await;
        assert_eq!(
            (waiting.state(), waiting.sends[0].answer()),
            (State::Sending, Answer::Unspecified)
        );
        assert_eq!(bench.node.witnesses(), 1);

        bench.run_payer_after(OVER).await;
        let closed = payment(&bench, &withdraw).await;
        assert_eq!(
            (closed.state(), closed.failure_reason()),
            (State::Failed, FailureReason::NotSent)
        );
        assert!(bench.get(&withdraw.id).await.claimable, "it reopens");
        bench.node.clear_on_next_sends();
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        assert_eq!((bench.node.settled(), bench.node.witnesses()), (1, 1));
    })
    .await;
}

/// Another request's payment, begun after the time of the first send, is a witness as well.
#[tokio::test]
async fn a_later_payment_of_another_request_is_a_witness() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench
            .node
            .on_next_sends([OnSend::FailAndLoseAnswer(withdrawd::domain::FailureReason::NoRoute)]);
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        // Paid before the time of the first has passed: no witness of it.
        let early = bench.create(10, 10).await;
        bench.claim_ok(&early, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.clock.advance(OVER);
        let late = bench.create(10, 10).await;
        bench.claim_ok(&late, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.run_payer_after(OVER).await;
        let closed = payment(&bench, &withdraw).await;
        assert_eq!(
            (closed.state(), closed.failure_reason()),
            (State::Failed, FailureReason::NoRoute)
        );
        assert!(bench.get(&withdraw.id).await.claimable);
    })
    .await;
}

/// No witness within the stated time: an operator is needed, and nothing reopens until the node stores again.
#[tokio::test]
async fn without_a_witness_an_operator_is_needed_and_nothing_reopens() {
    on_every_store(async |bench| {
        let (withdraw, _) = stalled(&bench).await;
        for _ in 0..40 {
            pass(&bench, Millis::from_secs(300)).await;
        }
        let doubt = payment(&bench, &withdraw).await;
        assert_eq!(
            (doubt.state(), doubt.operator_reason()),
            (State::NeedsOperator, OperatorReason::SendUnanswered)
        );
        assert!(!bench.get(&withdraw.id).await.claimable);
        // Not even an operator and the payee can end it while the node may still make it.
        let request = pb::ResolvePaymentRequest {
            id: doubt.id,
            operator: "ann".into(),
            reason: "asked the payee".into(),
            outcome: Some(Outcome::Failed(Failed {})),
            confirm_payee_unpaid: true,
            ..pb::ResolvePaymentRequest::default()
        };
        let refused = resolve(&bench, request).await.unwrap_err();
        assert_eq!(reason_of(&refused), "SEND_UNANSWERED");

        bench.node.unstall();
        pass(&bench, HOUR).await;
        is_paid(&bench, &withdraw).await;
        assert_eq!(bench.node.settled(), 1);
    })
    .await;
}

/// Several sends in a row without an answer: the node is healthy to look at, and does not pay.
#[tokio::test]
async fn a_node_that_answers_no_sends_gets_no_claims() {
    on_every_store(async |bench| {
        for _ in 0..3 {
            stalled(&bench).await;
        }
        bench.clock.advance(OVERDUE);
        pass(&bench, OVERDUE).await;
        bench.heartbeat().await;
        let request = pb::GetInstanceRequest::default();
        let instance = bench.operations().get_instance(request).await.unwrap().into_inner();
        assert_eq!(instance.halt(), pb::Halt::NodeNotPaying);
        let withdraw = bench.create(10, 10).await;
        let refused = bench.claim(&withdraw, &bench.invoice(10)).await;
        assert_eq!(reason(&refused), "cannot pay at the moment, please try again later");

        // It ends with the first thing that the node stores.
        bench.node.unstall();
        pass(&bench, OVER).await;
        bench.heartbeat().await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        assert_eq!(bench.node.settled(), 4);
    })
    .await;
}

/// A stall of hours leaves few calls that hang, and the first of them ends the doubt.
#[tokio::test]
async fn witnesses_that_hang_are_few() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let (withdraw, _) = stalled(&bench).await;
    let (mut most, mut passes) = (0, 0);
    while bench.node.witnesses() < 12 {
        pass(&bench, Millis::from_secs(60)).await;
        bench.heartbeat().await;
        most = most.max(bench.node.hanging_witnesses());
        passes += 1;
        assert!(passes < 2000, "{} witnesses in {passes} minutes", bench.node.witnesses());
    }
    // Eight that hang, and the one that is waited for.
    assert!((8..=9).contains(&most), "{most}");
    bench.node.unstall();
    is_paid(&bench, &withdraw).await;
}

/// One that waits for its answer keeps no other from being sent.
#[tokio::test]
async fn a_place_is_free_again_when_the_answer_is_overdue() {
    let bench =
        Bench::with(crate::bench::StoreKind::Sqlite, &[("payments.max_sending", "1")]).await;
    stalled(&bench).await;
    let second = bench.create(10, 10).await;
    bench.claim_ok(&second, &bench.invoice(10)).await;
    bench.start_payer().await;
    assert_eq!(bench.node.waiting(), 1, "there is one place");
    bench.clock.advance(OVERDUE);
    until(|| bench.node.waiting() == 1).await;
    let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while bench.node.waiting() < 2 {
        assert!(std::time::Instant::now() < patience, "the place is not free");
        bench.start_payer().await;
        tokio::task::yield_now().await;
    }
}

/// lnd issue 5152: in flight for ever, and no channel holds it. An operator may end it, once nobody can be
/// paid by it any more; should it be paid all the same, it is a late success.
#[tokio::test]
async fn what_is_stranded_in_flight_has_an_exit() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        let invoice = bench.invoice(10);
        bench.node.on_next_sends([OnSend::Hold]);
        bench.claim_ok(&withdraw, &invoice).await;
        bench.run_payer_until(&withdraw.id, State::InFlight).await;
        bench.run_payer().await;
        let id = payment(&bench, &withdraw).await.id;
        let stranded = || pb::ResolvePaymentRequest {
            id: id.clone(),
            operator: "ann".into(),
            reason: "asked the payee, looked at the channels".into(),
            outcome: Some(Outcome::Failed(Failed {})),
            confirm_payee_unpaid: true,
            confirm_stranded: true,
            ..pb::ResolvePaymentRequest::default()
        };
        let refusal = async || reason_of(&resolve(&bench, stranded()).await.unwrap_err());
        assert_eq!(refusal().await, "HTLC_HELD");
        bench.node.drop_htlc(hash_of(&invoice));
        assert_eq!(refusal().await, "INVOICE_STILL_VALID");
        bench.run_payer_after(Millis::from_secs(2 * 3600)).await;
        let without_payee = pb::ResolvePaymentRequest { confirm_payee_unpaid: false, ..stranded() };
        let asked = resolve(&bench, without_payee).await.unwrap_err();
        assert_eq!(reason_of(&asked), "CONFIRMATION_REQUIRED");

        let resolved = resolve(&bench, stranded()).await.unwrap();
        assert_eq!(resolved.state(), State::Failed);
        // Claimed and paid anew; then the stranded one pays after all.
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.node.release(true);
        bench.run_payer_after(HOUR).await;
        let request = pb::GetPaymentRequest { id };
        let late = bench.payments().get_payment(request).await.unwrap().into_inner();
        assert_eq!(late.state(), State::Failed);
        assert!(late.late_success.is_some(), "{late:?}");
    })
    .await;
}

/// A clock was ahead, and was set back: what it stamped witnesses nothing, not even once that time has
/// come, and a lease that it took keeps nobody waiting.
#[tokio::test]
async fn a_witness_from_the_future_does_not_count() {
    on_every_store(async |bench| {
        let store = bench.store();
        let node = store.current_node().await.unwrap().unwrap();
        let now = bench.clock.now();
        let new_witness = |begun_at: Timestamp| {
            let node = node.clone();
            NewWitness { node, begun_at, next_at: begun_at.plus(Millis::from_secs(10)) }
        };
        let sends = Unanswered { until: now.minus(HOUR), sequence: Some(0) };

        let ahead = now.plus(HOUR.plus(HOUR));
        store.begin_witness(&new_witness(ahead)).await.unwrap().unwrap();
        store.witnessed(&node, ahead, 0).await.unwrap();
        assert!(store.is_witnessed(&node, &sends, ahead).await.unwrap());
        assert!(!store.is_witnessed(&node, &sends, now).await.unwrap());

        store.begin_witness(&new_witness(now)).await.unwrap().unwrap();
        assert_eq!(store.begin_witness(&new_witness(now)).await.unwrap(), None);
        assert!(!store.is_witnessed(&node, &sends, ahead).await.unwrap());
        store.witnessed(&node, now, 0).await.unwrap();
        assert!(store.is_witnessed(&node, &sends, now).await.unwrap());
    })
    .await;
}
