//! Calls leave whole, however many start at once.

#![expect(clippy::disallowed_methods, reason = "callers and a server of the test's own")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use tonic::body::Body;
use tower_service::Service;

use super::{
    calls::RECORD_BYTES,
    frames_test::{Tally, tally},
    http2::Http2,
    macaroon,
    recorded_io_test::{Writes, echo_server},
    target::KeepAlive,
};
use crate::domain::invoice::MAX_INVOICE_CHARS;

/// The most that a send holds beside its invoice and its macaroon: names and numbers.
const MAX_OTHER_BYTES: usize = 500;

async fn connect() -> (Http2, Writes) {
    let (io, writes) = echo_server();
    let keep_alive =
        KeepAlive { interval: Duration::from_secs(20), timeout: Duration::from_secs(20) };
    (Http2::open(io, keep_alive).await.unwrap(), writes)
}

async fn call(http2: &Http2, macaroon: &str, length: usize) {
    let message = Bytes::from(vec![b'x'; length]);
    let request = Request::post("https://lnd/routerrpc.Router/SendPaymentV2")
        .header("macaroon", macaroon)
        .body(Body::new(Full::new(message.clone())))
        .unwrap();
    let response = http2.clone().call(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), message);
}

async fn call_at_once(http2: &Http2, macaroon: &str, lengths: impl Iterator<Item = usize>) {
    let callers: Vec<_> = lengths
        .map(|length| {
            let (http2, macaroon) = (http2.clone(), macaroon.to_owned());
            tokio::spawn(async move { call(&http2, &macaroon, length).await })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

/// Checks that every call left in one write, no longer than a record. Returns how many there were.
fn whole_calls(writes: &Writes) -> usize {
    let writes = writes.lock().unwrap();
    let longest = writes.iter().map(Vec::len).max().unwrap();
    assert!(longest <= RECORD_BYTES, "a write of {longest} bytes");
    let Tally { calls, split } = tally(&writes);
    assert_eq!(split, 0, "of {calls}");
    calls
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn headers_and_message_leave_in_one_write() {
    let (http2, writes) = connect().await;
    // Below and above the length from which h2 keeps a message in a buffer of its own.
    for length in [100, 600, 1_500].into_iter().cycle().take(60) {
        call(&http2, "00", length).await;
        call_at_once(&http2, "00", std::iter::repeat_n(length, 16)).await;
    }
    assert_eq!(whole_calls(&writes), 60 * 17);
}

/// Far more than the peer's window takes at once: no call may wait with only its headers sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_of_200_concurrent_sends_leaves_whole() {
    let (http2, writes) = connect().await;
    let macaroon = "0123456789abcdef".repeat(50);
    for round in 0..10 {
        let began = Instant::now();
        call_at_once(&http2, &macaroon, (0..200).map(|n| 400 + n * 20)).await;
        if round == 9 {
            eprintln!("200 calls answered in {} ms", began.elapsed().as_millis());
        }
    }
    assert_eq!(whole_calls(&writes), 10 * 200);
}

/// The bounds on the parts of a send keep the largest one within a record.
#[tokio::test]
async fn the_largest_send_fits_into_a_record() {
    let (http2, writes) = connect().await;
    // Digits that HPACK does not shorten, with the deadline's caveat.
    let macaroon = "f".repeat(2 * (macaroon::MAX_BYTES + 100));
    let length = MAX_INVOICE_CHARS + MAX_OTHER_BYTES;
    call_at_once(&http2, &macaroon, std::iter::repeat_n(length, 20)).await;
    assert_eq!(whole_calls(&writes), 20);
    let uncompressed = macaroon.len() + MAX_INVOICE_CHARS + 2 * MAX_OTHER_BYTES;
    assert!(uncompressed < RECORD_BYTES);
}

/// A caller that cancels at any moment leaves no partial call, and blocks no other caller.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_cancelled_call_blocks_no_other() {
    let (http2, writes) = connect().await;
    for yields in 0..100 {
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let http2 = http2.clone();
                tokio::spawn(async move { call(&http2, "00", 1_500).await })
            })
            .collect();
        for _ in 0..yields % 10 {
            tokio::task::yield_now().await;
        }
        callers.iter().step_by(2).for_each(tokio::task::JoinHandle::abort);
        let next = tokio::time::timeout(Duration::from_secs(20), call(&http2, "00", 100)).await;
        next.expect("the permit to start is never given back");
        for (n, caller) in callers.into_iter().enumerate() {
            assert!(n % 2 == 0 || caller.await.is_ok());
        }
    }
    whole_calls(&writes);
}
