//! HTTP/2 over one stream of bytes, as a service that the generated clients take.
//!
//! Calls begin one after the other: hyper has taken all of a call's message before the next call's
//! headers. So few wait half made while the other end's window is full, and hold up what is behind
//! them (see `calls.rs`). Nobody waits for another's answer.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use hyper::{
    body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint},
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tonic::body::Body;
use tower_service::Service;

use super::{
    gather::{Gathered, OneTask, drive},
    target::KeepAlive,
};

/// A handle on a connection. The connection closes once all handles and open calls are gone.
#[derive(Clone)]
pub(crate) struct Http2 {
    requests: SendRequest<Body>,
    /// One place, for the call that begins.
    beginning: Arc<Semaphore>,
}

impl Http2 {
    /// Greets the other end, and drives the connection from then on.
    pub(super) async fn open<Io>(io: Io, keep_alive: KeepAlive) -> hyper::Result<Self>
    where
        Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (executor, jobs) = OneTask::new();
        let io = Gathered::new(io);
        let writer = io.share();
        // No pings while idle: lnd hangs up on them (its `client-allow-ping-without-stream`).
        let (requests, connection) = Builder::new(executor)
            .timer(TokioTimer::new())
            .keep_alive_interval(keep_alive.interval)
            .keep_alive_timeout(keep_alive.timeout)
            .handshake(TokioIo::new(io))
            .await?;
        let connection = async {
            if let Err(error) = connection.await {
                tracing::debug!(error = &error as &dyn std::error::Error, "lnd connection lost");
            }
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "moves bytes and decides nothing; it ends with the connection"
        )]
        tokio::spawn(drive(connection, jobs, writer));
        Ok(Self { requests, beginning: Arc::new(Semaphore::new(1)) })
    }

    /// Whether the connection is known to be gone.
    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }
}

impl Service<Request<Body>> for Http2 {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    /// Always ready: a closed connection shows in the call's own answer, as what it is.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { mut requests, beginning } = self.clone();
        Box::pin(async move {
            // The semaphore is never closed.
            let place = beginning.acquire_owned().await.ok();
            let request = request.map(|message| Body::new(InTurn { message, _place: place }));
            requests.send_request(request).await
        })
    }
}

/// A call's message, which has its place until all of it is handed over, or the call is given up.
struct InTurn {
    message: Body,
    _place: Option<OwnedSemaphorePermit>,
}

impl HttpBody for InTurn {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.message).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.message.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.message.size_hint()
    }
}

#[cfg(test)]
#[path = "http2_test.rs"]
mod tests;
