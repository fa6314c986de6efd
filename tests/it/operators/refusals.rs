//! When the instance accepts nothing new: pauses, limits, a node that is silent or lacks the money. What
//! was accepted before goes on, and its wallet is told OK again.

use std::sync::atomic::Ordering::SeqCst;

use serde_json::{Value, json};
use withdrawd::{
    domain::{FailureReason, Millis, Msat, payment::RecordState},
    pb::{
        self, GetInstanceRequest, Halt, Instance, PauseRequest, ResumeRequest, Withdraw,
        payment::State, withdraw::Status,
    },
};

use crate::{
    bench::node::Fate,
    bench::{Bench, Kind, kinds, on_every_store, reason},
    payments::doubts::proof_of,
};

const CANNOT_PAY: &str = "cannot pay at the moment, please try again later";

async fn instance(bench: &Bench) -> Instance {
    bench.operations().get_instance(GetInstanceRequest {}).await.unwrap().into_inner()
}

async fn pause(bench: &Bench) -> Instance {
    let request = PauseRequest { operator: "ann".into(), reason: "audit".into() };
    bench.operations().pause(request).await.unwrap().into_inner()
}

async fn resume(bench: &Bench) -> Instance {
    let request = ResumeRequest { operator: "bob".into(), reason: "done".into() };
    bench.operations().resume(request).await.unwrap().into_inner()
}

async fn refused(bench: &Bench, withdraw: &Withdraw, sat: u64) {
    let offer = bench.offer(withdraw).await;
    assert_eq!(reason(&offer), CANNOT_PAY);
    let claim = bench.claim(withdraw, &bench.invoice(sat)).await;
    assert_eq!(reason(&claim), CANNOT_PAY);
    let found = bench.get(&withdraw.id).await;
    assert!(found.claimable, "the request itself is free: {found:?}");
}

fn can_send(bench: &Bench, sat: i64) {
    *bench.node.can_send.lock().unwrap() = Msat::new(sat * 1000).unwrap();
}

fn ok() -> Value {
    json!({ "status": "OK" })
}

#[tokio::test]
async fn a_pause_stops_claims_and_sends_and_follows_what_is_out() {
    on_every_store(async |bench| {
        let [out, waiting, free] =
            [bench.create(10, 10).await, bench.create(10, 10).await, bench.create(10, 10).await];
        bench.node.next([Fate::Hold]);
        let (out_invoice, waiting_invoice) = (bench.invoice(10), bench.invoice(10));
        bench.claim_ok(&out, &out_invoice).await;
        bench.work_until(&out.id, State::InFlight).await;
        bench.claim_ok(&waiting, &waiting_invoice).await;

        let paused = pause(&bench).await;
        assert_eq!((paused.halt(), paused.max_withdrawable_sat), (Halt::Paused, 0));
        let act = paused.paused.unwrap();
        assert_eq!((act.operator.as_str(), act.reason.as_str()), ("ann", "audit"));
        refused(&bench, &free, 10).await;
        // Both wallets that were told OK are told so again.
        assert_eq!(bench.claim(&out, &out_invoice).await, ok());
        assert_eq!(bench.claim(&waiting, &waiting_invoice).await, ok());
        bench.begin_work().await;
        bench.node.release(true);
        bench.until(&out.id, |withdraw| withdraw.status() == Status::Paid).await;
        bench.pass(Millis::from_secs(40)).await;
        assert_eq!(bench.node.sends().len(), 1, "a pause sends nothing");

        assert_eq!(resume(&bench).await.halt(), Halt::Unspecified);
        bench.pass(Millis::from_secs(40)).await;
        assert_eq!(bench.get(&waiting.id).await.status(), Status::Paid);
        bench.claim_ok(&free, &bench.invoice(10)).await;
    })
    .await;
}

/// A pause outlives the process that was told of it, and who was told to wait for too long is told so.
#[tokio::test]
async fn a_pause_is_durable_and_lets_nobody_wait_for_ever() {
    for kind in kinds() {
        let mut bench = Bench::new(kind).await;
        let withdraw = bench.create(10, 10).await;
        let invoice = bench.invoice(10);
        bench.claim_ok(&withdraw, &invoice).await;
        pause(&bench).await;
        bench.die_and_live_again().await;
        assert_eq!(instance(&bench).await.halt(), Halt::Paused);
        for _ in 0..3 {
            bench.pass(Millis::from_secs(1800)).await;
        }
        let found = bench.get(&withdraw.id).await;
        let payment = found.payment.unwrap();
        assert_eq!(payment.failure_reason(), pb::payment::FailureReason::NotSent);
        assert!(bench.node.sends().is_empty());
    }
}

