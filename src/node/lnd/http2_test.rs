//! Headers and message of a call leave together.

#![expect(clippy::disallowed_methods, reason = "a server of the test's own")]

use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioExecutor;
use tokio::io::{DuplexStream, ReadBuf};

use super::*;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const FRAME_HEAD: usize = 9;

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

/// The type and the stream of the frames in one write. The client's preface is no frame.
fn frames(mut write: &[u8]) -> Vec<(u8, u32)> {
    write = write.strip_prefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap_or(write);
    let mut frames = Vec::new();
    while let [a, b, c, kind, _, d, e, f, g, ..] = *write {
        frames.push((kind, u32::from_be_bytes([d, e, f, g])));
        let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        write = write.get(FRAME_HEAD + length..).unwrap_or_default();
    }
    frames
}

fn serve(io: DuplexStream) {
    let answer = hyper::service::service_fn(async |request: Request<Incoming>| {
        let received = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Response::new(Full::new(received)))
    });
    tokio::spawn(
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(io), answer),
    );
}

async fn call(http2: &Http2, length: usize) {
    let message = Bytes::from(vec![b'x'; length]);
    let request =
        Request::post("https://lnd/").body(Body::new(Full::new(message.clone()))).unwrap();
    let answer = http2.clone().call(request).await.unwrap();
    let body = answer.into_body().collect().await.unwrap();
    assert_eq!(body.to_bytes(), message);
}

/// Without [`Gathered`], hyper parts them every time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn headers_and_message_leave_in_one_write() {
    let (near, far) = tokio::io::duplex(1 << 20);
    serve(far);
    let writes = Arc::new(Mutex::new(Vec::new()));
    let recorded = Recorded { io: near, writes: Arc::clone(&writes) };
    let keep_alive =
        KeepAlive { interval: Duration::from_secs(20), timeout: Duration::from_secs(20) };
    let http2 = Http2::open(recorded, keep_alive).await.unwrap();

    // Below and above the size from which h2 keeps a message in a buffer of its own.
    for length in [100, 600, 1_500].into_iter().cycle().take(60) {
        call(&http2, length).await;
        let crowd: Vec<_> = (0..16)
            .map(|_| {
                let http2 = http2.clone();
                tokio::spawn(async move { call(&http2, length).await })
            })
            .collect();
        for caller in crowd {
            caller.await.unwrap();
        }
    }

    let mut calls = 0;
    for write in writes.lock().unwrap().iter() {
        let frames = frames(write);
        for (_, stream) in frames.iter().filter(|(kind, _)| *kind == HEADERS) {
            assert!(frames.contains(&(DATA, *stream)));
            calls += 1;
        }
    }
    assert_eq!(calls, 60 * 17);
}
