//! The admin port: probes over both versions of HTTP and over gRPC, and what does not shake it.

use std::{net::SocketAddr, time::Duration};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use withdrawd::{
    domain::Millis,
    health::{LIVENESS, READINESS},
};

use crate::{
    bench::binary::{Home, until},
    bench::http::{self, raw, request},
    bench::{Bench, StoreKind, on_every_store, postgres_url},
    edge::hostile_load::hung_up_after,
};

/// What a path of the admin port says.
async fn asked(admin: SocketAddr, path: &str) -> (u16, String) {
    let answer = http::get(admin, path).await;
    (answer.status, answer.body)
}

async fn channel(address: SocketAddr) -> Channel {
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// Whether this name is SERVING; the gRPC code where it is unknown.
async fn serving(channel: &Channel, service: &str) -> Result<bool, Code> {
    let service = service.to_owned();
    let said = HealthClient::new(channel.clone()).check(HealthCheckRequest { service }).await;
    let said = said.map_err(|status| status.code())?.into_inner();
    Ok(said.status() == ServingStatus::Serving)
}

/// Every surface says this of readiness.
async fn until_ready_is(bench: &Bench, ready: bool, reason: &str) {
    let (admin, main) = (channel(bench.admin()).await, channel(bench.grpc()).await);
    let patience = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        bench.clock.advance(Millis::from_secs(1));
        let said = asked(bench.admin(), "/readyz").await;
        let so = (if ready { 200 } else { 503 }, reason.to_owned());
        let on_grpc = [serving(&admin, READINESS).await, serving(&main, READINESS).await];
        if said == so && on_grpc == [Ok(ready); 2] {
            break;
        }
        assert!(std::time::Instant::now() < patience, "never so: {said:?}, {on_grpc:?}");
        tokio::task::yield_now().await;
    }
    // Whatever the database does, the process is alive, and has started.
    assert_eq!(asked(bench.admin(), "/healthz").await, (200, "live\n".to_owned()));
    assert_eq!(asked(bench.admin(), "/startupz").await, (200, "started\n".to_owned()));
    for channel in [&admin, &main] {
        assert_eq!(serving(channel, LIVENESS).await, Ok(true));
        assert_eq!(serving(channel, "").await, Ok(true));
        assert_eq!(serving(channel, "nobody").await, Err(Code::NotFound));
    }
}

/// A rollout that migrates ahead of this replica, or a restored older backup: it takes no more calls,
/// and says why, until the schema is its own again.
#[tokio::test]
async fn a_schema_of_another_program_is_not_ready() {
    on_every_store(async |bench| {
        until_ready_is(&bench, true, "ready\n").await;
        bench.sql(NEWER[usize::from(bench.kind == StoreKind::Postgres)]).await;
        let newer = "not ready: the database's schema is newer than this program's\n";
        until_ready_is(&bench, false, newer).await;
        bench.sql("update _sqlx_migrations set version = -version").await;
        let older = "not ready: the database's schema is older than this program's\n";
        until_ready_is(&bench, false, older).await;
        bench.sql("delete from _sqlx_migrations where version = -9999").await;
        bench.sql("update _sqlx_migrations set version = -version").await;
        until_ready_is(&bench, true, "ready\n").await;
    })
    .await;
}

const NEWER: [&str; 2] = [
    "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
     values (9999, 'of tomorrow', true, x'00', 1)",
    "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
     values (9999, 'of tomorrow', true, 'x', 1)",
];

