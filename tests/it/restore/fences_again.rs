//! Fences that meet another one, end halfway, or come back: none is slipped past, and none stays.

use std::sync::atomic::Ordering::SeqCst;

use withdrawd::{
    domain::{Act, Actor, FailureReason, InstanceCommand, Millis, payment::RecordState},
    pb::{
        AcknowledgeRestoreRequest, AcknowledgeRestoreResponse, FenceRequest, GetInstanceRequest,
        Halt, ReleaseWithdrawsRequest, ResolvePaymentRequest, Withdraw,
        acknowledge_restore_request::Pair,
        instance::FenceReason,
        payment::State,
        resolve_payment_request::{self, Failed},
        withdraw::{Status, UnclaimableReason},
    },
    runtime::Clock as _,
};

use crate::{
    bench::invoices::{InvoiceDraft, hash_of},
    bench::node::OnSend,
    bench::{Bench, StoreKind, on_every_store, reason, store_kinds},
    restore::fences::{back_up, restore},
    restore::marks::instance,
};

/// How long a claim may wait to be sent.
const SEND_FOR_S: i64 = 3600;

async fn halt(bench: &Bench) -> Halt {
    let stands = bench.operations().get_instance(GetInstanceRequest {}).await.unwrap();
    stands.into_inner().halt()
}

async fn fence(bench: &Bench) {
    let request = FenceRequest { operator: "ann".into(), reason: "promoted".into() };
    bench.operations().fence(request).await.unwrap();
}

async fn acknowledge(
    bench: &Bench,
    paid: Vec<Pair>,
) -> Result<AcknowledgeRestoreResponse, tonic::Status> {
    let (operator, reason) = ("ann".into(), "restored".into());
    let request = AcknowledgeRestoreRequest { operator, reason, paid, ..Default::default() };
    bench.operations().acknowledge_restore(request).await.map(tonic::Response::into_inner)
}

async fn release_all(bench: &Bench) {
    let (operator, reason) = ("ann".into(), "checked".into());
    let request = ReleaseWithdrawsRequest { operator, reason, ids: Vec::new(), all: true };
    bench.operations().release_withdraws(request).await.unwrap();
}

fn pair(withdraw: &Withdraw, invoice: &str) -> Pair {
    Pair { withdraw_id: withdraw.id.clone(), payment_hash: hash_of(invoice).to_string() }
}

/// The process still knows the sends that were lost: an operator has looked at that, and the next
/// restart of the database is no new loss.
#[tokio::test]
async fn a_lost_send_fences_once() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.lose_sends().await;
        bench.forget_verified_server().await;
        bench.verify_database().await;
        assert_eq!(halt(&bench).await, Halt::Fenced);
        // What was sent in the same millisecond may have been sent later.
        bench.clock.advance(Millis::from_ms(1));
        acknowledge(&bench, Vec::new()).await.unwrap();

        // The second look at the same server, and the first at another one.
        bench.clock.advance(Millis::from_secs(300));
        bench.verify_database().await;
        assert_eq!(halt(&bench).await, Halt::Unspecified);
        bench.forget_verified_server().await;
        bench.verify_database().await;
        assert_eq!(halt(&bench).await, Halt::Unspecified);

        // What is sent from here on is a mark as before.
        let fresh = bench.create(10, 10).await;
        bench.claim_ok(&fresh, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.lose_sends().await;
        bench.forget_verified_server().await;
        bench.verify_database().await;
        assert_eq!(halt(&bench).await, Halt::Fenced);
    })
    .await;
}

