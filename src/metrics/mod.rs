//! The metrics for Prometheus, as `OpenMetrics` text. The table in `deploy/operations.md` lists all of
//! them, and a test compares the two.
//!
//! * [`Metrics`] counts what this process does. It is passed in and never global, since many services run
//!   in one test process.
//! * [`MetricsEndpoint`] adds what the database knows about the whole instance, the same in every replica. A
//!   scrape reads it with a timeout; if the database does not answer in time, these metrics are left out.
//!
//! Label values are names of enums. Nothing that a client sent becomes a label: no request, id or secret.

mod counted;
mod endpoint;
mod gauges;
mod labels;
mod setup;

pub use counted::Metrics;
pub use endpoint::MetricsEndpoint;
pub use setup::Setup;
