//! What is kept of the whole instance is what its rows say, whatever happened; and the limit of 24 hours,
//! which is counted by it.

use crate::bench::postgres_options;
use std::sync::{Arc, atomic::Ordering::SeqCst};

use futures_util::future::join_all;
use withdrawd::{
    domain::{FailureReason, Millis, PublicUrl, Refusal},
    pb::{GetInstanceRequest, payment::State, withdraw::Status},
    ports::{NoRecorder, Store},
    runtime::{Clock, Runtime, SystemEntropy, TokioSpawner},
    service::{ClaimError, ClaimService, Notifier},
    store::PostgresStore,
};

use crate::{
    bench::node::OnSend,
    bench::{Bench, StoreKind, on_every_store, reason, store_kinds},
    operators::payment_lists::SamplePayments,
    operators::resolving::{Doubt, resolve},
    store::contract::DirectConnection,
};

/// Lists each tally that is not what the rows say, and by how much. Of what went out, only what the last
/// heartbeat may still ask for: the rest may be dropped.
pub fn differences(kind: StoreKind) -> String {
    let (shard, ms) = match kind {
        StoreKind::Sqlite => {
            let digit = |at: u32| format!("instr('123456789ABCDEF', substr(hex(id), {at}, 1))");
            let time: Vec<_> =
                (1..=12).map(|at| format!("({} << {})", digit(at), 4 * (12 - at))).collect();
            (digit(32), format!("({})", time.join(" + ")))
        }
        StoreKind::Postgres => (
            "('x' || right(cast(id as text), 1))::bit(4)::int".to_owned(),
            "('x0000' || substr(replace(cast(id as text), '-', ''), 1, 12))::bit(64)::bigint"
                .to_owned(),
        ),
    };
    format!(
        "with found (kind, slot, shard, msat, payments) as (
             select 'OPEN', 0, {shard},
                    case when state = 'IN_FLIGHT' then 0 else amount_msat + fee_limit_msat end,
                    case when state = 'IN_FLIGHT' then 1 else 0 end
               from payments where state in ('RESERVED', 'SENDING', 'IN_FLIGHT')
             union all
             select 'OUT', known_at_ms / 1000, {shard}, amount_msat + fee_limit_msat, 0
               from payments where known_at_ms is not null and state not in ('SENDING', 'FAILED')
             union all
             select 'SPENT', {ms} / 900000, {shard},
                    amount_msat + case when state = 'PAID' then fee_msat
                                       when state = 'FAILED' then coalesce(late_fee_msat, 0)
                                       else fee_limit_msat end, 0
               from payments where state <> 'FAILED' or late_at_ms is not null
             union all
             select kind, slot, shard, - msat, - payments from tallies)
         select cast(kind || ' ' || slot || '/' || shard || ': ' || sum(msat) || ' msat, '
                     || sum(payments) as text)
           from found
          where kind <> 'OUT' or slot >= coalesce((select max(heartbeat_at_ms) - 3600000
                                                     from nodes where is_current), 0) / 1000
          group by kind, slot, shard having sum(msat) <> 0 or sum(payments) <> 0"
    )
}

/// The tallies are what the rows say.
pub async fn assert_true(bench: &Bench) {
    let found = DirectConnection::on(bench).await.lines(&differences(bench.kind), 0).await;
    assert_eq!(found, "", "on {:?}: rows less tallies", bench.kind);
}

async fn spent(bench: &Bench) -> i64 {
    let instance = bench.operations().get_instance(GetInstanceRequest {}).await.unwrap();
    instance.into_inner().spent_24h_msat
}

/// Attempts of every kind, in every state, ended in every way.
#[tokio::test]
async fn what_is_kept_is_what_the_rows_say() {
    on_every_store(async |mut bench| {
        let _shelf = SamplePayments::of(&bench).await;
        assert_true(&bench).await;
        let kept = "select cast(count(*) as text) from tallies where msat > 0";
        let kept: i64 = DirectConnection::on(&bench).await.lines(kept, 0).await.parse().unwrap();
        assert!(kept > 3, "{kept}: nothing was compared");

        bench.crash_and_restart().await;
        bench.node.release(true);
        let doubt = Doubt::unproven(&bench).await;
        resolve(&bench, doubt.as_paid(Some(7))).await.unwrap();
        assert_true(&bench).await;
        let doubt = Doubt::vanished(&bench).await;
        assert_true(&bench).await;
        resolve(&bench, doubt.as_failed(true, true)).await.unwrap();
        assert_true(&bench).await;
        for _ in 0..6 {
            bench.run_payer_after(Millis::from_secs(600)).await;
            bench.heartbeat().await;
            assert_true(&bench).await;
        }
    })
    .await;
}