/// Takes a database away from everybody, or gives it back.
pub async fn allow_connections_to(url: &str, allowed: bool) {
    let name = url.split('?').next().unwrap().rsplit('/').next().unwrap();
    let mut hand = PgConnection::connect(&postgres_url().unwrap()).await.unwrap();
    for sql in [
        format!("alter database {name} allow_connections {allowed}"),
        format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'"),
    ] {
        let off = allowed && sql.starts_with("select");
        if !off {
            sqlx::query(AssertSqlSafe(sql)).execute(&mut hand).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_database_that_is_gone_is_not_ready_and_comes_back() {
    if postgres_url().is_none() {
        return eprintln!("SKIPPED: no Postgres");
    }
    let settings = [("store.acquire_timeout_ms", "200")];
    let bench = Bench::with(StoreKind::Postgres, &settings).await;
    until_ready_is(&bench, true, "ready\n").await;
    allow_connections_to(bench.database_url(), false).await;
    until_ready_is(&bench, false, "not ready: the database does not answer\n").await;
    allow_connections_to(bench.database_url(), true).await;
    until_ready_is(&bench, true, "ready\n").await;
}

/// From SIGTERM to the last moment: not ready, whatever the database says, and alive.
#[tokio::test]
async fn a_service_that_stops_is_never_ready_again() {
    let home = Home::new();
    // Longer than a look at the database takes to come round.
    let mut service = home.serve_with(&[], &[("WITHDRAWD__SHUTDOWN__WAIT_MS", "2500")]);
    let admin = service.admin;
    assert_eq!(asked(admin, "/readyz").await.0, 200);
    let ending = std::thread::spawn(move || service.terminate().code());
    let mut answers = Vec::new();
    while TcpStream::connect(admin).await.is_ok() {
        let Ok(ready) = raw(admin, b"GET /readyz HTTP/1.0\r\n\r\n").await else { break };
        let Ok(live) = raw(admin, b"GET /healthz HTTP/1.0\r\n\r\n").await else { break };
        if [ready.status, live.status].contains(&0) {
            // Accepted, and not read any more when the listener ended.
            break;
        }
        answers.push((ready.status, live.status));
    }
    answers.dedup();
    assert_eq!(ending.join().unwrap(), Some(0));
    // The first may be of before the signal.
    let answers = answers.strip_prefix(&[(200, 200)]).unwrap_or(&answers);
    assert_eq!(answers, [(503, 200)]);
}

#[tokio::test]
async fn what_is_no_probe_is_refused() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let admin = bench.admin();
    assert_eq!(asked(admin, "/").await, (404, "there is nothing here\n".to_owned()));
    assert_eq!(asked(admin, "/readyz/../secret").await.0, 404);
    for method in ["POST", "DELETE", "OPTIONS"] {
        let refused = request(admin, method, "/readyz").await;
        assert_eq!((refused.status, refused.header("allow").unwrap().as_str()), (405, "GET,HEAD"));
    }
    let head = request(admin, "HEAD", "/readyz").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    // Not gRPC's only by its path, but by its type.
    assert_eq!(asked(admin, "/grpc.health.v1.Health/Check").await.0, 404);
    let stranger = tonic_health::pb::health_client::HealthClient::with_origin(
        channel(admin).await,
        "http://localhost/elsewhere".parse().unwrap(),
    )
    .check(HealthCheckRequest::default())
    .await;
    assert_eq!(stranger.unwrap_err().code(), Code::Unimplemented);

    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
    assert!(matches!(raw(admin, long.as_bytes()).await.unwrap().status, 414 | 431));
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"\r\n\r\n\0\0", b"PRI * HTTP/9"]
    {
        let mut stream = TcpStream::connect(admin).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        // Whatever it says, it ends.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    assert_eq!(asked(admin, "/healthz").await.0, 200);
}

/// Clients that say nothing do not take the places of probes for ever.
#[tokio::test]
async fn silent_clients_are_cut_off() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(TcpStream::connect(bench.admin()).await.unwrap());
    }
    let probe = tokio::spawn(http::get(bench.admin(), "/healthz"));
    for stream in silent {
        hung_up_after(&bench, Millis::from_secs(21), stream).await;
    }
    assert_eq!(probe.await.unwrap().status, 200);
}

/// The image's own health check.
#[test]
fn the_binary_probes_a_service() {
    let home = Home::new();
    let service = home.serve(&["--admin-listen", "0.0.0.0:0"]);
    let port = service.admin.port();
    let listen = format!("0.0.0.0:{port}");
    let admin = format!("http://127.0.0.1:{port}");
    for (args, line) in [
        (&["health"][..], "ready\n"),
        (&["health", "ready"], "ready\n"),
        (&["health", "live"], "live\n"),
        (&["health", "started"], "started\n"),
    ] {
        let by_environment = home.run_with(args, &[("WITHDRAWD__ADMIN__LISTEN", &listen)]);
        assert_eq!(by_environment.ok(), line);
        for admin in [&admin, &listen] {
            let by_flag = home.run(&[args, &["--admin", admin]].concat());
            assert_eq!(by_flag.ok(), line);
        }
    }
    service.kill9();
    let gone = home.run(&["health", "--admin", &admin]);
    assert!(gone.error_line().contains("cannot reach 127.0.0.1"), "{gone:?}");
    let unknown = home.run_with(&["health"], &[("WITHDRAWD__ADMIN__LISTEN", "127.0.0.1:0")]);
    assert!(unknown.error_line().contains("--admin"), "{unknown:?}");
}

/// One line, exit code 1, and why.
#[test]
fn the_binary_says_why_a_service_is_not_ready() {
    let home = Home::new();
    let service = home.serve_with(&[], &[("WITHDRAWD__SHUTDOWN__WAIT_MS", "60000")]);
    let admin = format!("http://{}", service.admin);
    service.send_signal("TERM");
    until("not ready", || {
        let said = home.run(&["health", "--admin", &admin]);
        let stopping = said.code == Some(1);
        stopping.then(|| assert_eq!(said.error_line(), "not ready: the service is stopping"))
    });
    let started = home.run(&["health", "started", "--admin", &admin]);
    assert_eq!(started.error_line(), "not started: the service is stopping");
    assert_eq!(home.run(&["health", "live", "--admin", &admin]).ok(), "live\n");
}
