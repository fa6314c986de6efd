//! Calls that end from outside: the client hangs up, or its own deadline is over. Each leaves its line,
//! its count and its span.

use std::{str::FromStr, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use h2::{Reason, SendStream, client::ResponseFuture};
use prost::Message;
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tonic::{Code, Status};
use withdrawd::{
    domain::Millis,
    pb::GetWithdrawRequest,
    runtime::{Clock, SystemClock},
};

use crate::{
    bench::binary::{Home, Service, until},
    bench::collector::Collector,
    bench::invoices::InvoiceDraft,
    bench::scrape::Scrape,
    bench::{Bench, StoreKind, new_postgres_database, postgres_url},
    claims::requests::reason_of,
    edge::traces::{lines, one_line},
};

const GET: &str = "withdraw.v1.WithdrawService/GetWithdraw";

/// A database on which nobody can read a request until this is rolled back.
struct LockedRequests {
    holder: PgConnection,
}

impl LockedRequests {
    async fn at(url: &str) -> Self {
        let options = PgConnectOptions::from_str(url).unwrap();
        let mut holder = PgConnection::connect_with(&options).await.unwrap();
        let lock = "begin; lock table withdraws in access exclusive mode";
        sqlx::raw_sql(lock).execute(&mut holder).await.unwrap();
        Self { holder }
    }

    /// Waits until this statement waits.
    async fn wait_until_blocked(&mut self, statement: &str) {
        let count = format!(
            "select count(*) from pg_stat_activity where datname = current_database()
                and wait_event_type = 'Lock' and query like '%{statement}%'"
        );
        loop {
            // What it shows is kept for the length of a transaction otherwise.
            let clear = "select pg_stat_clear_snapshot()";
            sqlx::raw_sql(clear).execute(&mut self.holder).await.unwrap();
            let count = sqlx::query_scalar::<_, i64>(AssertSqlSafe(count.clone()));
            if count.fetch_one(&mut self.holder).await.unwrap() > 0 {
                return;
            }
        }
    }

    async fn release(self) {
        self.holder.close().await.unwrap();
    }
}

/// A client that does not look at its own deadline, as tonic's does: what the server says is heard.
async fn get(
    service: &Service,
    id: &Value,
    request_id: &str,
    timeout: &str,
) -> (ResponseFuture, SendStream<Bytes>) {
    let stream = TcpStream::connect(service.grpc).await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    let request = http::Request::post(format!("http://x/{GET}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("x-request-id", request_id)
        .header("grpc-timeout", timeout)
        .body(())
        .unwrap();
    let (answer, mut body) = client.ready().await.unwrap().send_request(request, false).unwrap();
    let message = GetWithdrawRequest { id: id.as_str().unwrap().to_owned() };
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap());
    message.encode(&mut frame).unwrap();
    body.send_data(frame.freeze(), true).unwrap();
    // All of it in one packet.
    tokio::spawn(connection);
    (answer, body)
}

async fn counted(service: &Service, series: &str) {
    while Scrape::of(service.admin).await.value(series) != Some(1.0) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_clients_end_are_logged_counted_and_traced() {
    if postgres_url().is_none() {
        return eprintln!("SKIPPED: no Postgres");
    }
    let (home, collector) = (Home::new(), Collector::start().await);
    let (endpoint, url) = (collector.endpoint(), new_postgres_database().await);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("WITHDRAWD__STORE__DATABASE_URL", url.as_str()),
    ];
    let mut service = home.serve_with(&[], &variables);
    let made = service.create("1000");
    let mut blocked = LockedRequests::at(&url).await;

    let (_answer, mut call) = get(&service, &made["id"], "hung-up", "1H").await;
    blocked.wait_until_blocked("withdraw.by_id").await;
    call.send_reset(Reason::CANCEL);
    counted(
        &service,
        &format!(
            "rpc_server_call_duration_seconds_count{{rpc_method=\"{GET}\",\
             rpc_response_status_code=\"CANCELLED\"}}"
        ),
    )
    .await;
    let hung_up = one_line(&service, "request_id", "hung-up");
    assert_eq!((&hung_up["rpc"], &hung_up["code"]), (&"GetWithdraw".into(), &"CANCELLED".into()));
    the_deadlines_are_ours(&service, &made["id"]).await;

    let invoice = InvoiceDraft::new(1_000_000, SystemClock::new().now()).build();
    let mut wallet = TcpStream::connect(service.lnurl).await.unwrap();
    let ott = made["ott"].as_str().unwrap();
    let claim = format!("GET /cb?k1={ott}&pr={invoice} HTTP/1.1\r\nHost: a\r\n\r\n");
    wallet.write_all(claim.as_bytes()).await.unwrap();
    blocked.wait_until_blocked("withdraw.by_secret").await;
    drop(wallet);
    until("its line", || {
        (!lines(&service, |line| line["lnurl"] == "callback").is_empty()).then_some(())
    });
    let line = one_line(&service, "lnurl", "callback");
    assert_eq!(line["answered"], "the wallet hung up", "{line}");

    counted(
        &service,
        "withdrawd_lnurl_request_duration_seconds_count{endpoint=\"callback\",answer=\"GONE\"}",
    )
    .await;
    // The wallet has claimed all the same.
    blocked.release().await;
    service.paid(&made["id"]);
    assert!(service.terminate().success());
    the_spans_tell_so(&collector, &hung_up);
}

/// Not tonic's CANCELLED, which gives no reason.
async fn the_deadlines_are_ours(service: &Service, id: &Value) {
    for timeout in ["1m", "20m", "40m", "80m", "160m"] {
        // Where the machine holds our thread for milliseconds, tonic may be first.
        let mut tries = 0..10;
        let (request_id, answer) = loop {
            let request_id = format!("late-{timeout}-{}", tries.next().expect("never ours"));
            let (answer, _call) = get(service, id, &request_id, timeout).await;
            let answer = answer.await.unwrap();
            let status = Status::from_header_map(answer.headers()).unwrap();
            if status.code() != Code::Cancelled {
                break (request_id, answer);
            }
            eprintln!("{request_id}: tonic was first");
        };
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!(status.code(), Code::DeadlineExceeded, "{timeout}: {status:?}");
        assert_eq!(reason_of(&status), "DEADLINE_EXCEEDED");
        assert_eq!(answer.headers()["x-request-id"], request_id);
        let line = one_line(service, "request_id", &request_id);
        assert_eq!(line["code"], "DEADLINE_EXCEEDED", "{line}");
    }
}

fn the_spans_tell_so(collector: &Collector, hung_up: &Value) {
    let claim = collector.span_named("GET /cb");
    assert_eq!(claim.attribute("lnurl.answer"), "GONE");
    assert!(!claim.failed(), "{claim:?}");
    let gets = collector.spans_named(GET);
    let ended = |code: &str| {
        let ended = gets.iter().filter(|seen| seen.attribute("rpc.response.status_code") == code);
        ended.collect::<Vec<_>>()
    };
    let mut cancelled = ended("CANCELLED").into_iter();
    let cancelled = cancelled.find(|seen| hung_up["trace_id"] == seen.trace_id()).unwrap();
    assert!(!cancelled.failed(), "{cancelled:?}");
    assert_eq!(ended("DEADLINE_EXCEEDED").len(), 5);
}

/// A client that never reads is asked to reconnect once its connection is old, and cut off when every call
/// would have ended.
#[tokio::test]
async fn a_grpc_client_that_never_reads_its_answer_is_cut_off() {
    a_client_that_never_reads_is_cut_off("30000", Millis::from_secs(0)).await;
}

/// The time that it has follows the limit of a call.
#[tokio::test]
async fn calls_that_may_take_an_hour_have_an_hour_to_end() {
    a_client_that_never_reads_is_cut_off("3600000", Millis::from_secs(3500)).await;
}

/// With this limit of a call, and not before this time has passed since it was asked.
async fn a_client_that_never_reads_is_cut_off(timeout_ms: &str, not_before: Millis) {
    let settings = [("grpc.max_connection_age_s", "60"), ("grpc.timeout_ms", timeout_ms)];
    let bench = Bench::with(StoreKind::Sqlite, &settings).await;
    let stream = TcpStream::connect(bench.grpc()).await.unwrap();
    let mut builder = h2::client::Builder::new();
    // The server may not send a byte of a body.
    builder.initial_window_size(0);
    let (client, connection) = builder.handshake::<_, Bytes>(stream).await.unwrap();
    let mut connection = tokio::spawn(connection);
    let request = http::Request::post("http://x/withdraw.v1.WithdrawService/ListWithdraws")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (answer, mut body) = client.ready().await.unwrap().send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    let unread = answer.await.unwrap();
    assert_eq!(unread.status(), http::StatusCode::OK);

    let age = Millis::from_secs(60);
    for later in [age, not_before] {
        bench.clock.advance(later);
        let early = tokio::time::timeout(Duration::from_millis(200), &mut connection).await;
        assert!(early.is_err(), "requests in progress may go on: {early:?}");
    }
    for _ in 0..400 {
        bench.clock.advance(age);
        if tokio::time::timeout(Duration::from_millis(50), &mut connection).await.is_ok() {
            return;
        }
    }
    panic!("it was never cut off");
}