#[tokio::test]
async fn turning_twice_keeps_the_first_and_bad_names_change_nothing() {
    on_every_store(async |bench| {
        let nameless = PauseRequest { operator: " ".into(), reason: String::new() };
        let status = bench.operations().pause(nameless).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
        assert!(status.message().contains("operator") && status.message().contains("1 more"));
        assert_eq!(instance(&bench).await.halt(), Halt::Unspecified);

        pause(&bench).await;
        let again = PauseRequest { operator: "eve".into(), reason: "too".into() };
        let paused = bench.operations().pause(again).await.unwrap().into_inner();
        assert_eq!(paused.paused.unwrap().operator, "ann");
        resume(&bench).await;
        assert_eq!(resume(&bench).await.paused, None);
    })
    .await;
}

/// A node that falls silent is down after a while; its last word counts until then.
#[tokio::test]
async fn nothing_is_accepted_while_the_node_is_silent() {
    for kind in kinds() {
        let bench = Bench::with(kind, &[("node.heartbeat_stale_ms", "15000")]).await;
        let withdraw = bench.create(10, 10).await;
        let before = bench.create(10, 10).await;
        let invoice = bench.invoice(10);
        bench.claim_ok(&before, &invoice).await;
        bench.node.unreachable.store(true, SeqCst);
        bench.clock.advance(Millis::from_secs(14));
        bench.beat().await;
        assert_eq!(bench.offer(&withdraw).await["maxWithdrawable"], 10_000);
        bench.clock.advance(Millis::from_secs(2));
        bench.beat().await;
        refused(&bench, &withdraw, 10).await;
        assert_eq!(bench.claim(&before, &invoice).await, ok());
        assert_eq!(instance(&bench).await.halt(), Halt::NodeSilent);

        bench.node.unreachable.store(false, SeqCst);
        bench.beat().await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.pass(Millis::from_secs(40)).await;
        for id in [&withdraw.id, &before.id] {
            assert_eq!(bench.get(id).await.status(), Status::Paid);
        }
    }
}

#[tokio::test]
async fn nothing_is_accepted_while_the_node_does_not_follow_the_chain() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.node.synced.store(false, SeqCst);
        bench.beat().await;
        refused(&bench, &withdraw, 10).await;
        assert_eq!(instance(&bench).await.halt(), Halt::NodeUnsynced);
        bench.node.synced.store(true, SeqCst);
        bench.beat().await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
    })
    .await;
}

/// All that paying needs is tried with each heartbeat: what lnd would refuse is not accepted, and people
/// are told what is missing, by every replica. It ends by itself.
#[tokio::test]
async fn nothing_is_accepted_while_the_nodes_credentials_do_not_permit_to_pay() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        *bench.node.lacks.lock().unwrap() = Some("SendPaymentV2");
        bench.beat().await;
        refused(&bench, &withdraw, 10).await;
        let found = instance(&bench).await;
        assert_eq!(found.halt(), Halt::NodeNotPermitted);
        assert_eq!(
            found.node_error,
            "lnd.macaroon does not permit SendPaymentV2, bake one that does"
        );
        assert!(found.node.is_some(), "it answers");
        *bench.node.lacks.lock().unwrap() = None;
        bench.beat().await;
        let found = instance(&bench).await;
        assert_eq!((found.halt(), found.node_error.as_str()), (Halt::Unspecified, ""));
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
    })
    .await;
}

/// What goes on while its last word is young is told all the same.
#[tokio::test]
async fn the_nodes_last_error_is_told_in_words() {
    on_every_store(async |bench| {
        bench.node.unreachable.store(true, SeqCst);
        bench.beat().await;
        let found = instance(&bench).await;
        assert_eq!(found.halt(), Halt::Unspecified);
        assert_eq!(found.node_error, "the node cannot be reached");
        bench.node.unreachable.store(false, SeqCst);
        bench.node.become_other(9);
        bench.beat().await;
        let found = instance(&bench).await;
        assert_eq!(found.node_error, "another node answers than the one that pays");
    })
    .await;
}

