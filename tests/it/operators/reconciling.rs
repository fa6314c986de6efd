//! The node's payments beside ours: differences are found and explained.

use withdrawd::{
    domain::{Millis, Msat, payment::RecordState},
    node::simulated::preimage_of,
    pb::{ReconcileLine, ReconcileRequest, payment::State, reconcile_line::Verdict},
};

use crate::{
    bench::invoices::hash_of,
    bench::node::OnSend,
    bench::{Bench, on_every_store},
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
