//! Limits: what the node can send, what may be paid in 24 hours, per request, and in flight per channel.

use withdrawd::{
    domain::{FailureReason, Millis, Msat, payment::RecordState},
    pb::{self, Halt, payment::State, withdraw::Status},
};

use super::instance::{can_send, instance, ok, refused};
use crate::{
    bench::{Bench, StoreKind, node::OnSend, on_every_store, reason, store_kinds},
    payments::doubts::proof_of,
};

/// What the node can send, with the fee limit, less what was accepted and is not out yet.
#[tokio::test]
async fn an_offer_is_no_larger_than_what_the_node_can_send() {
    on_every_store(async |bench| {
        let range = bench.create(100, 5000).await;
        let other = bench.create(100, 5000).await;
        let fixed = bench.create(3000, 3000).await;
        // With the least fee limit of 10 sat.
        can_send(&bench, 2010);
        bench.heartbeat().await;
        assert_eq!(bench.offer(&range).await["maxWithdrawable"], 2_000_000);
        refused(&bench, &fixed, 3000).await;
        let too_much = bench.claim(&range, &bench.invoice(2001)).await;
        assert_eq!(reason(&too_much), "at most 2000 sat can be paid at the moment");

        bench.claim_ok(&range, &bench.invoice(1890)).await;
        assert_eq!(bench.offer(&other).await["maxWithdrawable"], 100_000);
        let too_much = bench.claim(&other, &bench.invoice(101)).await;
        assert_eq!(reason(&too_much), "at most 100 sat can be paid at the moment");
        // It is out, and the node says what is left: it counts once.
        bench.run_payer().await;
        can_send(&bench, 110);
        bench.clock.advance(Millis::from_secs(10));
        bench.heartbeat().await;
        assert_eq!(bench.offer(&other).await["maxWithdrawable"], 100_000);
        can_send(&bench, 109);
        bench.heartbeat().await;
        refused(&bench, &other, 100).await;
        assert_eq!(instance(&bench).await.max_withdrawable_sat, 99);
    })
    .await;
}

/// A limit over all replicas for 24 hours; what failed does not count, what is open does.
#[tokio::test]
async fn what_may_be_paid_in_24_hours_is_checked_by_the_database() {
    for kind in store_kinds() {
        // With the least fee limit of 10 sat for what is open.
        let bench = Bench::with(kind, &[("limits.rolling_24h_sat", "1011")]).await;
        let [first, failing, second, third] = [
            bench.create(600, 600).await,
            bench.create(400, 400).await,
            bench.create(100, 900).await,
            bench.create(1, 1).await,
        ];
        bench.claim_ok(&first, &bench.invoice(600)).await;
        bench.run_payer().await;
        bench.node.on_next_sends([OnSend::Hold]);
        bench.claim_ok(&failing, &bench.invoice(400)).await;
        bench.run_payer_until(&failing.id, State::InFlight).await;
        refused(&bench, &third, 1).await;
        assert_eq!(instance(&bench).await.halt(), Halt::LimitSpent);
        bench.node.release(false);
        bench.until(&failing.id, |withdraw| withdraw.claimable).await;
        assert_eq!(bench.offer(&second).await["maxWithdrawable"], 400_000);
        bench.claim_ok(&second, &bench.invoice(400)).await;
        bench.run_payer().await;
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
    for kind in store_kinds() {
        let bench = Bench::with(kind, &[("limits.rolling_24h_sat", "1000")]).await;
        let twice = bench.create(100, 600).await;
        let late = bench.invoice(600);
        bench.node.on_next_sends([OnSend::Fail(FailureReason::NoRoute)]);
        bench.claim_ok(&twice, &late).await;
        bench.run_payer().await;
        bench.claim_ok(&twice, &bench.invoice(400)).await;
        bench.run_payer().await;
        assert_eq!(instance(&bench).await.spent_24h_msat, 400_001);
        let fee = Msat::new(1).unwrap();
        let paid = RecordState::Succeeded { preimage: proof_of(&late), fee };
        bench.node.add_foreign_payment(&late, paid);
        bench.run_payer_after(Millis::from_secs(3601)).await;
        bench.run_payer_after(Millis::from_secs(1)).await;
        assert_eq!(instance(&bench).await.spent_24h_msat, 1_000_002);
        let other = bench.create(1, 1).await;
        refused(&bench, &other, 1).await;
    }
}

/// Twenty wallets at once and room for seven: the database counts.
#[tokio::test]
async fn claims_at_once_do_not_spend_the_same_room() {
    for kind in store_kinds() {
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
    let bench = Bench::with(StoreKind::Sqlite, &[("limits.max_amount_sat", "500")]).await;
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
    for kind in store_kinds() {
        let mut bench = Bench::new(kind).await;
        let (range, fixed) = (bench.create(1, 1000).await, bench.create(1000, 1000).await);
        bench.crash();
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
    for kind in store_kinds() {
        let bench = Bench::with(kind, &[("payments.max_in_flight_per_channel", "2")]).await;
        bench.node.on_next_sends([OnSend::Hold, OnSend::Hold]);
        let [a, b, waiting, refused_one] = [
            bench.create(10, 10).await,
            bench.create(10, 10).await,
            bench.create(10, 10).await,
            bench.create(10, 10).await,
        ];
        for withdraw in [&a, &b] {
            bench.claim_ok(withdraw, &bench.invoice(10)).await;
            bench.run_payer_until(&withdraw.id, State::InFlight).await;
        }
        refused(&bench, &refused_one, 10).await;
        assert_eq!(instance(&bench).await.halt(), Halt::ChannelsFull);
        bench.node.release(true);
        bench.until(&a.id, |withdraw| withdraw.status() == Status::Paid).await;
        bench.claim_ok(&waiting, &bench.invoice(10)).await;
        bench.run_payer_until(&waiting.id, State::Paid).await;
    }
}