/// A lost payment shows at the node only later; what was accepted meanwhile, since the server was verified,
/// does not hide it.
#[tokio::test]
async fn the_second_look_asks_for_as_much_as_the_first() {
    for kind in store_kinds() {
        let slack = [("payments.node_slack_ms", "300000")];
        let bench = Bench::with(kind, &slack).await;
        let early = bench.create(10, 10).await;
        bench.claim_ok(&early, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.forget_verified_server().await;
        bench.verify_database().await;
        assert_eq!(halt(&bench).await, Halt::Unspecified);
        bench.clock.advance(Millis::from_secs(20));
        bench.node.add_foreign_payment(&bench.invoice(10), RecordState::InFlight);
        bench.clock.advance(Millis::from_secs(280));
        let late = bench.create(10, 10).await;
        bench.claim_ok(&late, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.clock.advance(Millis::from_secs(60));
        bench.verify_database().await;
        assert_eq!(instance(&bench).await.fence_reason(), FenceReason::UnknownPayments);
    }
}

/// An operator was quick, and left a payment to nobody: the next verification does not ask for it again.
#[tokio::test]
async fn what_was_acknowledged_before_the_second_look_does_not_fence_again() {
    on_every_store(async |bench| {
        bench.claim_ok(&bench.create(10, 10).await, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.node.add_foreign_payment(&bench.invoice(10), RecordState::InFlight);
        bench.forget_verified_server().await;
        bench.verify_database().await;
        assert_eq!(instance(&bench).await.fence_reason(), FenceReason::UnknownPayments);
        bench.clock.advance(Millis::from_secs(5));
        let done = acknowledge(&bench, Vec::new()).await.unwrap();
        assert_eq!(done.unknown.len(), 1);
        bench.clock.advance(Millis::from_secs(300));
        bench.verify_database().await;
        assert_eq!(halt(&bench).await, Halt::Unspecified);
    })
    .await;
}

/// A machine that was put back to a snapshot is no new server by its name. Whoever hears of the fence takes
/// what the database has for what it came with.
#[tokio::test]
async fn a_fence_makes_every_process_meet_its_server_anew() {
    on_every_store(async |bench| {
        bench.claim_ok(&bench.create(10, 10).await, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.verify_database().await;
        let over_at =
            |bench: &Bench| bench.store().registered_server().unwrap().1.map(|it| it.over_at);
        let before = over_at(&bench);
        bench.clock.advance(Millis::from_secs(60));
        bench.verify_database().await;
        assert_eq!(over_at(&bench), before);
        fence(&bench).await;
        bench.verify_database().await;
        assert!(over_at(&bench) > before, "{before:?}");
        let then = over_at(&bench);
        bench.clock.advance(Millis::from_secs(60));
        bench.verify_database().await;
        assert_eq!(over_at(&bench), then, "once");
    })
    .await;
}

/// The second pair has a typo: the first is not put back either, so that the operator knows what stands.
#[tokio::test]
async fn a_mistake_in_one_pair_changes_nothing() {
    let mut bench = Bench::new(StoreKind::Sqlite).await;
    let (one, two) = (bench.create(10, 10).await, bench.create(10, 10).await);
    let backup = back_up(&mut bench).await;
    let (first, second) = (bench.invoice(10), bench.invoice(10));
    for (withdraw, invoice) in [(&one, &first), (&two, &second)] {
        bench.claim_ok(withdraw, invoice).await;
        bench.run_payer().await;
    }
    bench.clock.advance(Millis::from_secs(3600));
    restore(&mut bench, backup).await;

    let typo = pair(&two, &bench.invoice(10));
    let twice = vec![pair(&one, &first), pair(&two, &first)];
    for mistake in [vec![pair(&one, &first), typo], twice] {
        acknowledge(&bench, mistake).await.unwrap_err();
        assert_eq!(halt(&bench).await, Halt::Fenced);
        assert_eq!(bench.get(&one.id).await.status(), Status::Active);
    }
    let both = vec![pair(&one, &first), pair(&two, &second)];
    let done = acknowledge(&bench, both).await.unwrap();
    assert_eq!((done.unknown.len(), done.withheld), (0, 0));
    for withdraw in [&one, &two] {
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
    }
}

/// The backup was made while the instance was fenced. What was created during that fence was paid after
/// it, and is held by the new one.
#[tokio::test]
async fn a_loss_that_is_found_during_a_fence_holds_what_was_created_during_it() {
    let mut bench = Bench::new(StoreKind::Sqlite).await;
    fence(&bench).await;
    bench.clock.advance(Millis::from_secs(60));
    let withdraw = bench.create(10, 10).await;
    let backup = back_up(&mut bench).await;
    acknowledge(&bench, Vec::new()).await.unwrap();
    release_all(&bench).await;
    bench.claim_ok(&withdraw, &bench.invoice(10)).await;
    bench.run_payer().await;
    assert_eq!(bench.node.settled(), 1);
    bench.clock.advance(Millis::from_secs(60));
    restore(&mut bench, backup).await;

    let done = acknowledge(&bench, Vec::new()).await.unwrap();
    assert_eq!((done.unknown.len(), done.withheld), (1, 1));
    let found = bench.get(&withdraw.id).await;
    assert_eq!(found.unclaimable_reason(), UnclaimableReason::NeedsOperator);
    assert!(reason(&bench.claim(&withdraw, &bench.invoice(10)).await).contains("looked into"));
    bench.run_payer().await;
    assert_eq!(bench.node.settled(), 1, "paid twice");
}

/// A process and the database die together, and the standby lacks the last commit: a send that is still on
/// its way. No process is left that knew of it.
async fn die_without_the_last_commit(bench: &mut Bench) {
    bench.crash();
    bench.sql("delete from sends").await;
    bench
        .sql("update payments set state = 'RESERVED', version = 1, tallied = 1, due_at_ms = 0")
        .await;
    // The payer of the new process would use what is left of the time to send.
    bench.clock.advance(Millis::from_secs(2));
    bench.start().await;
    bench.verify_database().await;
}

/// The claim's time to send has run out, and the node knows nothing: closed now, the request would be
/// claimed and paid beside the send that arrives a moment later.
#[tokio::test]
async fn a_send_that_was_lost_with_the_database_may_still_arrive() {
    on_every_store(async |mut bench| {
        let (one, two) = (bench.create(10, 10).await, bench.create(10, 10).await);
        let long = || InvoiceDraft { expiry_s: 86_400, ..bench.invoice_draft(10) }.build();
        let (arrives, lost) = (long(), long());
        bench.node.on_next_sends([OnSend::Delay, OnSend::Delay]);
        bench.node.unreachable.store(true, SeqCst);
        for (withdraw, invoice) in [(&one, &arrives), (&two, &lost)] {
            bench.claim_ok(withdraw, invoice).await;
        }
        bench.run_payer_after(Millis::from_secs(SEND_FOR_S - 1)).await;
        bench.node.unreachable.store(false, SeqCst);
        bench.heartbeat().await;
        bench.run_payer().await;
        die_without_the_last_commit(&mut bench).await;
        bench.heartbeat().await;
        bench.run_payer().await;
        for withdraw in [&one, &two] {
            let refused = bench.claim(withdraw, &bench.invoice(10)).await;
            assert!(reason(&refused).contains("being paid"), "{refused}");
        }

        bench.node.deliver(hash_of(&arrives));
        assert_eq!(bench.node.settled(), 1);
        // What has not arrived within 80 s, and is not held by the node, never will: a witness shows it.
        for _ in 0..3 {
            bench.run_payer_after(Millis::from_secs(120)).await;
        }
        // A doubt, since it was not known to be sent; the next lookup, by chance within these minutes, may
        // end it.
        assert_eq!(bench.events_of(&one.id).await[..3], ["created", "claimed", "needs_operator"]);
        assert!(!bench.get(&one.id).await.claimable);
        assert_eq!(bench.events_of(&two.id).await, ["created", "claimed", "payment_failed"]);
        // The same for whoever starts later: what is new is closed at once.
        bench.node.on_next_sends([OnSend::Fail(FailureReason::NoRoute)]);
        let fresh = bench.create(10, 10).await;
        bench.claim_ok(&fresh, &bench.invoice(10)).await;
        bench.run_payer().await;
        assert!(bench.get(&fresh.id).await.claimable);
    })
    .await;
}

/// lnd is gone for good, and the process was started anew since: an operator can end what it left.
#[tokio::test]
async fn a_doubt_is_ended_though_no_node_ever_answers_again() {
    on_every_store(async |mut bench| {
        bench.node.on_next_sends([OnSend::PayWithWrongPreimage]);
        let withdraw = bench.create(10, 10).await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
        let payment = bench.get(&withdraw.id).await.payment.unwrap();
        assert_eq!(payment.state(), State::NeedsOperator);
        bench.sql("update payments set trace_parent = '01-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01'").await;

        bench.node.unreachable.store(true, SeqCst);
        bench.crash_and_restart().await;
        let resolve = async || {
            let request = ResolvePaymentRequest {
                id: payment.id.clone(),
                outcome: Some(resolve_payment_request::Outcome::Failed(Failed {})),
                confirm_node_unreachable: true,
                confirm_payee_unpaid: true,
                confirm_stranded: false,
                operator: "ann".into(),
                reason: "its channels are closed".into(),
            };
            bench.payments().resolve_payment(request).await
        };
        // A send that the database has lost may be on its way for a while.
        assert_eq!(resolve().await.unwrap_err().code(), tonic::Code::FailedPrecondition);
        bench.clock.advance(Millis::from_secs(120));
        assert_eq!(resolve().await.unwrap().into_inner().state(), State::Failed);
    })
    .await;
}

/// A replica whose clock is ahead made it, and paid it; the one that fences has the right time.
#[tokio::test]
async fn a_request_of_a_clock_that_is_ahead_is_withheld_too() {
    on_every_store(async |bench| {
        bench.clock.jump(Millis::from_secs(4));
        let withdraw = bench.create(10, 10).await;
        bench.clock.jump(Millis::from_secs(-4));
        fence(&bench).await;
        let done = acknowledge(&bench, Vec::new()).await.unwrap();
        assert_eq!(done.withheld, 1);
        let found = bench.get(&withdraw.id).await;
        assert_eq!(found.unclaimable_reason(), UnclaimableReason::NeedsOperator);
    })
    .await;
}

/// Another replica finds a loss while an operator acknowledges: the acknowledgement was about what was lost
/// before.
#[tokio::test]
async fn an_acknowledgement_does_not_end_a_later_fence() {
    on_every_store(async |bench| {
        let seen = bench.clock.now();
        fence(&bench).await;
        bench.clock.advance(Millis::from_secs(1));
        fence(&bench).await;
        let at = bench.clock.now();
        let act = Act { by: Actor::unnamed("ann", "restored"), at };
        let store = bench.store();
        let ended = bench.inside(async move {
            store.execute_command(&InstanceCommand::Acknowledge(seen, act)).await
        });
        assert!(!ended.await.unwrap());
        assert_eq!(halt(&bench).await, Halt::Fenced);
        acknowledge(&bench, Vec::new()).await.unwrap();
        assert_eq!(halt(&bench).await, Halt::Unspecified);
    })
    .await;
}

/// The wallet was told OK: a typo of an operator takes nothing back.
#[tokio::test]
async fn a_pair_that_does_not_fit_gives_no_claim_up() {
    on_every_store(async |bench| {
        let waiting = bench.create(5, 5).await;
        bench.node.unreachable.store(true, SeqCst);
        bench.claim_ok(&waiting, &bench.invoice(5)).await;
        fence(&bench).await;
        let hanging = bench.invoice(10);
        bench.node.add_foreign_payment(&hanging, RecordState::InFlight);
        bench.node.unreachable.store(false, SeqCst);

        acknowledge(&bench, vec![pair(&waiting, &hanging)]).await.unwrap_err();
        let payment = bench.get(&waiting.id).await.payment.unwrap();
        assert_eq!(payment.state(), State::Reserved);
        acknowledge(&bench, Vec::new()).await.unwrap();
        release_all(&bench).await;
        bench.run_payer_after(Millis::from_secs(60)).await;
        assert_eq!(bench.get(&waiting.id).await.status(), Status::Paid);
    })
    .await;
}
