//! Serves wallets, within limits.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::routes::Routes;
use crate::{
    domain::Millis,
    http::server::{self, MaxAge, Protocol, ServerOptions},
    metrics::Metrics,
    runtime::Runtime,
    service::ClaimService,
};

/// Limits of the public side.
#[derive(Clone, Copy, Debug)]
pub struct SidecarOptions {
    /// Concurrent connections; more wait to be accepted.
    pub max_connections: usize,
    /// How long a client may take to send its request, and to stay silent between two.
    pub header_timeout: Millis,
    /// How long a wallet waits for an answer at most.
    pub answer_within: Millis,
    /// How long a stop waits for answers under way.
    pub drain: Millis,
}

impl SidecarOptions {
    const fn server(&self) -> ServerOptions {
        ServerOptions {
            name: "lnurl",
            protocol: Protocol::Http1,
            max_connections: self.max_connections,
            // Longer ones are refused by hyper's parser (431).
            max_head_bytes: 16 * 1024,
            max_headers: 64,
            max_streams: 1,
            head_timeout: Some(self.header_timeout),
            // A wallet needs two short requests, and a proxy reconnects. Claims go on all the same.
            max_age: MaxAge::CutOff(Millis::from_secs(60)),
            max_backlog_at_stop: 1024,
            drain: self.drain,
        }
    }
}

/// Serves until `stop`, then drains. `base` is the path of the public URL.
pub async fn serve(
    listener: TcpListener,
    claims: ClaimService,
    base: String,
    runtime: Runtime,
    metrics: Arc<Metrics>,
    options: SidecarOptions,
    stop: CancellationToken,
) {
    let routes = Routes::new(claims, runtime.clone(), metrics, &base, options.answer_within);
    let routes = Arc::new(routes);
    let answer = move |request: http::Request<hyper::body::Incoming>| {
        let routes = Arc::clone(&routes);
        async move { routes.answer(&request).await.into_response(request.method()) }
    };
    server::serve(listener, options.server(), runtime, stop, answer).await;
}