/// A database of the version before is filled from its rows.
#[tokio::test]
async fn an_upgrade_counts_what_is_there() {
    on_every_store(async |mut bench| {
        let _shelf = SamplePayments::of(&bench).await;
        bench.crash();
        let mut hand = DirectConnection::on(&bench).await;
        let mut undo = vec!["drop table tallies", "alter table payments drop column tallied"];
        if bench.kind == StoreKind::Postgres {
            undo.extend([
                "drop table limit_gate",
                "alter table payments drop column written_at_ms",
            ]);
        }
        undo.push("delete from _sqlx_migrations where version = 5");
        for statement in undo {
            hand.run(statement).await.unwrap();
        }
        bench.start().await;
        assert_true(&bench).await;
        bench.node.release(false);
        bench.run_payer_after(Millis::from_secs(600)).await;
        assert_true(&bench).await;
    })
    .await;
}

/// A program of the version before moves payments and no tallies: its steps are refused.
#[tokio::test]
async fn a_step_that_is_not_counted_is_not_written() {
    on_every_store(async |bench| {
        bench.node.unreachable.store(true, SeqCst);
        let withdraw = bench.create(10, 10).await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
        let step = "update payments set state = 'SENDING', node_id = 'x', version = version + 1";
        let error = DirectConnection::on(&bench).await.run(step).await.unwrap_err();
        assert!(error.to_string().contains("payments_tallied"), "{error}");
    })
    .await;
}

/// Nor does one accept a claim: on Postgres, where it may run beside this one for a while.
#[tokio::test]
async fn a_claim_that_is_not_counted_is_not_written() {
    if !store_kinds().contains(&StoreKind::Postgres) {
        return;
    }
    let bench = Bench::new(StoreKind::Postgres).await;
    let withdraw = bench.create(10, 10).await;
    bench.claim_ok(&withdraw, &bench.invoice(10)).await;
    bench.run_payer().await;
    let mut hand = DirectConnection::on(&bench).await;
    let columns = hand
        .lines(
            "select string_agg(column_name, ', ') from information_schema.columns
              where table_name = 'payments'
                and column_name not in ('id', 'payment_hash', 'tallied')",
            0,
        )
        .await;
    let copy = |tallied: &str, value: &str| {
        format!(
            "insert into payments (id, payment_hash{tallied}, {columns})
             select gen_random_uuid(), sha256(payment_hash){value}, {columns} from payments"
        )
    };
    let error = hand.run(&copy("", "")).await.unwrap_err();
    assert!(error.to_string().contains("tallied"), "{error}");
}

/// A withdrawal of 1 sat may cost 11: its payee can take the fee by a route of its own.
#[tokio::test]
async fn the_fee_limit_counts_while_a_payment_is_open_and_the_fee_once_it_is_paid() {
    for kind in store_kinds() {
        let bench = Bench::with(kind, &[("limits.rolling_24h_sat", "33")]).await;
        let links = [bench.create(1, 1).await, bench.create(1, 1).await, bench.create(1, 1).await];
        let fourth = bench.create(1, 1).await;
        bench.node.on_next_sends([OnSend::Hold, OnSend::Hold, OnSend::Hold]);
        for link in &links {
            bench.claim_ok(link, &bench.invoice(1)).await;
            bench.run_payer_until(&link.id, State::InFlight).await;
        }
        assert_eq!(spent(&bench).await, 33_000);
        reason(&bench.claim(&fourth, &bench.invoice(1)).await);
        bench.node.release(true);
        for link in &links {
            bench.until(&link.id, |now| now.status() == Status::Paid).await;
        }
        assert_eq!(spent(&bench).await, 3_003);
        bench.node.on_next_sends([OnSend::Fail(FailureReason::NoRoute)]);
        bench.claim_ok(&fourth, &bench.invoice(1)).await;
        bench.run_payer().await;
        assert_eq!(spent(&bench).await, 3_003);
        assert_true(&bench).await;
    }
}

