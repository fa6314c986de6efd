//! The operators' port: plaintext, for probes and for Prometheus, on HTTP/1.1 and HTTP/2 alike.
//!
//! * `GET /metrics`: for Prometheus.
//! * `GET /healthz`, `/readyz`, `/startupz`: 200, or 503 and why. What [`crate::health`] says.
//! * `grpc.health.v1.Health`: the same, by the names of the main port.
//!
//! Nothing here changes anything, and no answer holds a secret; still it belongs on a private network. It
//! answers from before the first call until after the last one, while the service drains.

mod listener;
mod routes;

pub use listener::serve;
pub use routes::Routes;
