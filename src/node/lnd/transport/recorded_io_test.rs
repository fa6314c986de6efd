//! A byte stream that records every write, and a server at its other end.

#![expect(clippy::disallowed_methods, reason = "a server of the test's own")]

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// lnd's window, for a call and for the whole connection.
const WINDOW: u32 = 65_535;

pub(super) type Writes = Arc<Mutex<Vec<Vec<u8>>>>;

pub(super) struct RecordedIo {
    io: DuplexStream,
    writes: Writes,
}

/// The client's end of a stream to a server that echoes every message.
pub(super) fn echo_server() -> (RecordedIo, Writes) {
    let (near, far) = tokio::io::duplex(1 << 20);
    let echo = hyper::service::service_fn(async |request: Request<Incoming>| {
        let received = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Response::new(Full::new(received)))
    });
    tokio::spawn(
        hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .serve_connection(TokioIo::new(far), echo),
    );
    let writes = Writes::default();
    (RecordedIo { io: near, writes: Arc::clone(&writes) }, writes)
}

impl AsyncRead for RecordedIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl AsyncWrite for RecordedIo {
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
        let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        let written = std::task::ready!(Pin::new(&mut self.io).poll_write(cx, &all))?;
        self.writes.lock().unwrap().push(all[..written].to_vec());
        Poll::Ready(Ok(written))
    }

    /// As with TLS.
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
