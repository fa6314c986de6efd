//! A node that is silent, unsynced, not permitted to pay or wiped: nothing new is accepted. What was
//! accepted before goes on, and its wallet is told OK again.

use std::sync::atomic::Ordering::SeqCst;

use withdrawd::{
    domain::Millis,
    pb::{Halt, withdraw::Status},
};

use super::instance::{instance, ok, refused};
use crate::bench::{Bench, on_every_store, store_kinds};

/// A node that falls silent is down after a while; its last heartbeat counts until then.
#[tokio::test]
async fn nothing_is_accepted_while_the_node_is_silent() {
    for kind in store_kinds() {
        let bench = Bench::with(kind, &[("node.heartbeat_stale_ms", "15000")]).await;
        let withdraw = bench.create(10, 10).await;
        let before = bench.create(10, 10).await;
        let invoice = bench.invoice(10);
        bench.claim_ok(&before, &invoice).await;
        bench.node.unreachable.store(true, SeqCst);
        bench.clock.advance(Millis::from_secs(14));
        bench.heartbeat().await;
        assert_eq!(bench.offer(&withdraw).await["maxWithdrawable"], 10_000);
        bench.clock.advance(Millis::from_secs(2));
        bench.heartbeat().await;
        refused(&bench, &withdraw, 10).await;
        assert_eq!(bench.claim(&before, &invoice).await, ok());
        assert_eq!(instance(&bench).await.halt(), Halt::NodeSilent);

        bench.node.unreachable.store(false, SeqCst);
        bench.heartbeat().await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer_after(Millis::from_secs(40)).await;
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
        bench.heartbeat().await;
        refused(&bench, &withdraw, 10).await;
        assert_eq!(instance(&bench).await.halt(), Halt::NodeUnsynced);
        bench.node.synced.store(true, SeqCst);
        bench.heartbeat().await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
    })
    .await;
}

/// All that paying needs is tried with each heartbeat: what lnd would refuse is not accepted, and people
/// learn what is missing from every replica. It ends by itself.
#[tokio::test]
async fn nothing_is_accepted_while_the_nodes_credentials_do_not_permit_to_pay() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        *bench.node.missing_permission.lock().unwrap() = Some("SendPaymentV2");
        bench.heartbeat().await;
        refused(&bench, &withdraw, 10).await;
        let found = instance(&bench).await;
        assert_eq!(found.halt(), Halt::NodeNotPermitted);
        assert_eq!(
            found.node_error,
            "lnd.macaroon does not permit SendPaymentV2: make one that does (lncli bakemacaroon)"
        );
        assert!(found.node.is_some(), "it answers");
        *bench.node.missing_permission.lock().unwrap() = None;
        bench.heartbeat().await;
        let found = instance(&bench).await;
        assert_eq!((found.halt(), found.node_error.as_str()), (Halt::Unspecified, ""));
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
    })
    .await;
}

/// An error is shown also while the last heartbeat still counts.
#[tokio::test]
async fn the_nodes_last_error_is_shown() {
    on_every_store(async |bench| {
        bench.node.unreachable.store(true, SeqCst);
        bench.heartbeat().await;
        let found = instance(&bench).await;
        assert_eq!(found.halt(), Halt::Unspecified);
        assert_eq!(found.node_error, "the node cannot be reached");
        bench.node.unreachable.store(false, SeqCst);
        bench.node.replace_with(9);
        bench.heartbeat().await;
        let found = instance(&bench).await;
        assert_eq!(
            found.node_error,
            "a different node answers: correct lnd.endpoint, or set node.expected_identity"
        );
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
        bench.run_payer().await;
        assert_eq!(bench.get(&paid.id).await.status(), Status::Paid);
        bench.node.unreachable.store(true, SeqCst);
        bench.claim_ok(&waits, &bench.invoice(10)).await;
        bench.run_payer().await;
        bench.node.unreachable.store(false, SeqCst);
        bench.node.restart();
        bench.node.forget_all();

        bench.heartbeat().await;
        assert_eq!(instance(&bench).await.halt(), Halt::NodeForgot);
        let free = bench.create(10, 10).await;
        refused(&bench, &free, 10).await;
        bench.run_payer_after(Millis::from_secs(60)).await;
        assert_eq!(bench.events_of(&waits.id).await, ["created", "claimed"]);
        bench.run_payer_after(Millis::from_secs(3600)).await;
        assert_eq!(bench.events_of(&waits.id).await, ["created", "claimed", "needs_operator"]);
        assert_eq!(bench.node.settled(), 1);
    })
    .await;
}
