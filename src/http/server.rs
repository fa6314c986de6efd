//! The HTTP server that gRPC, the LNURL side and the admin port run on. It limits connections, cuts off slow
//! clients, and lets requests in progress finish at a shutdown.
//!
//! Mistakes of clients are logged at debug level only, and no URL is ever logged.

use std::{
    convert::Infallible,
    future::pending,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use http_body::Body;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{domain::Millis, runtime::Runtime};

/// How long to wait after a failed accept, for example when file descriptors run out.
const ACCEPT_PAUSE: Millis = Millis::from_ms(100);
/// When a silent HTTP/2 connection is pinged, and how long it may take to answer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Which HTTP version is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge, as gRPC speaks it.
    Http2,
    /// Either, recognised by the client's first bytes.
    Either,
}

/// What happens to a connection that has reached its maximum age.
#[derive(Clone, Copy, Debug)]
pub enum MaxAge {
    /// It is closed, even during a request: a client that never reads must not hold one of the
    /// [`ServerOptions::max_connections`] forever.
    CutOff(Millis),
    /// Its client is asked to reconnect (HTTP/2 GOAWAY), so that clients spread over new replicas. Requests
    /// in progress have the grace to end; then it is cut off, since its client may never read their answers.
    GoAway {
        /// The maximum age.
        age: Millis,
        /// Longer than any request may take.
        grace: Millis,
    },
}

/// The limits of a server.
#[derive(Clone, Copy, Debug)]
pub struct ServerOptions {
    /// Its name in logs.
    pub name: &'static str,
    /// Which HTTP version is spoken.
    pub protocol: Protocol,
    /// Concurrent connections; more wait to be accepted.
    pub max_connections: usize,
    /// Request line and headers together.
    pub max_head_bytes: u32,
    /// The most headers of an HTTP/1.1 request.
    pub max_headers: usize,
    /// Concurrent requests of an HTTP/2 connection.
    pub max_streams: u32,
    /// How long a client may take to send the headers of its first request and, on HTTP/1.1, how long it may
    /// stay idle between two requests. None: until the maximum age.
    pub head_timeout: Option<Millis>,
    /// The maximum age of a connection, and what happens then.
    pub max_age: MaxAge,
    /// How many connections are still accepted from the listen backlog at a shutdown.
    pub max_backlog_at_stop: usize,
    /// How long a shutdown waits for open connections to finish.
    pub drain: Millis,
}

/// Serves until `stop`, then drains. `answer` handles one request.
pub async fn serve<F, A, B>(
    listener: TcpListener,
    options: ServerOptions,
    runtime: Runtime,
    stop: CancellationToken,
    answer: F,
) where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let http = Arc::new(http(&options));
    let permits = Arc::new(Semaphore::new(options.max_connections));
    let connections = TaskTracker::new();
    let mut backlog_left = options.max_backlog_at_stop;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => {
                // The kernel completed the handshakes of connections in the backlog: their clients expect
                // an answer.
                let waiting = accept(&listener, &permits).now_or_never();
                let Some(accepted) = waiting.filter(|_| backlog_left > 0) else { break };
                backlog_left -= 1;
                accepted
            }
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (http, answer) = (Arc::clone(&http), answer.clone());
                let (task_runtime, stop) = (runtime.clone(), stop.clone());
                let connection = async move {
                    serve_connection(stream, &http, &options, &task_runtime, &stop, answer).await;
                    drop(permit);
                };
                runtime.spawner.spawn(Box::pin(connections.track_future(connection)));
            }
            Err(error) => {
                tracing::warn!(server = options.name, %error, "could not accept a connection");
                runtime.clock.sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    connections.close();
    if runtime.within(options.drain, connections.wait()).await.is_none() {
        tracing::warn!(server = options.name, "some clients were cut off at shutdown");
    }
}