/// A node that was wiped sends nothing more: what is accepted would hang. What was accepted before is
/// sent no more either, and becomes a person's when it is too late.
#[tokio::test]
async fn nothing_is_accepted_while_the_node_has_lost_its_memory() {
    on_every_store(async |bench| {
        let (paid, waits) = (bench.create(10, 10).await, bench.create(10, 10).await);
        bench.claim_ok(&paid, &bench.invoice(10)).await;
        bench.work().await;
        assert_eq!(bench.get(&paid.id).await.status(), Status::Paid);
        bench.node.unreachable.store(true, SeqCst);
        bench.claim_ok(&waits, &bench.invoice(10)).await;
        bench.work().await;
        bench.node.unreachable.store(false, SeqCst);
        bench.node.restart();
        bench.node.forget_all();

        bench.beat().await;
        assert_eq!(instance(&bench).await.halt(), Halt::NodeForgot);
        let free = bench.create(10, 10).await;
        refused(&bench, &free, 10).await;
        bench.pass(Millis::from_secs(60)).await;
        assert_eq!(bench.events_of(&waits.id).await, ["created", "claimed"]);
        bench.pass(Millis::from_secs(3600)).await;
        assert_eq!(bench.events_of(&waits.id).await, ["created", "claimed", "needs_operator"]);
        assert_eq!(bench.node.settled(), 1);
    })
    .await;
}

/// What the node can send, with the fee limit, less what was accepted and is not out yet.
#[tokio::test]
async fn an_offer_is_no_larger_than_what_the_node_can_send() {
    on_every_store(async |bench| {
        let range = bench.create(100, 5000).await;
        let other = bench.create(100, 5000).await;
        let fixed = bench.create(3000, 3000).await;
        // With the least fee limit of 10 sat.
        can_send(&bench, 2010);
        bench.beat().await;
        assert_eq!(bench.offer(&range).await["maxWithdrawable"], 2_000_000);
        refused(&bench, &fixed, 3000).await;
        let too_much = bench.claim(&range, &bench.invoice(2001)).await;
        assert_eq!(reason(&too_much), "at most 2000 sat can be paid at the moment");

        bench.claim_ok(&range, &bench.invoice(1890)).await;
        assert_eq!(bench.offer(&other).await["maxWithdrawable"], 100_000);
        let too_much = bench.claim(&other, &bench.invoice(101)).await;
        assert_eq!(reason(&too_much), "at most 100 sat can be paid at the moment");
        // It is out, and the node says what is left: it counts once.
        bench.work().await;
        can_send(&bench, 110);
        bench.clock.advance(Millis::from_secs(10));
        bench.beat().await;
        assert_eq!(bench.offer(&other).await["maxWithdrawable"], 100_000);
        can_send(&bench, 109);
        bench.beat().await;
        refused(&bench, &other, 100).await;
        assert_eq!(instance(&bench).await.max_withdrawable_sat, 99);
    })
    .await;
}

/// A limit over all replicas for 24 hours; what failed does not count, what is open does.
#[tokio::test]
async fn what_may_be_paid_in_24_hours_is_checked_by_the_database() {
    for kind in kinds() {
        // With the least fee limit of 10 sat for what is open.
        let bench = Bench::with(kind, &[("limits.rolling_24h_sat", "1011")]).await;
        let [first, failing, second, third] = [
            bench.create(600, 600).await,
            bench.create(400, 400).await,
            bench.create(100, 900).await,
            bench.create(1, 1).await,
        ];
        bench.claim_ok(&first, &bench.invoice(600)).await;
        bench.work().await;
        bench.node.next([Fate::Hold]);
        bench.claim_ok(&failing, &bench.invoice(400)).await;
        bench.work_until(&failing.id, State::InFlight).await;
        refused(&bench, &third, 1).await;
        assert_eq!(instance(&bench).await.halt(), Halt::LimitSpent);
        bench.node.release(false);
        bench.until(&failing.id, |withdraw| withdraw.claimable).await;
        assert_eq!(bench.offer(&second).await["maxWithdrawable"], 400_000);
        bench.claim_ok(&second, &bench.invoice(400)).await;
        bench.work().await;
        refused(&bench, &third, 1).await;
        assert_eq!(instance(&bench).await.spent_24h_msat, 1_000_002);

        bench.clock.advance(Millis::from_secs(24 * 3600 + 900));
        let tomorrow = bench.create(1000, 1000).await;
        bench.claim_ok(&tomorrow, &bench.invoice(1000)).await;
    }
}

