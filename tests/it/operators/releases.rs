//! After a fence: what an operator decides about single requests is kept with the name and the reason.

use withdrawd::{
    domain::{Actor, Millis, Msat, payment::RecordState},
    node::simulated::preimage_of,
    pb::{
        AcknowledgeRestoreRequest, FenceRequest, ReleaseWithdrawsRequest,
        acknowledge_restore_request::Pair, payment::State,
    },
};

use crate::{
    bench::invoices::hash_of,
    bench::node::OnSend,
    bench::{Bench, on_every_store},
};

async fn release_all(bench: &Bench) -> i64 {
    let (operator, reason) = ("bob".into(), "asked them".into());
    let request = ReleaseWithdrawsRequest { operator, reason, ids: Vec::new(), all: true };
    bench.operations().release_withdraws(request).await.unwrap().into_inner().released
}

/// Who decided the last change of a request.
async fn decided_by(bench: &Bench, id: &str) -> (&'static str, Option<Actor>) {
    let last = bench.history_of(id).await.pop().unwrap();
    (last.kind.name(), last.by)
}

fn operator(name: &str, note: &str) -> Actor {
    Actor::unnamed(name, note)
}

#[tokio::test]
async fn events_name_who_restored_and_who_released() {
    on_every_store(async |bench| {
        let [lost, held, unpaid] =
            [bench.create(10, 10).await, bench.create(10, 10).await, bench.create(10, 10).await];
        bench.node.on_next_sends([OnSend::Hold]);
        bench.claim_ok(&held, &bench.invoice(10)).await;
        bench.run_payer_until(&held.id, State::InFlight).await;
        let forgotten = bench.invoice(10);
        let parsed = withdrawd::domain::invoice::parse(&forgotten).unwrap();
        let preimage = preimage_of(&parsed.payment_secret.unwrap());
        let paid = RecordState::Succeeded { preimage, fee: Msat::new(5).unwrap() };
        bench.node.add_foreign_payment(&forgotten, paid);
        bench.clock.advance(Millis::from_ms(1));

        let (operator_name, reason) = ("ann".to_owned(), "a standby was promoted".to_owned());
        let fence = FenceRequest { operator: operator_name.clone(), reason: reason.clone() };
        bench.operations().fence(fence).await.unwrap();
        let payment_hash = hash_of(&forgotten).to_string();
        let paid = vec![Pair { withdraw_id: lost.id.clone(), payment_hash }];
        let request = AcknowledgeRestoreRequest {
            operator: operator_name,
            reason,
            paid,
            ..Default::default()
        };
        let done = bench.operations().acknowledge_restore(request).await.unwrap().into_inner();
        assert_eq!((done.unknown.len(), done.withheld), (0, 2));
        let ann = operator("ann", "a standby was promoted");
        assert_eq!(decided_by(&bench, &lost.id).await, ("paid", Some(ann)));

        // Paid by its open attempt: there is nothing left to release.
        bench.node.release(true);
        bench.run_payer_until(&held.id, State::Paid).await;
        assert_eq!(release_all(&bench).await, 1);
        let bob = operator("bob", "asked them");
        assert_eq!(decided_by(&bench, &unpaid.id).await, ("released", Some(bob)));
        assert_eq!(decided_by(&bench, &held.id).await, ("paid", None));
        assert_eq!(release_all(&bench).await, 0);
    })
    .await;
}
