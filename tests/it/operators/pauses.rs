//! Pause and resume: nothing new is accepted or sent, and what was sent before is followed.

use std::sync::atomic::Ordering::SeqCst;

use withdrawd::{
    domain::Millis,
    pb::{self, Halt, PauseRequest, payment::State, withdraw::Status},
};

use super::instance::{instance, ok, pause, refused, resume};
use crate::bench::{Bench, node::OnSend, on_every_store, store_kinds};

#[tokio::test]
async fn a_pause_stops_claims_and_sends_and_follows_what_is_out() {
    on_every_store(async |bench| {
        let [out, waiting, free] =
            [bench.create(10, 10).await, bench.create(10, 10).await, bench.create(10, 10).await];
        bench.node.on_next_sends([OnSend::Hold]);
        let (out_invoice, waiting_invoice) = (bench.invoice(10), bench.invoice(10));
        bench.claim_ok(&out, &out_invoice).await;
        bench.run_payer_until(&out.id, State::InFlight).await;
        // The claim starts the payer, which must not send before the pause.
        bench.node.unreachable.store(true, SeqCst);
        bench.claim_ok(&waiting, &waiting_invoice).await;

        let paused = pause(&bench).await;
        bench.node.unreachable.store(false, SeqCst);
        assert_eq!((paused.halt(), paused.max_withdrawable_sat), (Halt::Paused, 0));
        let act = paused.paused.unwrap();
        assert_eq!((act.operator.as_str(), act.reason.as_str()), ("ann", "audit"));
        refused(&bench, &free, 10).await;
        // Both wallets that were told OK are told so again.
        assert_eq!(bench.claim(&out, &out_invoice).await, ok());
        assert_eq!(bench.claim(&waiting, &waiting_invoice).await, ok());
        bench.start_payer().await;
        bench.node.release(true);
        bench.until(&out.id, |withdraw| withdraw.status() == Status::Paid).await;
        bench.run_payer_after(Millis::from_secs(40)).await;
        assert_eq!(bench.node.sends().len(), 1, "a pause sends nothing");

        assert_eq!(resume(&bench).await.halt(), Halt::Unspecified);
        bench.run_payer_after(Millis::from_secs(40)).await;
        assert_eq!(bench.get(&waiting.id).await.status(), Status::Paid);
        bench.claim_ok(&free, &bench.invoice(10)).await;
    })
    .await;
}

/// A pause outlives the process that took it, and what waits for too long behind it is failed.
#[tokio::test]
async fn a_pause_is_durable_and_lets_nobody_wait_for_ever() {
    for kind in store_kinds() {
        let mut bench = Bench::new(kind).await;
        let withdraw = bench.create(10, 10).await;
        let invoice = bench.invoice(10);
        // The claim starts the payer, which must not send before the pause.
        bench.node.unreachable.store(true, SeqCst);
        bench.claim_ok(&withdraw, &invoice).await;
        pause(&bench).await;
        bench.node.unreachable.store(false, SeqCst);
        bench.crash_and_restart().await;
        assert_eq!(instance(&bench).await.halt(), Halt::Paused);
        for _ in 0..3 {
            bench.run_payer_after(Millis::from_secs(1800)).await;
        }
        let found = bench.get(&withdraw.id).await;
        let payment = found.payment.unwrap();
        assert_eq!(payment.failure_reason(), pb::payment::FailureReason::NotSent);
        assert!(bench.node.sends().is_empty());
    }
}

#[tokio::test]
async fn a_second_pause_keeps_the_first_and_bad_names_change_nothing() {
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
