//! One claim was stamped by a clock that was ahead: what was lost since is seen all the same.

use withdrawd::{
    domain::Millis,
    pb::{GetInstanceRequest, instance::FenceReason, withdraw::Status},
    runtime::Clock as _,
};

use crate::{
    bench::{Bench, StoreKind, on_every_store},
    store::contract::DirectConnection,
};

/// A restored database as an older backup would have it. What was made last has the lesser id.
async fn forget_the_lost(bench: &Bench) {
    let mut hand = DirectConnection::on(bench).await;
    let last = "(select w.id from withdraws w order by w.id limit 1)";
    for statement in [
        format!(
            "delete from sends where payment_id in
                   (select id from payments where withdraw_id = {last})"
        ),
        format!("delete from payments where withdraw_id = {last}"),
        format!("delete from events where withdraw_id = {last}"),
        format!("delete from withdraws where id = {last}"),
    ] {
        assert!(hand.run(&statement).await.unwrap() > 0, "{statement}");
    }
}

#[tokio::test]
async fn a_claim_stamped_by_a_clock_that_is_ahead_hides_no_loss() {
    on_every_store(async |mut bench| {
        let since = bench.clock.now();
        let ahead = Millis::from_secs(7200);
        bench.clock.jump(ahead);
        let stamped = bench.create(10, 10).await;
        bench.claim_ok(&stamped, &bench.invoice(10)).await;
        bench.clock.jump(Millis::from_ms(-ahead.as_ms()));
        // Until the clocks are believed again.
        for _ in 0..4 {
            bench.run_payer_after(Millis::from_secs(100)).await;
        }
        assert_eq!(bench.get(&stamped.id).await.status(), Status::Paid);
        if bench.kind == StoreKind::Postgres {
            // By the database's own clock.
            let mut hand = DirectConnection::on(&bench).await;
            let now = "select cast(count(*) as text) from payments
                        where abs(written_at_ms - extract(epoch from now()) * 1000) < 60000";
            assert_eq!(hand.lines(now, 0).await, "1");
            // The test's clock is far from it: it stood here.
            let written = since.as_ms();
            let statement = format!("update payments set written_at_ms = {written}");
            hand.run(&statement).await.unwrap();
        }

        // The backup. Ten minutes later a request is made and paid, and then the database is lost.
        bench.clock.advance(Millis::from_secs(600));
        let lost = bench.create(10, 10).await;
        bench.claim_ok(&lost, &bench.invoice(10)).await;
        bench.run_payer().await;
        assert_eq!(bench.get(&lost.id).await.status(), Status::Paid);
        bench.crash();
        forget_the_lost(&bench).await;
        bench.clock.advance(Millis::from_secs(600));
        bench.start().await;
        bench.verify_database().await;

        let instance = bench.operations().get_instance(GetInstanceRequest {}).await.unwrap();
        assert_eq!(instance.into_inner().fence_reason(), FenceReason::UnknownPayments);
    })
    .await;
}
