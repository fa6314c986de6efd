//! A restart with 10,000 open attempts: the node is asked by few at a time, nobody waits behind what is
//! old, nobody is forgotten, and they do not come back all at once.

use std::{
    collections::HashSet,
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

use withdrawd::{
    domain::{Millis, Msat, PaymentHash},
    pb::{payment::State, withdraw::Status},
    runtime::Clock,
};

use crate::{
    bench::node::OnSend,
    bench::{Bench, StoreKind, store_kinds},
    store::contract::DirectConnection,
};

const BACKLOG: usize = 10_000;
/// One in twenty was accepted and not sent, two are sending, the others in flight for an hour.
const ONE_IN: usize = 20;
const RESERVED: usize = BACKLOG / ONE_IN;
const SENDING: usize = 2 * RESERVED;
const IN_FLIGHT: usize = BACKLOG - RESERVED - SENDING;
/// What the configuration says.
const MAX_SENDING: usize = 100;
const MAX_FOLLOWING: usize = 32;
const SLOW_S: usize = 300;

/// Tells from its hash which of the backlog a payment is, from 1 on: the smaller, the longer due.
fn number_of(hash: PaymentHash) -> Option<usize> {
    let (zeros, number) = hash.as_bytes().split_at(24);
    let number = u64::from_be_bytes(number.try_into().unwrap());
    zeros.iter().all(|byte| *byte == 0).then(|| usize::try_from(number).unwrap())
}

fn hash_of(number: usize) -> PaymentHash {
    let mut hash = [0; 32];
    hash[24..].copy_from_slice(&(number as u64).to_be_bytes());
    PaymentHash::from_bytes(hash)
}

fn is_old(hash: PaymentHash) -> bool {
    number_of(hash).is_some()
}

fn is_followed(hash: PaymentHash) -> bool {
    number_of(hash).is_some_and(|number| number % ONE_IN != 1)
}

/// The one payment that there is, in flight, becomes 10,000 more.
async fn multiply(bench: &Bench) {
    let (id_of, hash): (fn(&str) -> String, _) = match bench.kind {
        StoreKind::Sqlite => (
            |id| format!("unhex(substr(hex({id}), 1, 16) || printf('8000%012x', n))"),
            "unhex(printf('%064x', n))",
        ),
        StoreKind::Postgres => (
            |id| {
                let head = format!("substr(cast({id} as text), 1, 19)");
                format!("cast({head} || '8000-' || lpad(to_hex(n), 12, '0') as uuid)")
            },
            "decode(lpad(to_hex(n), 64, '0'), 'hex')",
        ),
    };
    let (id, withdraw_id, payment_id) = (id_of("id"), id_of("withdraw_id"), id_of("payment_id"));
    let now = bench.clock.now().as_ms();
    let (sent, sent_long_ago) = (now - 1_000, now - 3_600_000);
    let copies = format!(
        "(with recursive s(n) as (select 1 union all select n + 1 from s where n < {BACKLOG})
          select n from s) as s"
    );
    let of = |state: &str| match state {
        "RESERVED" => format!("n % {ONE_IN} = 1"),
        _ => format!("n % {ONE_IN} in (2, 3)"),
    };
    let (reserved, sending) = (of("RESERVED"), of("SENDING"));
    let mut hand = DirectConnection::on(bench).await;
    let mut statements = Vec::new();
    for table in ["withdraws", "payments", "sends"] {
        statements
            .push(format!("create temp table new_{table} as select * from {table}, {copies}"));
    }
    statements.push(format!(
        "update new_withdraws set id = {id}, payment_id = {payment_id}, secret_sha256 = {hash}"
    ));
    statements.push(format!(
        "update new_payments set id = {id}, withdraw_id = {withdraw_id}, payment_hash = {hash},
                state = case when {reserved} then 'RESERVED' when {sending} then 'SENDING'
                             else 'IN_FLIGHT' end,
                node_id = case when {reserved} then null else node_id end,
                known_at_ms = case when {reserved} or {sending} then null
                                   else known_at_ms - 3600000 - n end,
                due_at_ms = {now} - {BACKLOG} + n, epoch = 0, looks = 0"
    ));
    statements.push(format!("delete from new_sends where {reserved}"));
    statements.push(format!(
        "update new_sends set payment_id = {payment_id},
                sent_at_ms = case when {sending} then {sent} else {sent_long_ago} end,
                send_deadline_ms = 15000
                    + case when {sending} then {sent} else {sent_long_ago} end"
    ));
    for table in ["withdraws", "payments"] {
        statements.push(format!("alter table new_{table} drop column n"));
        statements.push(format!("insert into {table} select * from new_{table}"));
    }
    // Each gets a place of its own in the order of sends.
    let columns =
        "payment_id, number, epoch, node_id, sent_at_ms, begun_at_ms, send_deadline_ms, answer";
    statements.push(format!("insert into sends ({columns}) select {columns} from new_sends"));
    for statement in statements {
        hand.run(&statement).await.unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    for number in (1..=BACKLOG).filter(|number| !matches!(number % ONE_IN, 1..=3)) {
        bench.node.add_in_flight(hash_of(number), Msat::new(10_000).unwrap());
    }
}

async fn number(bench: &Bench, select: &str) -> usize {
    let text = DirectConnection::on(bench)
        .await
        .lines(&format!("select cast(({select}) as text)"), 0)
        .await;
    text.parse().unwrap()
}

async fn in_state(bench: &Bench, state: &str) -> usize {
    number(bench, &format!("select count(*) from payments where state = '{state}'")).await
}

async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let patience = Instant::now() + Duration::from_mins(1);
    while !so().await {
        assert!(Instant::now() < patience, "never: {what}");
        tokio::task::yield_now().await;
    }
}

