//! Accepts connections of either version of HTTP, within limits, until the very end.

use std::{sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;

use super::Routes;
use crate::{domain::Millis, runtime::Runtime};

/// Some probes, a Prometheus or two, and a person.
const MAX_CONNECTIONS: usize = 64;
/// Request line and headers together.
const MAX_HEAD_BYTES: u32 = 8 * 1024;
const MAX_HEADERS: usize = 64;
const MAX_STREAMS: u32 = 16;
/// How long a client may take to send a request, and on HTTP/1.1 to stay silent between two.
const HEAD_TIMEOUT: Millis = Millis::from_secs(20);
/// A connection is not kept for longer, or whoever holds all of them would silence the probes; whoever asks
/// again connects anew.
const CONNECTION_LIFE: Millis = Millis::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failed accept (out of file descriptors, say).
const ACCEPT_PAUSE: Millis = Millis::from_ms(100);
/// For answers under way at the end.
const DRAIN: Millis = Millis::from_ms(500);

/// Serves until `stop`, then drains.
pub async fn serve(
    listener: TcpListener,
    routes: Routes,
    runtime: Runtime,
    stop: CancellationToken,
) {
    let http = http();
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection of the admin port");
                runtime.clock.sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let asked = Arc::new(Notify::new());
        let (routes, heard) = (routes.clone(), Arc::clone(&asked));
        let service = service_fn(move |request| {
            heard.notify_one();
            routes.clone().answer(request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        let life = runtime.clone();
        runtime.spawner.spawn(Box::pin(async move {
            // Until a first byte tells which HTTP it is, hyper has no limit of its own.
            let too_long = async {
                if life.within(HEAD_TIMEOUT, asked.notified()).await.is_some() {
                    life.clock.sleep(CONNECTION_LIFE).await;
                }
            };
            tokio::select! {
                biased;
                ended = connection => if let Err(error) = ended {
                    // What clients do wrong is no news.
                    tracing::debug!(%error, "a connection of the admin port ended");
                },
                () = too_long => tracing::debug!("a connection of the admin port was cut off"),
            }
            drop(place);
        }));
    }
    drop(listener);
    // Nobody's call is lost by cutting off a probe.
    runtime.within(DRAIN, graceful.shutdown()).await;
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT.as_duration())
        .max_buf_size(MAX_HEAD_BYTES as usize)
        .max_headers(MAX_HEADERS);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD_BYTES)
        .max_concurrent_streams(MAX_STREAMS)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    http
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}
