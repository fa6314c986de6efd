//! The exported metrics: before and after each kind of end, of the whole instance, and while the
//! database is silent.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use tonic::Code;
use withdrawd::{
    domain::{FailureReason, Millis, Msat, payment::RecordState},
    pb::{PauseRequest, payment::State},
};

use crate::{
    bench::binary::{Home, until},
    bench::http,
    bench::node::OnSend,
    bench::scrape::Scrape,
    bench::{Bench, StoreKind, new_postgres_database, on_every_store, postgres_url},
    edge::admin::allow_connections_to,
    payments::doubts::proof_of,
};

/// A scrape a moment later: within a second it would be the same.
async fn scrape(bench: &Bench) -> Scrape {
    bench.clock.advance(Millis::from_secs(1));
    Scrape::of(bench.admin()).await
}

/// A call is counted when its last byte is gone, which the caller may have before that.
async fn wait_for_series(bench: &Bench, series: &str, value: f64) {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        let told = Scrape::of(bench.admin()).await;
        if told.value(series) == Some(value) {
            return;
        }
        assert!(Instant::now() < patience, "never {series} {value}: {}", told.text);
        tokio::task::yield_now().await;
    }
}

async fn claimed(bench: &Bench, on_send: OnSend) -> (withdrawd::pb::Withdraw, String) {
    let (withdraw, invoice) = (bench.create(10, 10).await, bench.invoice(10));
    bench.node.on_next_sends([on_send]);
    bench.claim_ok(&withdraw, &invoice).await;
    bench.run_payer().await;
    (withdraw, invoice)
}

const PAID: &str = r#"withdrawd_payments_total{state="PAID",reason=""}"#;
const PAID_AFTER: &str = r#"withdrawd_payments_total{state="PAID",reason="AFTER_FAILURE"}"#;
const NO_ROUTE: &str = r#"withdrawd_payments_total{state="FAILED",reason="NO_ROUTE"}"#;
const DOUBT: &str = r#"withdrawd_payments_total{state="NEEDS_OPERATOR",reason="WRONG_PREIMAGE"}"#;
const LATE: &str = r#"withdrawd_payments_total{state="LATE_SUCCESS",reason=""}"#;

#[tokio::test]
async fn ends_of_payments_are_counted_once_each() {
    on_every_store(async |bench| {
        let zero = [(PAID, 0.0), (PAID_AFTER, 0.0), (NO_ROUTE, 0.0), (DOUBT, 0.0), (LATE, 0.0)];
        scrape(&bench).await.assert_values(&zero);
        scrape(&bench).await.assert_values(&[("withdrawd_claims_total", 0.0)]);

        let (paid, _) = claimed(&bench, OnSend::Pay).await;
        let routing = bench.get(&paid.id).await.payment.unwrap().fee_msat.unwrap();
        claimed(&bench, OnSend::PayWithWrongPreimage).await;
        let (unclaimed, first) = claimed(&bench, OnSend::Fail(FailureReason::NoRoute)).await;
        let (again, beside) = claimed(&bench, OnSend::Fail(FailureReason::NoRoute)).await;
        bench.claim_ok(&again, &bench.invoice(10)).await;
        bench.run_payer().await;
        #[expect(clippy::cast_precision_loss, reason = "a fee of a test")]
        let fees = routing as f64;
        scrape(&bench).await.assert_values(&[
            (PAID, 2.0),
            (NO_ROUTE, 2.0),
            (DOUBT, 1.0),
            (LATE, 0.0),
            ("withdrawd_claims_total", 5.0),
            ("withdrawd_claim_to_paid_seconds_count", 2.0),
            ("withdrawd_paid_msat_total", 20_000.0),
            ("withdrawd_routing_fees_msat_total", 2.0 * fees),
        ]);

        for invoice in [&first, &beside] {
            let fee = Msat::new(1).unwrap();
            let paid = RecordState::Succeeded { preimage: proof_of(invoice), fee };
            bench.node.add_foreign_payment(invoice, paid);
        }
        bench.run_payer_after(Millis::from_secs(3601)).await;
        for _ in 0..3 {
            bench.run_payer_after(Millis::from_secs(400)).await;
        }
        assert_eq!(bench.get(&unclaimed.id).await.status().as_str_name(), "PAID");
        scrape(&bench).await.assert_values(&[
            (PAID, 2.0),
            (PAID_AFTER, 1.0),
            (LATE, 1.0),
            ("withdrawd_paid_msat_total", 40_000.0),
            ("withdrawd_routing_fees_msat_total", 2.0 * fees + 2.0),
        ]);
    })
    .await;
}

