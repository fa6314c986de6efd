//! The admin port: plaintext, for probes and Prometheus, over HTTP/1.1 and HTTP/2 alike.
//!
//! * `GET /metrics`: for Prometheus.
//! * `GET /healthz`, `/readyz`, `/startupz`: 200, or 503 and the reason, from [`crate::health`].
//! * `grpc.health.v1.Health`: the same, under the service names of the main port.
//!
//! Nothing here changes anything, and no answer holds a secret; still it belongs on a private network. It
//! answers from before the first call until after the last one, while the service drains.

mod routes;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    domain::Millis,
    http::server::{self, MaxAge, Protocol, ServerOptions},
    runtime::Runtime,
};

pub use routes::Routes;

const LIMITS: ServerOptions = ServerOptions {
    name: "admin",
    protocol: Protocol::Either,
    // Some probes, a Prometheus or two, and a person.
    max_connections: 64,
    max_head_bytes: 8 * 1024,
    max_headers: 64,
    max_streams: 16,
    head_timeout: Some(Millis::from_secs(20)),
    // Otherwise a client that holds all connections would silence the probes. A client that asks again
    // reconnects.
    max_age: MaxAge::CutOff(Millis::from_secs(60)),
    max_backlog_at_stop: 0,
    // Cutting off a probe loses nobody's call.
    drain: Millis::from_ms(500),
};

/// Serves until `stop`, which comes at the very end.
pub async fn serve(
    listener: TcpListener,
    routes: Routes,
    runtime: Runtime,
    stop: CancellationToken,
) {
    let answer = move |request| routes.clone().answer(request);
    server::serve(listener, LIMITS, runtime, stop, answer).await;
}
