//! What Prometheus is told, as `OpenMetrics` text. `deploy/operations.md` has the table of all of it, and a
//! test compares the two.
//!
//! * [`Metrics`] counts what this process does: handed to whoever does something, never global, since many
//!   services run in one test process.
//! * [`MetricsEndpoint`] adds what the database knows of the whole instance, asked at each scrape, within a
//!   limit. Every replica shows the same of it. While the database is silent it is left out, promptly.
//!
//! Labels take the names of enums, and nothing that a client sent: no request, id or secret.

mod counted;
mod exposition;
mod gauges;
mod labels;

pub use counted::Metrics;
pub use exposition::{MetricsEndpoint, Setup};
