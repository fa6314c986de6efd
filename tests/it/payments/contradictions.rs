//! The node contradicts a failure that was recorded: an operator must see it, since the request may be paid
//! again.

use withdrawd::{
    domain::{FailureReason, Millis, Msat, Preimage, payment::RecordState},
    pb::{payment::State, withdraw::Status},
};

use crate::bench::{
    Bench,
    invoices::hash_of,
    logs::{errors_about, keep_errors},
    node::OnSend,
    on_every_store,
};

/// A request whose only payment was sent and closed as failed. Returns the payment's hash and invoice.
async fn failed(bench: &Bench) -> (String, String) {
    let withdraw = bench.create(10, 10).await;
    let invoice = bench.invoice(10);
    bench.node.on_next_sends([OnSend::Fail(FailureReason::NoRoute)]);
    bench.claim_ok(&withdraw, &invoice).await;
    bench.run_payer_until(&withdraw.id, State::Failed).await;
    (withdraw.id, invoice)
}

/// Later than each of the two lookups that a failed payment gets.
const LOOKUPS: [Millis; 2] = [Millis::from_secs(80 * 60), Millis::from_secs(31 * 3600)];

#[tokio::test]
async fn a_contradiction_after_a_failure_is_an_error_at_each_lookup() {
    keep_errors();
    on_every_store(async |bench| {
        let wrong = Preimage::from_bytes([0; 32]);
        let fee = Msat::new(1).unwrap();
        for (record, reason) in [
            (RecordState::ResultLost, "RESULT_LOST"),
            (RecordState::Succeeded { preimage: wrong, fee }, "WRONG_PREIMAGE"),
        ] {
            let (id, invoice) = failed(&bench).await;
            let hash = hash_of(&invoice).to_string();
            bench.node.add_foreign_payment(&invoice, record);
            for (lookup, later) in LOOKUPS.into_iter().enumerate() {
                bench.run_payer_after(later).await;
                let lines = errors_about(&hash);
                assert_eq!(lines.len(), lookup + 1, "{lines:?}");
                let line = &lines[lookup];
                assert!(line.contains("closed as failed, but the node's record"), "{line}");
                assert!(line.contains("payment=pay_") && line.contains(reason), "{line}");
                assert!(line.contains("ask the payee"), "{line}");
            }
            bench.run_payer_after(Millis::from_secs(100 * 3600)).await;
            assert_eq!(errors_about(&hash).len(), 2);
            assert_eq!(bench.get(&id).await.status(), Status::Active);
        }
    })
    .await;
}

#[tokio::test]
async fn a_failure_that_the_node_confirms_is_no_error() {
    keep_errors();
    on_every_store(async |bench| {
        let (_, invoice) = failed(&bench).await;
        for later in LOOKUPS {
            bench.run_payer_after(later).await;
        }
        assert!(errors_about(&hash_of(&invoice).to_string()).is_empty());
    })
    .await;
}
