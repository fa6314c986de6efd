//! The metrics for Prometheus, as `OpenMetrics` text. The table in `deploy/operations.md` lists all of
//! them, and a test compares the two.
//!
//! * [`Metrics`] counts what this process does. It is passed in and never global, since many services run
//!   in one test process.
//! * [`MetricsEndpoint`] adds what the database knows about the whole instance, asked at each scrape,
//!   within a limit. Every replica shows the same. While the database is silent, this part is left out,
//!   promptly.
//!
//! Label values are the names of enums, and nothing that a client sent: no request, id or secret.

mod counted;
mod exposition;
mod gauges;
mod labels;
mod setup;

pub use counted::Metrics;
pub use exposition::MetricsEndpoint;
pub use setup::Setup;