/// An amount counts for 24 hours, and for a quarter of an hour more at most: never for less.
#[tokio::test]
async fn the_limit_is_steady_over_the_edges_of_its_slots() {
    const DAY: i64 = 24 * 3_600_000;
    const SLOT: i64 = 900_000;
    for kind in store_kinds() {
        // When it is accepted within its slot, and for how long it counts.
        for (at, counts_for) in [(0, DAY + SLOT), (SLOT / 2, DAY + SLOT / 2), (SLOT - 1, DAY + 1)] {
            let bench = Bench::with(kind, &[("limits.rolling_24h_sat", "20")]).await;
            let into_slot = bench.clock.now().as_ms().rem_euclid(SLOT);
            assert_eq!(into_slot, 0, "the test's clock begins with a slot");
            bench.clock.advance(Millis::from_ms(at));
            bench.claim_ok(&bench.create(10, 10).await, &bench.invoice(10)).await;
            bench.run_payer().await;
            let spent_then = spent(&bench).await;
            assert_eq!(spent_then, 10_001);
            bench.clock.advance(Millis::from_ms(counts_for - 1));
            assert_eq!(spent(&bench).await, spent_then, "{at}: too early");
            bench.clock.advance(Millis::from_ms(1));
            assert_eq!(spent(&bench).await, 0, "{at}: too late");
        }
    }
}

/// A limit that is switched on finds what was accepted before.
#[tokio::test]
async fn a_limit_that_is_switched_on_counts_what_was_accepted_before() {
    on_every_store(async |mut bench| {
        bench.claim_ok(&bench.create(100, 100).await, &bench.invoice(100)).await;
        bench.run_payer().await;
        bench.crash();
        bench.config.limits.rolling_24h_sat = 150;
        bench.start().await;
        assert_eq!(spent(&bench).await, 100_001);
        let offer = bench.offer(&bench.create(1, 100).await).await;
        // With the least fee limit of 10 sat.
        assert_eq!(offer["maxWithdrawable"], 39_000, "{offer}");
    })
    .await;
}

/// Two hundred wallets at once, over two replicas, and room for fifty: exactly fifty are accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_at_once_over_two_replicas_fill_the_limit_and_do_not_exceed_it() {
    if !store_kinds().contains(&StoreKind::Postgres) {
        return;
    }
    let bench = Bench::with(StoreKind::Postgres, &[("limits.rolling_24h_sat", "1000")]).await;
    // What is accepted stays open: 10 sat and a fee limit of 10 sat.
    bench.node.unreachable.store(true, SeqCst);
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let options = postgres_options(&bench.config, false);
        let store: Arc<dyn Store> = Arc::new(PostgresStore::open(options).await.unwrap());
        assert!(store.server().await.unwrap().verified);
        let runtime = Runtime {
            clock: Arc::clone(&bench.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SystemEntropy),
            spawner: Arc::new(TokioSpawner),
        };
        replicas.push(ClaimService::new(
            store,
            bench.settings().claims,
            PublicUrl::parse(&format!("http://{}", bench.lnurl())).unwrap(),
            runtime,
            Notifier::default(),
            Arc::new(NoRecorder),
        ));
    }
    let mut claims = Vec::new();
    for n in 0..200 {
        let (withdraw, invoice) = (bench.create(10, 10).await, bench.invoice(10));
        let service = replicas[n % 2].clone();
        claims.push(async move { service.claim(&withdraw.ott, &invoice).await });
    }
    let answers = join_all(claims.into_iter().map(tokio::spawn)).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 50);
    let limit_spent = |answer: &Result<(), ClaimError>| {
        let spent = Refusal::CannotPay(withdrawd::domain::HaltReason::LimitSpent);
        matches!(answer, Ok(())) || matches!(answer, Err(ClaimError::Refused(why)) if *why == spent)
    };
    assert!(answers.iter().all(limit_spent), "{answers:?}");
    assert_eq!(spent(&bench).await, 1_000_000);
    assert_true(&bench).await;
}