/// Closed as failed, and paid all the same while another attempt was paid too: both were spent.
#[tokio::test]
async fn a_late_success_is_spent() {
    for kind in kinds() {
        let bench = Bench::with(kind, &[("limits.rolling_24h_sat", "1000")]).await;
        let twice = bench.create(100, 600).await;
        let late = bench.invoice(600);
        bench.node.next([Fate::Fail(FailureReason::NoRoute)]);
        bench.claim_ok(&twice, &late).await;
        bench.work().await;
        bench.claim_ok(&twice, &bench.invoice(400)).await;
        bench.work().await;
        assert_eq!(instance(&bench).await.spent_24h_msat, 400_001);
        let fee = Msat::new(1).unwrap();
        let paid = RecordState::Succeeded { preimage: proof_of(&late), fee };
        bench.node.foreign_payment(&late, paid);
        bench.pass(Millis::from_secs(3601)).await;
        bench.pass(Millis::from_secs(1)).await;
        assert_eq!(instance(&bench).await.spent_24h_msat, 1_000_002);
        let other = bench.create(1, 1).await;
        refused(&bench, &other, 1).await;
    }
}

/// Twenty wallets at once and room for seven: the database counts.
#[tokio::test]
async fn claims_at_once_do_not_spend_the_same_room() {
    for kind in kinds() {
        let settings = [
            ("limits.rolling_24h_sat", "75"),
            ("payments.fee_floor_msat", "0"),
            ("payments.fee_ppm", "0"),
        ];
        let bench = Bench::with(kind, &settings).await;
        let mut withdraws = Vec::new();
        for _ in 0..20 {
            withdraws.push((bench.create(10, 10).await, bench.invoice(10)));
        }
        let claims = withdraws.iter().map(|(withdraw, invoice)| bench.claim(withdraw, invoice));
        let answers = futures_util::future::join_all(claims).await;
        let accepted = answers.iter().filter(|answer| **answer == ok()).count();
        assert_eq!(accepted, 7, "on {kind:?}: {answers:?}");
    }
}

#[tokio::test]
async fn one_request_pays_no_more_than_its_limit() {
    let bench = Bench::with(Kind::Sqlite, &[("limits.max_amount_sat", "500")]).await;
    let request = pb::CreateWithdrawRequest {
        max_amount: "501".into(),
        ..pb::CreateWithdrawRequest::default()
    };
    let status = bench.client().create_withdraw(request).await.unwrap_err();
    assert!(status.message().contains("max_amount must be from 1 to 500"), "{status:?}");
    let withdraw = bench.create(1, 500).await;
    bench.claim_ok(&withdraw, &bench.invoice(500)).await;
}

/// A limit that was lowered counts for requests that were made before.
#[tokio::test]
async fn a_lowered_limit_holds_for_older_requests() {
    for kind in kinds() {
        let mut bench = Bench::new(kind).await;
        let (range, fixed) = (bench.create(1, 1000).await, bench.create(1000, 1000).await);
        bench.die();
        bench.config.limits.max_amount_sat = 500;
        bench.start().await;
        assert_eq!(bench.offer(&range).await["maxWithdrawable"], 500_000);
        refused(&bench, &fixed, 1000).await;
        bench.claim_ok(&range, &bench.invoice(500)).await;
    }
}

/// Payments that hang fill the channels up to a cap, and then nobody new has to hang with them; when
/// some end, others go out.
#[tokio::test]
async fn payments_that_hang_have_a_cap_of_their_own() {
    for kind in kinds() {
        let bench = Bench::with(kind, &[("payments.max_in_flight_per_channel", "2")]).await;
        bench.node.next([Fate::Hold, Fate::Hold]);
        let [a, b, waiting, refused_one] = [
            bench.create(10, 10).await,
            bench.create(10, 10).await,
            bench.create(10, 10).await,
            bench.create(10, 10).await,
        ];
        for withdraw in [&a, &b] {
            bench.claim_ok(withdraw, &bench.invoice(10)).await;
            bench.work_until(&withdraw.id, State::InFlight).await;
        }
        refused(&bench, &refused_one, 10).await;
        assert_eq!(instance(&bench).await.halt(), Halt::ChannelsFull);
        bench.node.release(true);
        bench.until(&a.id, |withdraw| withdraw.status() == Status::Paid).await;
        bench.claim_ok(&waiting, &bench.invoice(10)).await;
        bench.work_until(&waiting.id, State::Paid).await;
    }
}
