//! Where spans go, as the standard variables say; and that a collector that is away takes nothing else
//! with it.

use std::time::{Duration, Instant};

use tokio::net::TcpSocket;

use crate::{
    bench::StoreKind,
    bench::binary::Home,
    bench::collector::Collector,
    edge::traces::{CREATOR, WALLET, lines, one_line, serve, withdraw},
};

/// A collector that refuses and one that never answers: calls and payments do not wait for it, the log
/// is logged once, and a stop ends in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_costs_nothing_but_its_spans() {
    let silent = Collector::start_silent().await.endpoint();
    // Bound and never listening: it refuses, and nobody else is given its port.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let dead = format!("http://{}", socket.local_addr().unwrap());
    for endpoint in [silent, dead] {
        eprintln!("at {endpoint}:");
        let home = Home::new();
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "60000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "10"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "8"),
        ];
        let mut service = serve(&home, StoreKind::Sqlite, &variables).await;
        let began = Instant::now();
        for _ in 0..3 {
            withdraw(&service, true).await;
        }
        let withdrew = began.elapsed();
        // A minute is what each export takes.
        assert!(withdrew < Duration::from_secs(30), "{withdrew:?}");
        let began = Instant::now();
        assert!(service.terminate().success());
        let stopped = began.elapsed();
        eprintln!("withdrew in {withdrew:?}, stopped in {stopped:?}");
        assert!(stopped < Duration::from_secs(15), "{stopped:?}");
        let told = lines(&service, |line| {
            let message = line["message"].as_str();
            message.is_some_and(|message| message.contains("spans"))
        });
        assert!((1..=2).contains(&told.len()), "{told:?}");
    }
}

/// The caller decides whether its trace is recorded, the operator about all others; lines name their
/// traces in any case.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sampler_is_the_environments() {
    let (home, collector) = (Home::new(), Collector::start().await);
    let endpoint = collector.endpoint();
    let mut service = serve(
        &home,
        StoreKind::Sqlite,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_SERVICE_NAME", "payouts"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ],
    )
    .await;
    withdraw(&service, false).await;
    assert!(service.terminate().success());
    assert!(collector.spans().iter().all(|seen| ![CREATOR, WALLET].contains(&&*seen.trace_id())));
    collector.span_named("pay");
    assert_eq!(collector.resource()["service.name"], "payouts");
    assert_eq!(collector.resource()["deployment.environment.name"], "test");

    let (home, collector) = (Home::new(), Collector::start().await);
    let endpoint = collector.endpoint();
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_TRACES_SAMPLER", "always_off")];
    let mut service = serve(&home, StoreKind::Sqlite, &variables).await;
    withdraw(&service, true).await;
    assert!(service.terminate().success());
    assert_eq!(collector.spans().len(), 0);
    assert_eq!(one_line(&service, "rpc", "CreateWithdraw")["trace_id"], CREATOR);
}

/// Over TLS, to a collector whose authority the operator names; one that nobody vouches for gets
/// nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_go_to_whom_the_operator_trusts() {
    let (collector, certificate) = Collector::start_with_tls().await;
    let endpoint = collector.tls_endpoint();
    let home = Home::new();
    let file = home.path().join("ca.pem");
    std::fs::write(&file, certificate).unwrap();

    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str());
    let mut stranger = serve(&home, StoreKind::Sqlite, &[endpoint]).await;
    withdraw(&stranger, true).await;
    assert!(stranger.terminate().success());
    assert_eq!(collector.spans().len(), 0);

    let authority = ("OTEL_EXPORTER_OTLP_CERTIFICATE", file.to_str().unwrap());
    let mut service = serve(&home, StoreKind::Sqlite, &[endpoint, authority]).await;
    withdraw(&service, true).await;
    assert!(service.terminate().success());
    collector.span_named("pay");
}

/// A mistake in a variable is reported at the start, by its name, and without what may be a password.
#[test]
fn errors_name_their_variables() {
    let home = Home::new();
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317");
    for (wrong, variables) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317")]),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:pass word@x")],
        ),
        (
            "OTEL_EXPORTER_OTLP_PROTOCOL",
            vec![endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
        ),
        ("OTEL_TRACES_SAMPLER", vec![endpoint, ("OTEL_TRACES_SAMPLER", "sometimes")]),
        (
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            vec![
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:4317"),
                ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
            ],
        ),
    ] {
        let said = home.refused_with(&[], &variables);
        let mistake = said.error_line();
        assert!(mistake.starts_with(&format!("{wrong}: ")), "{mistake}");
        assert!(!mistake.contains("pass"), "{mistake}");
    }
}
