//! A crash before and after every single call of both ports, for a whole withdrawal; and lost
//! answers of the store.

use serde_json::json;
use withdrawd::{
    domain::{FailureReason, Millis},
    pb::withdraw::Status,
};

use crate::{
    bench::faults::LostAnswer,
    bench::http,
    bench::node::OnSend,
    bench::{Bench, on_every_store, store_kinds},
    payments::tallies,
};

/// What a wallet and the payer do until the process crashes.
async fn withdrawal(bench: &Bench, ott: &str, invoice: &str) {
    let target = format!("/cb?k1={ott}&pr={invoice}");
    let story = async {
        let _ = http::get(bench.lnurl(), &target).await;
        bench.run_payer().await;
    };
    tokio::select! {
        biased;
        () = bench.faults.crashed() => {}
        () = story => {}
    }
}

/// Calls that one whole withdrawal makes without a crash.
async fn calls_of(bench: &Bench, on_send: OnSend) -> usize {
    let withdraw = bench.create(10, 10).await;
    bench.node.on_next_sends([on_send]);
    bench.faults.reset();
    withdrawal(bench, &withdraw.ott, &bench.invoice(10)).await;
    let calls = bench.faults.calls();
    // Let it come to its end: what is settled later is counted for others.
    for _ in 0..4 {
        bench.run_payer_after(Millis::from_secs(40)).await;
    }
    calls
}

async fn crash_everywhere(on_send: OnSend) {
    for kind in store_kinds() {
        let mut bench = Bench::new(kind).await;
        let calls = calls_of(&bench, on_send).await;
        assert!(calls >= 8, "a withdrawal makes {calls} calls?");
        let mut crashes = 0;
        for call in 1..=calls + 1 {
            for after in [false, true] {
                crash_once(&mut bench, on_send, call, after).await;
                crashes += 1;
            }
        }
        eprintln!("on {kind:?}: {on_send:?}: {calls} calls, {crashes} crash points");
    }
}

async fn crash_once(bench: &mut Bench, on_send: OnSend, call: usize, after: bool) {
    let (settled, asked) = (bench.node.settled(), bench.node.sends().len());
    let withdraw = bench.create(10, 10).await;
    let invoice = bench.invoice(10);
    bench.node.clear_on_next_sends();
    bench.node.on_next_sends([on_send]);
    bench.faults.crash_at(call, after);
    withdrawal(bench, &withdraw.ott, &invoice).await;
    bench.crash_and_restart().await;
    bench.node.clear_on_next_sends();

    // The wallet tries again, as wallets do; the payer follows what it finds.
    let again = bench.claim(&withdraw, &invoice).await;
    for _ in 0..6 {
        bench.run_payer_after(Millis::from_secs(40)).await;
    }
    let point = format!("{on_send:?}, {} call {call}", if after { "after" } else { "before" });
    let found = bench.get(&withdraw.id).await;
    let paid = bench.node.settled() - settled;
    match found.status() {
        Status::Paid => {
            assert_eq!(paid, 1, "{point}: {found:?}");
            assert_eq!(again, json!({ "status": "OK" }), "{point}");
        }
        Status::Active => {
            assert!(found.claimable && paid == 0, "{point}: neither paid nor claimable: {found:?}");
            bench.claim_ok(&withdraw, &bench.invoice(10)).await;
            bench.run_payer().await;
            assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid, "{point}");
            assert_eq!(bench.node.settled() - settled, 1, "{point}");
        }
        Status::Unspecified | Status::Deactivated => panic!("{point}: {found:?}"),
    }
    assert!(bench.node.sends().len() - asked <= 3, "{point}: sent too often");
    tallies::assert_true(bench).await;
}

#[tokio::test]
async fn a_paid_withdrawal_survives_a_crash_at_every_call() {
    crash_everywhere(OnSend::Pay).await;
}

#[tokio::test]
async fn a_lost_answer_survives_a_crash_at_every_call() {
    crash_everywhere(OnSend::PayAndLoseAnswer).await;
}

#[tokio::test]
async fn a_lost_request_survives_a_crash_at_every_call() {
    crash_everywhere(OnSend::LoseRequest).await;
}

