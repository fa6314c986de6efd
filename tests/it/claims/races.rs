//! Everybody at the same moment: the database decides, and exactly one wins.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::Barrier;
use withdrawd::pb::{CreateWithdrawRequest, payment::State, withdraw::Status};

use crate::bench::{claim_at, on_every_store, reason};

/// 500 wallets scan one QR code and send 500 invoices at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_500_wallets_exactly_one_is_paid() {
    on_every_store(async |bench| {
        let withdraw = bench.create(1, 100).await;
        let invoices: Vec<String> = (0..500).map(|n| bench.invoice(1 + n % 100)).collect();
        let start = Arc::new(Barrier::new(invoices.len()));
        let claims = invoices.iter().map(|invoice| {
            let (start, ott, invoice) = (Arc::clone(&start), withdraw.ott.clone(), invoice.clone());
            let lnurl = bench.lnurl();
            tokio::spawn(async move {
                start.wait().await;
                claim_at(lnurl, &ott, &invoice).await
            })
        });
        let answers: Vec<_> = join_all(claims).await.into_iter().map(Result::unwrap).collect();

        let accepted = answers.iter().filter(|answer| answer["status"] == "OK").count();
        assert_eq!(accepted, 1);
        for refused in answers.iter().filter(|answer| answer["status"] != "OK") {
            let told = reason(refused);
            assert!(
                told.contains("being paid") || told.contains("already been paid"),
                "{told:?} says nothing to a person"
            );
        }
        bench.run_payer().await;
        assert_eq!((bench.node.settled(), bench.node.sends().len()), (1, 1));
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Paid);
        assert_eq!(bench.events_of(&withdraw.id).await, ["created", "claimed", "paid"]);
    })
    .await;
}

/// One phone sends one invoice 50 times.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_invoice_sent_50_times_is_ok_50_times_and_paid_once() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        let invoice = bench.invoice(10);
        let start = Arc::new(Barrier::new(50));
        let claims = (0..50).map(|n: u32| {
            let (start, ott) = (Arc::clone(&start), withdraw.ott.clone());
            // The same invoice as shouting wallets and links write it.
            let invoice = match n % 3 {
                0 => invoice.clone(),
                1 => invoice.to_uppercase(),
                _ => format!("lightning:{invoice}"),
            };
            let lnurl = bench.lnurl();
            tokio::spawn(async move {
                start.wait().await;
                claim_at(lnurl, &ott, &invoice).await
            })
        });
        for answer in join_all(claims).await {
            assert_eq!(answer.unwrap(), serde_json::json!({ "status": "OK" }));
        }
        bench.run_payer().await;
        assert_eq!((bench.node.settled(), bench.node.sends().len()), (1, 1));
    })
    .await;
}

/// The same invoice for two requests: the node would pay once, and one of them for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invoice_serves_one_request_only() {
    on_every_store(async |bench| {
        for _ in 0..10 {
            let (a, b) = (bench.create(10, 10).await, bench.create(10, 10).await);
            let invoice = bench.invoice(10);
            let (first, second) =
                tokio::join!(bench.claim(&a, &invoice), bench.claim(&b, &invoice));
            let (accepted, refused): (Vec<_>, Vec<_>) =
                [first, second].into_iter().partition(|answer| answer["status"] == "OK");
            assert_eq!(accepted.len(), 1);
            assert_eq!(reason(&refused[0]), "this invoice was already used, please make a new one");
        }
        bench.run_payer().await;
        assert_eq!(bench.node.settled(), 10);
    })
    .await;
}

