//! A real asynchronous standby is promoted without the last commit that a caller was told of, whatever it
//! was; and with all of them.

use crate::bench::postgres_options;
use std::sync::atomic::Ordering::SeqCst;

use withdrawd::{
    domain::Millis,
    pb::{
        CreateWithdrawRequest, FenceRequest, Halt, ReleaseWithdrawsRequest, ResumeRequest,
        Withdraw, instance::FenceReason,
    },
};

use crate::{
    bench::clusters::{Cluster, Clusters},
    bench::lab::eventually,
    bench::{Bench, StoreKind, reason},
    claims::requests::reason_of,
    operators::resolving::{self, Doubt},
    restore::marks::{acknowledge, instance, pause},
};

const CAUGHT_UP: &str =
    "select (pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn())::int::bigint";

async fn on(clusters: &Clusters) -> Bench {
    Bench::with(StoreKind::Postgres, &[("store.database_url", &clusters.url())]).await
}

/// A standby that has all until now, and nothing of what follows.
pub async fn left_behind(clusters: &Clusters, primary: &Cluster) -> Cluster {
    let standby = clusters.standby(primary).await;
    standby.until(CAUGHT_UP, 1).await;
    standby.cut_off().await;
    standby
}

pub async fn fail_over(clusters: &Clusters, primary: &mut Cluster, standby: Cluster) {
    primary.crash();
    clusters.route_to(&standby);
    standby.promote().await;
    *primary = standby;
}

/// Nothing is served until the verifier has run; then the instance is fenced.
async fn fences(bench: &Bench, withdraw: &Withdraw, what: &str) {
    // The first calls may meet the connections of before.
    let create = || CreateWithdrawRequest { max_amount: "10".into(), ..Default::default() };
    eventually("nothing is created", async || {
        let refused = bench.client().create_withdraw(create()).await.expect_err(what);
        (reason_of(&refused) == "HALTED").then_some(())
    })
    .await;
    let refused = bench.deactivate(&withdraw.id).await.expect_err(what);
    assert_eq!(reason_of(&refused), "HALTED", "{what}");
    reason(&bench.claim(withdraw, &bench.invoice(10)).await);
    let sent = bench.node.sends().len();
    bench.run_payer().await;
    assert_eq!(bench.node.sends().len(), sent, "{what}");

    bench.verify_database().await;
    let stands = instance(bench).await;
    assert_eq!(
        (stands.halt(), stands.fence_reason()),
        (Halt::Fenced, FenceReason::MarkLost),
        "{what}"
    );
    reason(&bench.claim(withdraw, &bench.invoice(10)).await);
}

/// What an operator does then.
async fn end_the_fence(bench: &Bench) {
    bench.clock.advance(Millis::from_secs(1));
    acknowledge(bench).await;
    let (operator, reason) = ("ann".into(), "looked".into());
    let all = ReleaseWithdrawsRequest { operator, reason, ids: Vec::new(), all: true };
    bench.operations().release_withdraws(all).await.unwrap();
    bench.clock.advance(Millis::from_secs(1));
    assert_eq!(instance(bench).await.halt(), Halt::Unspecified);
}

async fn resolve(bench: &Bench, doubt: &Doubt) {
    resolving::resolve(bench, doubt.as_paid(None)).await.unwrap();
}

/// Each kind of commit, lost by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_that_lacks_an_answered_commit_is_fenced_before_it_serves() {
    let Some(clusters) = Clusters::open() else { return };
    let mut primary = clusters.primary().await;
    let bench = on(&clusters).await;
    let doubt = Doubt::unproven(&bench).await;
    for what in ["create", "deactivate", "pause", "claim", "fence", "resolve"] {
        eprintln!("lost: {what}");
        let withdraw = bench.create(10, 10).await;
        let standby = left_behind(&clusters, &primary).await;
        bench.clock.advance(Millis::from_secs(1));
        match what {
            "create" => drop(bench.create(10, 10).await),
            "deactivate" => drop(bench.deactivate(&withdraw.id).await.unwrap()),
            "pause" => pause(&bench).await,
            "claim" => {
                // Told OK, and not sent: the node cannot know of it.
                bench.node.unreachable.store(true, SeqCst);
                bench.claim_ok(&withdraw, &bench.invoice(10)).await;
            }
            "fence" => {
                let by_hand = FenceRequest { operator: "ann".into(), reason: "odd".into() };
                drop(bench.operations().fence(by_hand).await.unwrap());
            }
            "resolve" => resolve(&bench, &doubt).await,
            other => panic!("{other}"),
        }
        fail_over(&clusters, &mut primary, standby).await;
        fences(&bench, &withdraw, what).await;
        bench.node.unreachable.store(false, SeqCst);
        end_the_fence(&bench).await;
        bench.heartbeat().await;
        if what == "resolve" {
            // It was open again, and may be decided again.
            resolve(&bench, &doubt).await;
        }
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
    }
}

/// It answers, and may lack the last commits: no process works with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_not_taken_for_the_database() {
    let Some(clusters) = Clusters::open() else { return };
    let primary = clusters.primary().await;
    drop(on(&clusters).await);
    let standby = clusters.standby(&primary).await;
    standby.until(CAUGHT_UP, 1).await;
    clusters.route_to(&standby);
    let settings = [("store.database_url", clusters.url())];
    let config = withdrawd::config::Config::defaults(&settings).unwrap();
    for migrate in [false, true] {
        let options = postgres_options(&config, migrate);
        let refused = withdrawd::store::PostgresStore::open(options).await.map(drop).unwrap_err();
        let text = withdrawd::report::chain(&refused);
        assert!(text.contains("is a standby"), "{text}");
    }
}

/// A mix of them, none lost: a failover, a restart and a crash of the server need nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_standby_that_has_all_answered_commits_is_not_fenced() {
    let Some(clusters) = Clusters::open() else { return };
    let mut primary = clusters.primary().await;
    let bench = on(&clusters).await;
    let doubt = Doubt::unproven(&bench).await;
    let standby = clusters.standby(&primary).await;
    let [ended, claimed, free] =
        [bench.create(10, 10).await, bench.create(10, 10).await, bench.create(10, 10).await];
    bench.deactivate(&ended.id).await.unwrap();
    bench.claim_ok(&claimed, &bench.invoice(10)).await;
    resolve(&bench, &doubt).await;
    pause(&bench).await;
    let resume = ResumeRequest { operator: "ann".into(), reason: "fine".into() };
    bench.operations().resume(resume).await.unwrap();
    bench.run_payer().await;
    standby.until("select count(*) from operator_actions where action = 'RESUME'", 1).await;
    let last = bench.create(10, 10).await;
    standby.until("select count(*) from withdraws", 5).await;
    fail_over(&clusters, &mut primary, standby).await;
    let goes_on = async |withdraw: &Withdraw| {
        eventually("the service goes on", async || {
            let verifier = bench.server_is_verified().await;
            let stands = instance(&bench).await;
            assert_eq!(stands.fence_reason(), FenceReason::Unspecified);
            verifier.then_some(())
        })
        .await;
        bench.claim_ok(withdraw, &bench.invoice(10)).await;
        bench.run_payer().await;
    };
    goes_on(&free).await;
    let [one, two] = [bench.create(10, 10).await, bench.create(10, 10).await];
    primary.crash();
    primary.start().await;
    goes_on(&one).await;
    primary.crash();
    primary.start().await;
    goes_on(&two).await;
    assert!(bench.get(&last.id).await.claimable);
}
