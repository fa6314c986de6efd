//! Calls leave whole, however many begin at once.

#![expect(clippy::disallowed_methods, reason = "a server of the test's own")]

use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioExecutor;
use tokio::io::{DuplexStream, ReadBuf};

use super::{
    super::{
        calls::{RECORD, tests::whole_calls},
        macaroon,
    },
    *,
};
use crate::domain::invoice::MAX_INVOICE_CHARS;

/// lnd's, for a call and for all of a connection.
const WINDOW: u32 = 65_535;
/// Of a send beside its invoice and its macaroon: names and numbers.
const MAX_REST: usize = 500;

/// Remembers every single write.
struct Recorded {
    io: DuplexStream,
    writes: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsyncRead for Recorded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Recorded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let whole: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let written = std::task::ready!(Pin::new(&mut self.io).poll_write(cx, &whole))?;
        self.writes.lock().unwrap().push(whole[..written].to_vec());
        Poll::Ready(Ok(written))
    }

    // As TLS does.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

fn serve(io: DuplexStream) {
    let answer = hyper::service::service_fn(async |request: Request<Incoming>| {
        let received = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Response::new(Full::new(received)))
    });
    tokio::spawn(
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .serve_connection(TokioIo::new(io), answer),
    );
}

/// A client whose single writes are remembered.
async fn connect(io: DuplexStream) -> (Http2, Arc<Mutex<Vec<Vec<u8>>>>) {
    let writes = Arc::new(Mutex::new(Vec::new()));
    let recorded = Recorded { io, writes: Arc::clone(&writes) };
    let keep_alive =
        KeepAlive { interval: Duration::from_secs(20), timeout: Duration::from_secs(20) };
    (Http2::open(recorded, keep_alive).await.unwrap(), writes)
}

async fn call(http2: &Http2, macaroon: &str, length: usize) {
    let message = Bytes::from(vec![b'x'; length]);
    let request = Request::post("https://lnd/routerrpc.Router/SendPaymentV2")
        .header("macaroon", macaroon)
        .body(Body::new(Full::new(message.clone())))
        .unwrap();
    let answer = http2.clone().call(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), message);
}

async fn crowd(http2: &Http2, macaroon: &str, lengths: impl Iterator<Item = usize>) {
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

/// How many calls left: whole ones in every write, and no write longer than a record.
fn left(writes: &Mutex<Vec<Vec<u8>>>) -> usize {
    let writes = writes.lock().unwrap();
    let longest = writes.iter().map(Vec::len).max().unwrap();
    assert!(longest <= RECORD, "a write of {longest} bytes");
    writes.iter().map(|write| whole_calls(write)).sum()
}

/// Without [`Gathered`], hyper parts headers and message every time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn headers_and_message_leave_in_one_write() {
    let (near, far) = tokio::io::duplex(1 << 20);
    serve(far);
    let (http2, writes) = connect(near).await;
    // Below and above the size from which h2 keeps a message in a buffer of its own.
    for length in [100, 600, 1_500].into_iter().cycle().take(60) {
        call(&http2, "00", length).await;
        crowd(&http2, "00", std::iter::repeat_n(length, 16)).await;
    }
    assert_eq!(left(&writes), 60 * 17);
}

/// Far more than the other end's window takes at once: none of the calls may wait half sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_sends_begun_at_once_each_leaves_whole() {
    let (near, far) = tokio::io::duplex(1 << 20);
    serve(far);
    let (http2, writes) = connect(near).await;
    let macaroon = "0123456789abcdef".repeat(50);
    for round in 0..10 {
        let began = Instant::now();
        crowd(&http2, &macaroon, (0..200).map(|n| 400 + n * 20)).await;
        if round == 9 {
            eprintln!("200 calls answered in {} ms", began.elapsed().as_millis());
        }
    }
    assert_eq!(left(&writes), 10 * 200);
}

/// The largest send that there can be: the bounds on its parts leave it whole in one record.
#[tokio::test]
async fn the_largest_sends_fit_into_a_record() {
    let (near, far) = tokio::io::duplex(1 << 20);
    serve(far);
    let (http2, writes) = connect(near).await;
    // Digits that HPACK cannot shorten to less, and the deadline's caveat.
    let macaroon = "f".repeat(2 * (macaroon::MAX_BYTES + 100));
    crowd(&http2, &macaroon, std::iter::repeat_n(MAX_INVOICE_CHARS + MAX_REST, 20)).await;
    assert_eq!(left(&writes), 20);
    assert!(macaroon.len() + MAX_INVOICE_CHARS + 2 * MAX_REST < RECORD, "not even uncompressed");
}

/// A caller that gives up at any moment leaves neither half a call behind nor the place taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_gives_up_holds_up_nobody() {
    let (near, far) = tokio::io::duplex(1 << 20);
    serve(far);
    let (http2, writes) = connect(near).await;
    for patience in 0..100 {
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let http2 = http2.clone();
                tokio::spawn(async move { call(&http2, "00", 1_500).await })
            })
            .collect();
        for _ in 0..patience % 10 {
            tokio::task::yield_now().await;
        }
        callers.iter().step_by(2).for_each(tokio::task::JoinHandle::abort);
        let after = tokio::time::timeout(Duration::from_secs(20), call(&http2, "00", 100)).await;
        after.expect("the place is taken for ever");
        for (n, caller) in callers.into_iter().enumerate() {
            assert!(n % 2 == 0 || caller.await.is_ok());
        }
    }
    left(&writes);
}