/// A claim and a deactivation at the same instant: exactly one wins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_and_a_deactivation_never_both_win() {
    on_every_store(async |bench| {
        let (mut claimed, mut deactivated) = (0, 0);
        for round in 0..30 {
            let withdraw = bench.create(10, 10).await;
            let invoice = bench.invoice(10);
            let claim = bench.claim(&withdraw, &invoice);
            let end = async {
                // Give each side a head start in turn.
                for _ in 0..round % 4 {
                    tokio::task::yield_now().await;
                }
                bench.deactivate(&withdraw.id).await
            };
            let (claim, end) = tokio::join!(claim, end);
            match (claim["status"] == "OK", end) {
                (true, Err(status)) => {
                    claimed += 1;
                    assert_eq!(status.code(), tonic::Code::FailedPrecondition);
                }
                (false, Ok(ended)) => {
                    deactivated += 1;
                    assert_eq!(ended.status(), Status::Deactivated);
                    assert_eq!(reason(&claim), "this withdrawal was deactivated");
                }
                (claim, end) => panic!("claimed: {claim}, deactivated: {end:?}"),
            }
        }
        bench.run_payer().await;
        assert_eq!(bench.node.settled(), claimed);
        assert_eq!(claimed + deactivated, 30);
    })
    .await;
}

/// One request id from 40 callers at once: one withdraw, 40 equal answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_replays_make_one_withdraw() {
    on_every_store(async |bench| {
        let calls = (0..40).map(|_| {
            let mut client = bench.client();
            tokio::spawn(async move {
                let request = CreateWithdrawRequest {
                    request_id: "order-7".into(),
                    max_amount: "10".into(),
                    ..CreateWithdrawRequest::default()
                };
                client.create_withdraw(request).await.unwrap().into_inner()
            })
        });
        let made: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(bench.events_of(&made[0].id).await, ["created"]);
    })
    .await;
}

/// Batches with the same ids in opposite orders wait for each other; none is lost to a deadlock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_in_opposite_orders_do_not_deadlock() {
    on_every_store(async |bench| {
        let entry = |n: usize| CreateWithdrawRequest {
            request_id: format!("entry-{n}"),
            max_amount: "10".into(),
            ..CreateWithdrawRequest::default()
        };
        let calls = (0..8).map(|caller| {
            let mut client = bench.client();
            let mut requests: Vec<_> = (0..60).map(entry).collect();
            if caller % 2 == 1 {
                requests.reverse();
            }
            tokio::spawn(async move {
                let batch = withdrawd::pb::BatchCreateWithdrawsRequest { requests };
                client.batch_create_withdraws(batch).await.unwrap().into_inner().withdraws
            })
        });
        let mut batches: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        for batch in &mut batches {
            batch.sort_by(|a, b| a.id.cmp(&b.id));
        }
        assert!(batches.windows(2).all(|pair| pair[0] == pair[1]));
    })
    .await;
}

/// Two payers on one database never send one attempt twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_given_once() {
    use withdrawd::{domain::Millis, ports::Lane, runtime::Clock};
    on_every_store(async |bench| {
        bench.node.unreachable.store(true, std::sync::atomic::Ordering::SeqCst);
        for _ in 0..30 {
            let withdraw = bench.create(10, 10).await;
            bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        }
        bench.run_payer().await;
        bench.clock.advance(Millis::from_secs(60));
        bench.run_payer().await;
        bench.clock.jump(Millis::from_secs(120));
        let (store, now) = (bench.store(), bench.clock.now());
        let until = now.plus(Millis::from_secs(90));
        let leases = (0..6).map(|_| {
            let store = Arc::clone(&store);
            bench.inside(async move { store.lease(Lane::Fresh, now, until, 10).await.unwrap() })
        });
        let mut ids: Vec<_> =
            join_all(leases).await.into_iter().flatten().map(|leased| leased.payment.id).collect();
        let taken = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), taken), (30, 30));
        // A lease that was lost with a database is not given again under the same number.
        bench.sql("update payments set epoch = 1, due_at_ms = 0").await;
        let later = now.plus(Millis::from_ms(1));
        let store = bench.store();
        let again = async move { store.lease(Lane::Fresh, later, until, 50).await.unwrap() };
        let again = bench.inside(again).await;
        assert!(again.iter().all(|leased| leased.fencing_token >= later.as_ms()), "{again:?}");
        assert_eq!(again.len(), 30);
        let withdraw = bench.create(1, 1).await;
        assert_eq!(bench.get(&withdraw.id).await.payment.map(|p| p.state()), None::<State>);
    })
    .await;
}
