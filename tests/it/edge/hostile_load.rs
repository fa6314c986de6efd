//! The public side under clients that take its time and its connections, or vanish.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use withdrawd::domain::Millis;

use crate::{
    bench::http,
    bench::{Bench, StoreKind, on_every_store},
};

/// Little time and few places, so that a handful of clients is a siege.
const SIEGE: [(&str, &str); 2] =
    [("lnurl.header_timeout_ms", "300"), ("lnurl.max_connections", "8")];

/// What a client of HTTP/2 says first: the preface, and empty SETTINGS.
pub const HTTP2_HANDSHAKE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

pub async fn connect_and_say(server: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream
}

/// Waits until the server hangs up.
async fn hung_up(mut stream: TcpStream) {
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    // A reset is an end, too.
    let _ = end.expect("the server never hung up");
}

/// Moves the clock in steps of `limit`, at most 400, until the server has hung up: it may not have accepted
/// the client yet when the clock moves first.
pub async fn hung_up_after(bench: &Bench, limit: Millis, stream: TcpStream) {
    let mut ended = std::pin::pin!(hung_up(stream));
    loop {
        bench.clock.advance(limit);
        if tokio::time::timeout(Duration::from_millis(50), &mut ended).await.is_ok() {
            return;
        }
    }
}

#[tokio::test]
async fn slow_clients_lose_their_place() {
    let bench = Bench::with(StoreKind::Sqlite, &SIEGE).await;
    let withdraw = bench.create(10, 20).await;
    let offer = format!("GET /w/{} HTTP/1.1\r\nHost: a\r\n\r\n", withdraw.ott);
    for beginning in ["", "G", "GET /cb?k1=", "GET / HTTP/1.1\r\nHost: a\r\nX: ", &offer] {
        hung_up(connect_and_say(bench.lnurl(), beginning.as_bytes()).await).await;
    }
}

/// A minute is for connecting ahead of the first call. A handshake is none.
#[tokio::test]
async fn grpc_clients_that_never_call_lose_their_place() {
    // Their age would end them, too.
    let a_year = [("grpc.max_connection_age_s", "31536000")];
    let bench = Bench::with(StoreKind::Sqlite, &a_year).await;
    for beginning in [&b""[..], b"PRI * HTTP/2.0\r\n", HTTP2_HANDSHAKE] {
        let stream = connect_and_say(bench.grpc(), beginning).await;
        hung_up_after(&bench, Millis::from_secs(61), stream).await;
    }
    bench.create(10, 20).await;
}

#[tokio::test]
async fn half_open_connections_do_not_lock_out_an_honest_wallet() {
    let bench = Bench::with(StoreKind::Sqlite, &SIEGE).await;
    let withdraw = bench.create(10, 20).await;
    let mut besiegers = Vec::new();
    for n in 0..40 {
        let beginning = ["", "GET /w/", "GET / HTTP/1.1\r\nHost: a\r\n"][n % 3];
        besiegers.push(connect_and_say(bench.lnurl(), beginning.as_bytes()).await);
    }
    let began = Instant::now();
    assert_eq!(bench.offer(&withdraw).await["tag"], "withdrawRequest");
    bench.claim_ok(&withdraw, &bench.invoice(15)).await;
    let took = began.elapsed();
    eprintln!("served after {} ms behind 40 half-open connections", took.as_millis());
    // Five rounds of eight places, 0.3 s each; ten times that on a busy machine.
    assert!(took < Duration::from_secs(15), "{took:?}");
    drop(besiegers);
}

/// A trickle of bytes does not extend the time either.
#[tokio::test]
async fn a_request_that_trickles_in_is_cut_off() {
    let bench = Bench::with(StoreKind::Sqlite, &SIEGE).await;
    let stream = TcpStream::connect(bench.lnurl()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let trickle = async {
        loop {
            if write.write_all(b"G").await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let mut rest = Vec::new();
    tokio::select! {
        _ = read.read_to_end(&mut rest) => {}
        () = trickle => {}
        () = tokio::time::sleep(Duration::from_secs(20)) => panic!("it trickles on"),
    }
}

#[tokio::test]
async fn a_connection_can_carry_many_requests_also_at_once() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let withdraw = bench.create(10, 20).await;
    let get = format!("GET /w/{} HTTP/1.1\r\nHost: a\r\n", withdraw.ott);
    let claim =
        format!("GET /cb?k1={}&pr={} HTTP/1.1\r\nHost: a\r\n", withdraw.ott, bench.invoice(15));
    let pipeline = format!("{get}\r\n{get}\r\n{claim}\r\n{claim}Connection: close\r\n\r\n");
    let answer = http::raw(bench.lnurl(), pipeline.as_bytes()).await.unwrap();
    let all = answer.head + "\r\n\r\n" + &answer.body;
    assert_eq!(all.matches("HTTP/1.1 200 OK").count(), 4, "{all}");
    assert_eq!(all.matches("withdrawRequest").count(), 2, "{all}");
    assert_eq!(all.matches(r#"{"status":"OK"}"#).count(), 2, "{all}");
    assert_eq!(bench.events_of(&withdraw.id).await, ["created", "claimed"]);
}

/// The tram goes into the tunnel right after the tap. The claim was sent, so it counts.
#[tokio::test]
async fn a_wallet_that_hangs_up_has_claimed_all_the_same() {
    on_every_store(async |bench| {
        // Milliseconds until it hangs up: at different points of the claim.
        for wait in [0, 0, 1, 0, 2, 0, 5, 0] {
            let withdraw = bench.create(10, 20).await;
            let invoice = bench.invoice(15);
            let claim =
                format!("GET /cb?k1={}&pr={invoice} HTTP/1.1\r\nHost: a\r\n\r\n", withdraw.ott);
            let stream = connect_and_say(bench.lnurl(), claim.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(wait)).await;
            drop(stream);
            bench.until(&withdraw.id, |now| now.payment.is_some()).await;
            // It taps again when it is out of the tunnel.
            bench.claim_ok(&withdraw, &invoice).await;
        }
        bench.run_payer().await;
        assert_eq!(bench.node.settled(), 8);
    })
    .await;
}