/// A process with one payment in flight, then a crash with 10,000 more.
async fn crashed(kind: StoreKind) -> Bench {
    let mut bench = Bench::new(kind).await;
    // So that no channel is full.
    bench.node.active_channels.store(1_000, SeqCst);
    let first = bench.create(10, 10).await;
    bench.node.on_next_sends([OnSend::Hold]);
    bench.claim_ok(&first, &bench.invoice(10)).await;
    bench.run_payer_until(&first.id, State::InFlight).await;
    bench.crash();
    multiply(&bench).await;
    bench
}

#[tokio::test]
async fn a_restart_with_10_000_open_attempts_does_not_flood_the_node() {
    for kind in store_kinds() {
        eprintln!("on {kind:?}:");
        let began = Instant::now();
        let mut bench = crashed(kind).await;
        eprintln!("  made in {} ms", began.elapsed().as_millis());
        let asked = |bench: &Bench| bench.node.calls.look_ups().len();

        // The node answers nothing: all places are taken, and no further question is asked.
        bench.node.calls.hold_look_ups_of(is_old);
        bench.start().await;
        let most = MAX_SENDING + MAX_FOLLOWING;
        until("all places are taken", async || bench.node.calls.open_now() == most).await;
        let before = asked(&bench);
        for _ in 0..5 {
            bench.start_payer().await;
        }
        assert_eq!((asked(&bench), bench.node.calls.most_open()), (before, most));

        // Of the old ones only those that wait to be sent are answered: they are sent and end in doubt, since
        // what was open before a restart fails some time later only.
        bench.node.on_next_sends([OnSend::PayWithWrongPreimage; RESERVED]);
        bench.node.calls.hold_look_ups_of(is_followed);
        until("the reserved are sent", async || {
            bench.start_payer().await;
            in_state(&bench, "NEEDS_OPERATOR").await == RESERVED
        })
        .await;
        // A claim is paid at once, by its own wake, though all who follow hang.
        let (claimed, began) = (bench.create(10, 10).await, Instant::now());
        bench.claim_ok(&claimed, &bench.invoice(10)).await;
        bench.until(&claimed.id, |withdraw| withdraw.status() == Status::Paid).await;
        eprintln!(
            "  a claim beside {} due: {} ms",
            BACKLOG - RESERVED,
            began.elapsed().as_millis()
        );
        let followed = bench.node.calls.look_ups().into_iter().filter(|hash| is_followed(*hash));
        assert_eq!(followed.collect::<HashSet<_>>().len(), MAX_FOLLOWING);

        let began = Instant::now();
        bench.node.calls.hold_look_ups_of(|_| false);
        bench.run_payer().await;
        eprintln!("  all looked at in {} ms", began.elapsed().as_millis());
        assert!(bench.node.calls.most_open() <= most);
        the_longest_due_came_first(&bench.node.calls.look_ups());
        assert_eq!(in_state(&bench, "SENDING").await, SENDING);
        assert_eq!(in_state(&bench, "IN_FLIGHT").await, IN_FLIGHT + 1);
        the_next_looks_are_spread(&bench).await;
        nothing_happens_while_the_clock_stands(&bench).await;
    }
}