/// Serves one connection until it closes.
async fn serve_connection<F, A, B>(
    stream: TcpStream,
    http: &auto::Builder<TokioExecutor>,
    options: &ServerOptions,
    runtime: &Runtime,
    stop: &CancellationToken,
    answer: F,
) where
    F: Fn(Request<Incoming>) -> A + Send + 'static,
    A: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let first_request = Arc::new(FirstRequest::default());
    let arrived = Arc::clone(&first_request);
    let service = service_fn(move |request| {
        arrived.set();
        start_now(answer(request))
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let (max_age, grace) = match options.max_age {
        MaxAge::CutOff(age) => (age, None),
        MaxAge::GoAway { age, grace } => (age, Some(grace)),
    };
    let mut too_slow = pin!(first_request.timed_out(options.head_timeout, runtime));
    let mut too_old = runtime.clock.sleep(max_age);
    // Begins when the client is asked to reconnect: the clock may have jumped.
    let mut over: BoxFuture<'_, ()> = pending().boxed();
    let (mut is_old, mut is_closing) = (false, false);
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(server = options.name, %error, "a connection ended");
                }
                return;
            }
            () = stop.cancelled(), if !is_closing => {}
            () = &mut over => {
                return tracing::debug!(server = options.name, "a connection was cut off");
            }
            () = &mut too_old, if !is_old => {
                let Some(grace) = grace else {
                    return tracing::debug!(server = options.name, "a connection was cut off");
                };
                is_old = true;
                over = runtime.clock.sleep(grace);
            }
            () = &mut too_slow => {
                return tracing::debug!(server = options.name, "a client sent no request in time");
            }
        }
        // hyper sends GOAWAY only after the HTTP/2 handshake, which a silent client never completes.
        if options.protocol != Protocol::Http1 && !first_request.has_arrived() {
            return tracing::debug!(
                server = options.name,
                "a client that sent no request was cut off"
            );
        }
        is_closing = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// Whether a connection's client has sent a request yet.
#[derive(Default)]
struct FirstRequest {
    has_arrived: AtomicBool,
    arrival: Notify,
}

impl FirstRequest {
    fn set(&self) {
        self.has_arrived.store(true, Ordering::Relaxed);
        self.arrival.notify_one();
    }

    fn has_arrived(&self) -> bool {
        self.has_arrived.load(Ordering::Relaxed)
    }

    /// Resolves once `limit` has passed without a request; never resolves otherwise. hyper itself sets no
    /// limit until the client's first bytes show the HTTP version.
    async fn timed_out(&self, limit: Option<Millis>, runtime: &Runtime) {
        match limit {
            Some(limit) if runtime.within(limit, self.arrival.notified()).await.is_none() => {}
            Some(_) | None => pending().await,
        }
    }
}

/// Polls `answer` once, at once. hyper drops a future without ever polling it if the client hangs up right
/// after its request; a claim that has arrived must be decided all the same.
fn start_now<A, B>(answer: A) -> impl Future<Output = Result<Response<B>, Infallible>> + Send
where
    A: Future<Output = Response<B>> + Send + 'static,
    B: Send + 'static,
{
    let mut answer = Box::pin(answer);
    let finished = (&mut answer).now_or_never();
    async move {
        Ok(match finished {
            Some(answer) => answer,
            None => answer.await,
        })
    }
}

fn http(options: &ServerOptions) -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.head_timeout.map(Millis::as_duration))
        .max_buf_size(options.max_head_bytes as usize)
        .max_headers(options.max_headers);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(options.max_head_bytes)
        .max_concurrent_streams(options.max_streams)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    match options.protocol {
        Protocol::Http1 => http.http1_only(),
        Protocol::Http2 => http.http2_only(),
        Protocol::Either => http,
    }
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits).acquire_owned().await.map_err(std::io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // It fails if the client has hung up already, which the connection then finds out.
                let _ = stream.set_nodelay(true);
                return Ok((stream, permit));
            }
            // One client's connection failed, not the listener.
            Err(error) if is_of_one_client(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_of_one_client(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};

    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
