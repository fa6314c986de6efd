//! The server under all inbound sides: accepts connections within limits, cuts off slow clients, and drains
//! what is under way at a stop.
//!
//! Mistakes of clients are logged at debug level only, and no URL is ever logged.

use std::{
    convert::Infallible,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
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

/// After a failed accept, for example when file descriptors run out.
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
    /// It is cut off, whatever is under way: a client that never reads must not keep its permit.
    CutOff(Millis),
    /// Its client is asked to reconnect (GOAWAY), so that clients spread over new replicas. What is under
    /// way goes on.
    AskToGo(Millis),
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
    /// How long a client may take to send the head of its first request, and on HTTP/1.1 to stay silent
    /// between two. None: as long as its connection may live.
    pub head_timeout: Option<Millis>,
    /// The maximum age of a connection, and what happens then.
    pub max_age: MaxAge,
    /// How many of the connections that wait to be accepted at a stop are still served.
    pub max_last_connections: usize,
    /// How long a stop waits for what is under way.
    pub drain: Millis,
}

/// Serves until `stop`, then drains. `answer` answers one request.
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
    let mut last = options.max_last_connections;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => {
                // Connections that the system had accepted before the stop are answered, too.
                let waiting = accept(&listener, &permits).now_or_never().filter(|_| last > 0);
                last = last.saturating_sub(1);
                let Some(accepted) = waiting else { break };
                accepted
            }
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let (http, answer) = (Arc::clone(&http), answer.clone());
                let (life, stop) = (runtime.clone(), stop.clone());
                let connection = async move {
                    serve_connection(stream, &http, &options, &life, &stop, answer).await;
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

/// One connection, to its end.
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
    let noted = Arc::clone(&first_request);
    let service = service_fn(move |request| {
        noted.note();
        begin(answer(request))
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let (max_age, is_cut_off) = match options.max_age {
        MaxAge::CutOff(age) => (age, true),
        MaxAge::AskToGo(age) => (age, false),
    };
    let mut too_slow = pin!(first_request.is_late(options.head_timeout, runtime));
    let mut too_old = pin!(runtime.clock.sleep(max_age));
    let mut is_going = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(server = options.name, %error, "a connection ended");
                }
                return;
            }
            () = stop.cancelled(), if !is_going => {}
            () = &mut too_old, if is_cut_off || !is_going => {
                if is_cut_off {
                    return tracing::debug!(server = options.name, "a connection was cut off");
                }
            }
            () = &mut too_slow => {
                return tracing::debug!(server = options.name, "a client sent no request in time");
            }
        }
        // hyper asks a client to go once its HTTP/2 handshake is over, which may never be.
        if options.protocol != Protocol::Http1 && !first_request.has_come() {
            return tracing::debug!(
                server = options.name,
                "a client that sent no request was cut off"
            );
        }
        is_going = true;
        connection.as_mut().graceful_shutdown();
    }
}

/// Whether a connection's client has sent a request yet.
#[derive(Default)]
struct FirstRequest {
    has_come: AtomicBool,
    came: Notify,
}

impl FirstRequest {
    fn note(&self) {
        self.has_come.store(true, Ordering::Relaxed);
        self.came.notify_one();
    }

    fn has_come(&self) -> bool {
        self.has_come.load(Ordering::Relaxed)
    }

    /// Ends once `limit` has passed without a request. Until the first byte shows which HTTP version it is,
    /// hyper has no limit of its own.
    async fn is_late(&self, limit: Option<Millis>, runtime: &Runtime) {
        match limit {
            Some(limit) if runtime.within(limit, self.came.notified()).await.is_none() => {}
            Some(_) | None => std::future::pending().await,
        }
    }
}

/// Polls `answer` at once: when the client hangs up right after its request, hyper drops what was never
/// polled.
fn begin<A, B>(answer: A) -> impl Future<Output = Result<Response<B>, Infallible>> + Send
where
    A: Future<Output = Response<B>> + Send + 'static,
    B: Send + 'static,
{
    let mut answer = Box::pin(answer);
    let begun = (&mut answer).now_or_never();
    async move {
        Ok(match begun {
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
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}