/// Each was looked at, and none before others that were due for much longer.
fn the_longest_due_came_first(looked: &[PaymentHash]) {
    for lane in [true, false] {
        let mut seen = HashSet::new();
        let in_order: Vec<usize> = looked
            .iter()
            .filter(|hash| is_followed(**hash) == lane)
            .filter_map(|hash| number_of(*hash))
            .filter(|number| seen.insert(*number))
            .collect();
        let mut due = in_order.clone();
        due.sort_unstable();
        assert_eq!(in_order.len(), if lane { BACKLOG - RESERVED } else { RESERVED });
        for (found, due) in in_order.iter().zip(&due) {
            // Those of one pass come in any order.
            let apart = found.abs_diff(*due);
            assert!(apart <= 3 * ONE_IN * MAX_SENDING, "{found} came where {due} was due");
        }
    }
}

/// What is followed slowly comes back over half of the span, not all in one second.
async fn the_next_looks_are_spread(bench: &Bench) {
    let now = bench.clock.now().as_ms();
    let long_ago = now - 3_600_000;
    let slow = format!("from payments where state = 'IN_FLIGHT' and known_at_ms < {long_ago}");
    let first = number(bench, &format!("select min(due_at_ms) - {now} {slow}")).await;
    let last = number(bench, &format!("select max(due_at_ms) - {now} {slow}")).await;
    assert!(first >= SLOW_S * 750 && last <= SLOW_S * 1_250, "{first} to {last} ms");
    let seconds = format!("select count(*) as many {slow} group by due_at_ms / 1000");
    let busiest = number(bench, &format!("select max(many) from ({seconds}) as seconds")).await;
    let even = IN_FLIGHT / (SLOW_S / 2);
    eprintln!("  next looks: {busiest} in the busiest second, {even} if all were alike");
    assert!(busiest < 2 * even, "{busiest} in one second");
}

/// Nothing is due: passes neither ask nor write.
async fn nothing_happens_while_the_clock_stands(bench: &Bench) {
    // Lookups, and leases that were written.
    let counted = async || {
        let leased = number(bench, "select sum(epoch) from payments").await;
        (bench.node.calls.look_ups().len(), leased)
    };
    let before = counted().await;
    for _ in 0..20 {
        bench.run_payer().await;
    }
    assert_eq!(counted().await, before);

    // Those that are due again come once more, and once only.
    let soon = bench.clock.now().as_ms() + 1_000;
    let due = format!("select count(*) from payments where due_at_ms <= {soon}");
    let due = number(bench, &due).await;
    assert!(due >= SENDING, "{due}");
    bench.run_payer_after(Millis::from_secs(1)).await;
    let now = bench.clock.now().as_ms();
    let leased =
        number(bench, &format!("select count(*) from payments where epoch >= {now}")).await;
    assert_eq!((bench.node.calls.look_ups().len(), leased), (before.0 + due, due));
}

/// A row that cannot be read, edited by hand or written by a newer version, holds up no other.
#[tokio::test]
async fn an_unreadable_attempt_holds_up_nobody() {
    for kind in store_kinds() {
        let bench = Bench::new(kind).await;
        let withdraws = [bench.create(10, 10).await, bench.create(11, 11).await];
        bench.node.on_next_sends([OnSend::LoseRequest, OnSend::LoseRequest]);
        for (withdraw, sat) in withdraws.iter().zip([10, 11]) {
            bench.claim_ok(withdraw, &bench.invoice(sat)).await;
        }
        bench.run_payer().await;
        bench.sql("update payments set noted_reason = 'NEWER' where amount_msat = 10000").await;

        // Every send is over, and the node knows nothing: it is asked once more.
        for _ in 0..3 {
            bench.run_payer_after(Millis::from_secs(120)).await;
        }
        assert_eq!(bench.get(&withdraws[1].id).await.status(), Status::Paid);
        // It is tried again, at the pace of leases: no pass is spent on it alone.
        let epochs = "select max(epoch) from payments where noted_reason = 'NEWER'";
        let tried = number(&bench, epochs).await;
        bench.run_payer().await;
        assert_eq!(number(&bench, epochs).await, tried);

        bench.sql("update payments set noted_reason = null").await;
        bench.run_payer_after(Millis::from_secs(120)).await;
        assert_eq!(bench.get(&withdraws[0].id).await.status(), Status::Paid);
    }
}