#[tokio::test]
async fn the_status_of_the_instance_is_exported() {
    on_every_store(async |mut bench| {
        bench.heartbeat().await;
        let before = scrape(&bench).await;
        before.assert_values(&[
            ("withdrawd_store_up", 1.0),
            (r#"withdrawd_open_payments{state="IN_FLIGHT"}"#, 0.0),
            (r#"withdrawd_oldest_open_payment_age_seconds{state="IN_FLIGHT"}"#, 0.0),
            ("withdrawd_paused", 0.0),
            ("withdrawd_fenced", 0.0),
            ("withdrawd_verified", 1.0),
            ("withdrawd_node_synced", 1.0),
            (r#"withdrawd_halted{halt="PAUSED"}"#, 0.0),
        ]);
        assert!(before.value("withdrawd_claimable_msat").unwrap() > 0.0, "{}", before.text);
        assert!(before.value("withdrawd_node_can_send_msat").unwrap() > 0.0);
        assert_eq!(before.value("withdrawd_rolling_24h_accepted_msat"), None);

        let held = bench.create(10, 10).await;
        bench.node.on_next_sends([OnSend::Hold]);
        bench.claim_ok(&held, &bench.invoice(10)).await;
        bench.run_payer_until(&held.id, State::InFlight).await;
        bench.clock.advance(Millis::from_secs(99));
        claimed_in_doubt(&bench).await;
        let pause = PauseRequest { operator: "annabelle".into(), reason: "a secret reason".into() };
        bench.operations().pause(pause).await.unwrap();
        let after = scrape(&bench).await;
        after.assert_values(&[
            (r#"withdrawd_open_payments{state="RESERVED"}"#, 0.0),
            (r#"withdrawd_open_payments{state="IN_FLIGHT"}"#, 1.0),
            (r#"withdrawd_oldest_open_payment_age_seconds{state="IN_FLIGHT"}"#, 100.0),
            (r#"withdrawd_open_payments{state="NEEDS_OPERATOR"}"#, 1.0),
            (r#"withdrawd_oldest_open_payment_age_seconds{state="NEEDS_OPERATOR"}"#, 1.0),
            ("withdrawd_paused", 1.0),
            (r#"withdrawd_halted{halt="PAUSED"}"#, 1.0),
            (r#"withdrawd_halted{halt="FENCED"}"#, 0.0),
        ]);
        for secret in [&held.ott, &held.id, "annabelle", "secret reason", "lnbcrt"] {
            assert!(!after.text.contains(secret), "{secret}: {}", after.text);
        }
        bench.node.release(true);

        let fence = "update instance set fenced_at_ms = 1, fence_reason = 'BY_HAND'";
        bench.sql(fence).await;
        scrape(&bench).await.assert_values(&[
            ("withdrawd_fenced", 1.0),
            (r#"withdrawd_halted{halt="PAUSED"}"#, 0.0),
            (r#"withdrawd_halted{halt="FENCED"}"#, 1.0),
            ("withdrawd_claimable_msat", 0.0),
        ]);
        // What a process has counted is its own.
        bench.crash_and_restart().await;
        scrape(&bench)
            .await
            .assert_values(&[("withdrawd_claims_total", 0.0), ("withdrawd_fenced", 1.0)]);
    })
    .await;
}

async fn claimed_in_doubt(bench: &Bench) {
    let (withdraw, invoice) = (bench.create(10, 10).await, bench.invoice(10));
    bench.node.on_next_sends([OnSend::PayWithWrongPreimage]);
    bench.claim_ok(&withdraw, &invoice).await;
    bench.start_payer().await;
    bench
        .until(&withdraw.id, |withdraw| {
            withdraw.payment.as_ref().is_some_and(|p| p.state() == State::NeedsOperator)
        })
        .await;
}

#[tokio::test]
async fn the_daily_limit_is_exported_where_there_is_one() {
    let settings = [("limits.rolling_24h_sat", "100")];
    let bench = Bench::with(StoreKind::Sqlite, &settings).await;
    claimed(&bench, OnSend::Pay).await;
    scrape(&bench).await.assert_values(&[
        ("withdrawd_rolling_24h_accepted_msat", 10_001.0),
        ("withdrawd_rolling_24h_limit_msat", 100_000.0),
        ("withdrawd_claimable_msat", 79_000.0),
    ]);
}

/// Rate, errors and duration of both faces; whatever a client sends, labels stay ours.
#[tokio::test]
async fn calls_and_requests_are_counted_by_bounded_names() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let call = |method: &str, code: &str| {
        format!(
            "rpc_server_call_duration_seconds_count{{rpc_method=\"{method}\",\
             rpc_response_status_code=\"{code}\"}}"
        )
    };
    let withdraw = bench.create(10, 10).await;
    let create = "withdraw.v1.WithdrawService/CreateWithdraw";
    wait_for_series(&bench, &call(create, "OK"), 1.0).await;
    bench
        .client()
        .create_withdraw(withdrawd::pb::CreateWithdrawRequest::default())
        .await
        .unwrap_err();
    wait_for_series(&bench, &call(create, "INVALID_ARGUMENT"), 1.0).await;

    for n in 0..20 {
        let path = format!("/withdraw.v1.WithdrawService/Evil{n}");
        assert_eq!(unknown_method(&bench, path).await, Code::Unimplemented);
    }
    wait_for_series(&bench, &call("_OTHER", "UNIMPLEMENTED"), 20.0).await;

    bench.offer(&withdraw).await;
    bench.claim(&withdraw, "lnbcrt1nonsense").await;
    bench.claim(&withdraw, &bench.invoice(10)).await;
    for n in 0..20 {
        http::get(bench.lnurl(), &format!("/evil{n}")).await;
        http::get(bench.lnurl(), &format!("/w/evil{n}")).await;
        http::get(bench.lnurl(), &format!("/cb?evil{n}=1")).await;
    }
    let requests = |endpoint: &str, answer: &str| {
        format!(
            "withdrawd_lnurl_request_duration_seconds_count{{endpoint=\"{endpoint}\",\
             answer=\"{answer}\"}}"
        )
    };
    let told = scrape(&bench).await;
    told.assert_values(&[
        (&requests("withdraw", "OFFER"), 1.0),
        (&requests("withdraw", "UNKNOWN"), 20.0),
        (&requests("callback", "OK"), 1.0),
        (&requests("callback", "BAD_INVOICE"), 1.0),
        (&requests("callback", "BAD_REQUEST"), 20.0),
        (&requests("unknown", "NOT_FOUND"), 20.0),
    ]);
    assert!(!told.text.to_lowercase().contains("evil"), "{}", told.text);
    assert!(!told.text.contains("grpc.health"), "{}", told.text);
}

async fn unknown_method(bench: &Bench, path: String) -> Code {
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", bench.grpc()));
    let mut client = tonic::client::Grpc::new(channel.unwrap().connect().await.unwrap());
    client.ready().await.unwrap();
    let codec =
        tonic_prost::ProstCodec::<withdrawd::pb::Withdraw, withdrawd::pb::Withdraw>::default();
    let request = tonic::Request::new(withdrawd::pb::Withdraw::default());
    client.unary(request, path.parse().unwrap(), codec).await.unwrap_err().code()
}

/// Scrapes go on while the database is gone, and do not wait for it as long as calls do.
#[tokio::test]
async fn other_metrics_are_exported_while_the_database_is_silent() {
    if postgres_url().is_none() {
        return eprintln!("SKIPPED: no Postgres");
    }
    let home = Home::new();
    let url = new_postgres_database().await;
    let calls_wait = [("WITHDRAWD__STORE__ACQUIRE_TIMEOUT_MS", "30000")];
    let service = home.serve_with(&["--database-url", &url], &calls_wait);
    let made = service.create("10");
    service.json(&["claim", made["withdraw_request"].as_str().unwrap()]);
    service.paid(&made["id"]);
    let before = Scrape::of(service.admin).await;
    before.assert_values(&[("withdrawd_store_up", 1.0), (PAID, 1.0)]);
    assert!(before.value("withdrawd_store_connections_max").unwrap() > 1.0);

    allow_connections_to(&url, false).await;
    let patience = Instant::now() + Duration::from_mins(1);
    let silent = loop {
        let asked = Instant::now();
        let told = Scrape::of(service.admin).await;
        // A second, and what a busy machine adds to it.
        assert!(asked.elapsed() < Duration::from_secs(15), "{:?}", asked.elapsed());
        if told.value("withdrawd_store_up") == Some(0.0) {
            break told;
        }
        assert!(Instant::now() < patience, "{}", told.text);
    };
    silent.assert_values(&[(PAID, 1.0), ("withdrawd_claims_total", 1.0)]);
    for hidden in ["withdrawd_open_payments", "withdrawd_fenced", "withdrawd_node_synced"] {
        assert!(!silent.text.contains(hidden), "{}", silent.text);
    }
    assert_eq!(http::get(service.admin, "/healthz").await.status, 200);

    allow_connections_to(&url, true).await;
    let patience = Instant::now() + Duration::from_mins(1);
    while Scrape::of(service.admin).await.value("withdrawd_store_up") != Some(1.0) {
        assert!(Instant::now() < patience, "{}", service.log());
        tokio::task::yield_now().await;
    }
}

/// However many ask, the database is asked once in a second.
#[tokio::test]
async fn scrapes_within_a_second_see_the_same() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    scrape(&bench).await.assert_values(&[("withdrawd_fenced", 0.0)]);
    bench.sql("update instance set fenced_at_ms = 1, fence_reason = 'BY_HAND'").await;
    Scrape::of(bench.admin()).await.assert_values(&[("withdrawd_fenced", 0.0)]);
    scrape(&bench).await.assert_values(&[("withdrawd_fenced", 1.0)]);
}

/// The guide's table has what is exported: names, types and labels, no more and no less.
#[test]
fn the_guide_lists_every_metric() {
    let guide = include_str!("../../../deploy/operations.md");
    let section = guide.split("\n## Metrics\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut listed = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels: BTreeSet<String> = labels.filter(|label| !label.is_empty()).collect();
        listed.insert(cells[1].trim_matches('`').to_owned(), (cells[2].to_owned(), labels));
    }

    let home = Home::new();
    let service = home.serve_with(&[], &[("WITHDRAWD__LIMITS__ROLLING_24H_SAT", "100000")]);
    let made = service.create("10");
    service.json(&["claim", made["withdraw_request"].as_str().unwrap()]);
    service.paid(&made["id"]);
    let told = until("the node was heard of", || {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let told = tokio.block_on(Scrape::of(service.admin));
        told.text.contains("withdrawd_node_synced").then_some(told)
    });
    let seen = told.types().into_iter().map(|(name, kind)| {
        let labels = told.text.lines().filter(|line| {
            let series = line.split(['{', ' ']).next().unwrap();
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .any(|suffix| series.strip_suffix(suffix) == Some(name.as_str()));
            series == name || of_histogram
        });
        let mut names = BTreeSet::new();
        for line in labels {
            let Some((_, rest)) = line.split_once('{') else { continue };
            let pairs = rest.split('}').next().unwrap().split("\",");
            names.extend(pairs.map(|pair| pair.split('=').next().unwrap().to_owned()));
        }
        names.remove("le");
        (name, (kind, names))
    });
    assert_eq!(seen.collect::<BTreeMap<_, _>>(), listed);
    // Units stand in the names.
    for line in told.text.lines().filter_map(|line| line.strip_prefix("# UNIT ")) {
        let (name, unit) = line.split_once(' ').unwrap();
        assert!(matches!(unit, "seconds" | "msat") && name.ends_with(unit), "{line}");
    }
}
