//! Accepts connections, within limits, and drains them at the end.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_util::FutureExt;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use super::routes::Routes;
use crate::{domain::Millis, metrics::Metrics, runtime::Runtime, service::ClaimService};

/// Request line and headers together; longer ones are refused by hyper's parser (431).
const MAX_HEAD_BYTES: usize = 16 * 1024;
const MAX_HEADERS: usize = 64;
/// A wallet needs two short requests; a proxy connects anew.
const CONNECTION_LIFE: Millis = Millis::from_secs(60);
/// So many connections that wait to be accepted are served after a stop.
const MAX_LAST_CONNECTIONS: usize = 1024;
/// After a failed accept (out of file descriptors, say).
const ACCEPT_PAUSE: Millis = Millis::from_ms(100);

/// Limits of the public side.
#[derive(Clone, Copy, Debug)]
pub struct SidecarOptions {
    /// Connections at a time; more wait to be accepted.
    pub max_connections: usize,
    /// How long a client may take to send its request, and to stay silent between two.
    pub header_timeout: Duration,
    /// How long a wallet waits for an answer at most.
    pub answer_within: Millis,
    /// How long to wait at the end for answers under way.
    pub drain: Millis,
}

/// Serves until `stop`, then drains.
pub async fn serve(
    listener: TcpListener,
    claims: ClaimService,
    base: String,
    (runtime, metrics): (Runtime, Arc<Metrics>),
    options: SidecarOptions,
    stop: CancellationToken,
) {
    let routes =
        Arc::new(Routes::new(claims, (runtime.clone(), metrics), &base, options.answer_within));
    let places = Arc::new(Semaphore::new(options.max_connections));
    let graceful = GracefulShutdown::new();
    let mut last = MAX_LAST_CONNECTIONS;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => {
                // Who was let in by the system before the stop is answered, too.
                let waiting = accept(&listener, &places).now_or_never().filter(|_| last > 0);
                last = last.saturating_sub(1);
                let Some(accepted) = waiting else { break };
                accepted
            }
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                runtime.clock.sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let routes = Arc::clone(&routes);
        let service = service_fn(move |request| {
            let routes = Arc::clone(&routes);
            async move {
                let answer = routes.answer(&request).await;
                Ok::<_, Infallible>(answer.into_response(request.method()))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(options.header_timeout)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        let life = runtime.clone();
        runtime.spawner.spawn(Box::pin(async move {
            // A client that never reads must not keep its place. Claims go on all the same.
            match life.within(CONNECTION_LIFE, connection).await {
                // What clients do wrong is no news; the error names no URL.
                Some(Err(error)) => tracing::debug!(%error, "a connection ended"),
                Some(Ok(())) => {}
                None => tracing::debug!("a connection was cut off"),
            }
            drop(place);
        }));
    }
    drop(listener);
    tokio::select! {
        biased;
        () = graceful.shutdown() => {}
        () = runtime.clock.sleep(options.drain) => tracing::warn!("some wallets were cut off"),
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, place))
}
