//! An HTTP/2 connection as a service for the generated clients.
//!
//! Why not tonic's `Channel`: it reconnects by itself, and no call may use a connection on which the
//! node has not shown its identity. It also has no way to hold writes back (`coalesce.rs`).
//!
//! Why calls start one at a time: otherwise hyper shares the peer's window among all of them, none can send
//! its whole message, and incomplete calls never leave (`calls.rs`). Without it, 200 calls at once stalled
//! the connection until the keep-alive timeout (`http2_test.rs`). No call waits for another's response.

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
    coalesce::CoalescedIo,
    single_task::{TaskExecutor, drive},
    target::KeepAlive,
};

/// A handle to a connection, which closes once all handles and open calls are gone.
#[derive(Clone)]
pub(crate) struct Http2 {
    requests: SendRequest<Body>,
    /// One permit, for the call that starts.
    start: Arc<Semaphore>,
}

impl Http2 {
    /// Does the HTTP/2 handshake, and drives the connection from then on.
    pub(super) async fn open<Io>(io: Io, keep_alive: KeepAlive) -> hyper::Result<Self>
    where
        Io: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (executor, spawned) = TaskExecutor::new();
        let io = CoalescedIo::new(io);
        let writes = io.share();
        // hyper pings only while calls are open, and must: lnd disconnects a client that pings an idle
        // connection (its `client-allow-ping-without-stream`).
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
        tokio::spawn(drive(connection, spawned, writes));
        Ok(Self { requests, start: Arc::new(Semaphore::new(1)) })
    }

    /// Whether the connection is known to be closed.
    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }
}

impl Service<Request<Body>> for Http2 {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    /// Always ready: a closed connection is reported as the call's own error.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { mut requests, start } = self.clone();
        Box::pin(async move {
            // Never fails: the semaphore is never closed.
            let permit = start.acquire_owned().await.ok();
            let request =
                request.map(|message| Body::new(StartingBody { message, _permit: permit }));
            requests.send_request(request).await
        })
    }
}

/// A call's message. It holds the permit to start until hyper has taken all of it, or the call is
/// cancelled.
struct StartingBody {
    message: Body,
    _permit: Option<OwnedSemaphorePermit>,
}

impl HttpBody for StartingBody {
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