#[tokio::test]
async fn a_failure_survives_a_crash_at_every_call() {
    crash_everywhere(OnSend::Fail(FailureReason::NoRoute)).await;
}

/// The answer to the claim's COMMIT is lost: it is read back before the wallet is told anything.
#[tokio::test]
async fn a_claim_whose_commit_was_not_answered_is_read_back() {
    on_every_store(async |bench| {
        for lost in [LostAnswer::AfterCommit, LostAnswer::BeforeCommit] {
            let settled = bench.node.settled();
            let withdraw = bench.create(10, 10).await;
            bench.faults.lose("claim", lost);
            bench.claim_ok(&withdraw, &bench.invoice(10)).await;
            bench.run_payer().await;
            assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid, "{lost:?}");
            assert_eq!(bench.node.settled() - settled, 1, "{lost:?}");
            let events = bench.events_of(&withdraw.id).await;
            assert_eq!(events, ["created", "claimed", "paid"], "{lost:?}");
        }
        // Each was logged, and counted, once.
        let metrics = http::get(bench.admin(), "/metrics").await.body;
        assert!(metrics.contains("\nwithdrawd_claims_total 2\n"), "{metrics}");
    })
    .await;
}

/// The answer to a send's COMMIT is lost: the node is asked only if the row is there.
#[tokio::test]
async fn a_send_whose_commit_was_not_answered_is_read_back() {
    on_every_store(async |bench| {
        for (lost, at_once) in [(LostAnswer::AfterCommit, 1), (LostAnswer::BeforeCommit, 0)] {
            let asked = bench.node.sends().len();
            let withdraw = bench.create(10, 10).await;
            bench.faults.lose("advance", lost);
            bench.claim_ok(&withdraw, &bench.invoice(10)).await;
            bench.run_payer().await;
            assert_eq!(bench.node.sends().len() - asked, at_once, "{lost:?}");
            for _ in 0..4 {
                bench.run_payer_after(Millis::from_secs(40)).await;
            }
            assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid, "{lost:?}");
            assert_eq!(bench.node.sends().len() - asked, 1, "{lost:?}");
        }
    })
    .await;
}

/// The outcome's COMMIT is not answered: what was learned is not lost, and not done twice.
#[tokio::test]
async fn an_outcome_whose_commit_was_not_answered_is_learned_all_the_same() {
    on_every_store(async |bench| {
        for lost in [LostAnswer::AfterCommit, LostAnswer::BeforeCommit] {
            let withdraw = bench.create(10, 10).await;
            bench.node.on_next_sends([OnSend::PayAndLoseAnswer]);
            bench.claim_ok(&withdraw, &bench.invoice(10)).await;
            bench.run_payer().await;
            bench.faults.lose("advance", lost);
            for _ in 0..4 {
                bench.run_payer_after(Millis::from_secs(40)).await;
            }
            assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid, "{lost:?}");
            let events = bench.events_of(&withdraw.id).await;
            assert_eq!(events, ["created", "claimed", "paid"], "{lost:?}");
        }
    })
    .await;
}

/// Creating and deactivating with lost answers: the caller learns what was committed.
#[tokio::test]
async fn create_and_deactivate_read_back_what_was_committed() {
    on_every_store(async |bench| {
        bench.faults.lose("create", LostAnswer::AfterCommit);
        let withdraw = bench.create(10, 10).await;
        assert_eq!(bench.get(&withdraw.id).await, withdraw);

        bench.faults.lose("create", LostAnswer::BeforeCommit);
        let request =
            withdrawd::pb::CreateWithdrawRequest { max_amount: "10".into(), ..Default::default() };
        let lost = bench.client().create_withdraw(request).await.unwrap_err();
        assert_eq!(lost.code(), tonic::Code::Unavailable);
        assert!(!lost.message().contains("on purpose"), "internal text left the process");

        for lost in [LostAnswer::AfterCommit, LostAnswer::BeforeCommit] {
            let withdraw = bench.create(10, 10).await;
            bench.faults.lose("change", lost);
            let ended = bench.deactivate(&withdraw.id).await.unwrap();
            assert_eq!(ended.status(), Status::Deactivated, "{lost:?}");
            assert_eq!(bench.events_of(&withdraw.id).await, ["created", "deactivated"]);
        }
    })
    .await;
}
