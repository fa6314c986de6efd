//! The node's payments beside ours: differences are found and explained.

use withdrawd::{
    domain::{FailureReason, Millis, Msat, payment::RecordState},
    node::simulated::preimage_of,
    pb::{ReconcileLine, ReconcileRequest, node_payment, payment::State, reconcile_line::Verdict},
};

use crate::{
    bench::invoices::hash_of,
    bench::node::OnSend,
    bench::{Bench, StoreKind, on_every_store},
};

async fn reconcile(bench: &Bench, only_differences: bool) -> Vec<ReconcileLine> {
    let from = prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 };
    let request = ReconcileRequest { from: Some(from), to: None, only_differences };
    bench.operations().reconcile(request).await.unwrap().into_inner().lines
}

fn verdict_of(lines: &[ReconcileLine], invoice: &str) -> Verdict {
    let hash = hash_of(invoice).to_string();
    lines.iter().find(|line| line.payment_hash == hash).unwrap().verdict()
}

#[tokio::test]
async fn each_difference_is_found_and_explained() {
    on_every_store(async |bench| {
        let [paid, deleted, hanging, foreign, failed] = [(); 5].map(|()| bench.invoice(10));
        for invoice in [&paid, &deleted] {
            let withdraw = bench.create(10, 10).await;
            bench.claim_ok(&withdraw, invoice).await;
            bench.run_payer_until(&withdraw.id, State::Paid).await;
        }
        let refused = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::Fail(withdrawd::domain::FailureReason::NoRoute)]);
        bench.claim_ok(&refused, &failed).await;
        bench.run_payer_until(&refused.id, State::Failed).await;
        let held = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::Hold]);
        bench.claim_ok(&held, &hanging).await;
        bench.run_payer_until(&held.id, State::InFlight).await;
        bench.node.forget(hash_of(&deleted));
        let parsed = withdrawd::domain::invoice::parse(&foreign).unwrap();
        let preimage = preimage_of(&parsed.payment_secret.unwrap());
        let fee = Msat::new(5).unwrap();
        bench.node.add_foreign_payment(&foreign, RecordState::Succeeded { preimage, fee });
        bench.clock.advance(Millis::from_ms(1));

        let lines = reconcile(&bench, false).await;
        assert_eq!(lines.len(), 5);
        for (invoice, verdict) in [
            (&paid, Verdict::Matches),
            (&failed, Verdict::Matches),
            (&hanging, Verdict::UnderWay),
            (&deleted, Verdict::PaidOnlyHere),
            (&foreign, Verdict::UnknownHere),
        ] {
            assert_eq!(verdict_of(&lines, invoice), verdict, "{lines:?}");
        }
        let differences = reconcile(&bench, true).await;
        assert_eq!(differences.len(), 2);
        assert!(differences.iter().all(|line| !line.explanation.is_empty()));
    })
    .await;
}

/// Money that moved, or may have moved, though an attempt is FAILED or in doubt here.
#[tokio::test]
async fn what_may_be_paid_twice_is_a_difference() {
    on_every_store(async |bench| {
        let [late, other] = [(); 2].map(|()| bench.invoice(10));
        let paid_twice = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::Fail(FailureReason::NoRoute)]);
        bench.claim_ok(&paid_twice, &late).await;
        bench.run_payer_until(&paid_twice.id, State::Failed).await;
        bench.claim_ok(&paid_twice, &other).await;
        bench.run_payer_until(&paid_twice.id, State::Paid).await;
        let preimage =
            preimage_of(&withdrawd::domain::invoice::parse(&late).unwrap().payment_secret.unwrap());
        let fee = Msat::new(1).unwrap();
        bench.node.add_foreign_payment(&late, RecordState::Succeeded { preimage, fee });
        bench.run_payer_after(Millis::from_secs(80 * 60)).await;
        assert!(bench.events_of(&paid_twice.id).await.contains(&"late_success"));
        bench.node.forget(hash_of(&late));

        let [lost, doubted] = [(); 2].map(|()| bench.invoice(10));
        let failed = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::Fail(FailureReason::NoRoute)]);
        bench.claim_ok(&failed, &lost).await;
        bench.run_payer_until(&failed.id, State::Failed).await;
        bench.node.add_foreign_payment(&lost, RecordState::ResultLost);

        let waiting = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::PayWithWrongPreimage]);
        bench.claim_ok(&waiting, &doubted).await;
        bench.run_payer_until(&waiting.id, State::NeedsOperator).await;

        for record in
            [None, Some(RecordState::Failed(FailureReason::Timeout)), Some(RecordState::ResultLost)]
        {
            match record {
                None => bench.node.forget(hash_of(&doubted)),
                Some(record) => bench.node.add_foreign_payment(&doubted, record),
            }
            bench.clock.advance(Millis::from_ms(1));
            let differences = reconcile(&bench, true).await;
            assert_eq!(differences.len(), 3, "{differences:?}");
            for (invoice, verdict) in [
                (&late, Verdict::PaidOnlyHere),
                (&lost, Verdict::ResultLostThere),
                (&doubted, Verdict::NeedsOperator),
            ] {
                assert_eq!(verdict_of(&differences, invoice), verdict, "{differences:?}");
            }
            let there = differences.iter().filter_map(|line| line.there.as_ref());
            let lost_there =
                there.filter(|record| record.state() == node_payment::State::ResultLost);
            let expected = if record == Some(RecordState::ResultLost) { 2 } else { 1 };
            assert_eq!(lost_there.count(), expected);
        }
    })
    .await;
}

/// Payments without a line cost a statement each.
#[tokio::test]
async fn a_period_with_too_many_payments_is_refused() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let failed = RecordState::Failed(FailureReason::NoRoute);
    bench.node.add_foreign_payments(10_001, "", failed);
    bench.clock.advance(Millis::from_ms(1));
    let from = Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 });
    let request = ReconcileRequest { from, to: None, only_differences: true };
    let before = bench.faults.calls();
    let status = bench.operations().reconcile(request).await.unwrap_err();
    assert!(
        status.message().contains("must leave at most 10000 payments of the node"),
        "{status:?}"
    );
    assert!(bench.faults.calls() < before + 1000, "the database was asked about each");
}

#[tokio::test]
async fn a_time_that_cannot_be_is_refused() {
    on_every_store(async |bench| {
        let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let cases = [
            (None, None, "from is required"),
            (at(10), at(10), "to must be later than from"),
            (at(i64::MAX), None, "from must be a valid timestamp"),
        ];
        for (from, to, rule) in cases {
            let request = ReconcileRequest { from, to, only_differences: false };
            let status = bench.operations().reconcile(request).await.unwrap_err();
            assert!(status.message().contains(rule), "{status:?}");
        }
    })
    .await;
}
