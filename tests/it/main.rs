//! One integration binary: the bench, and a file per story.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected has failed, and tests wait for real processes"
)]

mod architecture;
mod bench;
mod clock;
mod contract;
mod crashes;
mod doubts;
mod faults;
mod http;
mod invoices;
mod node;
mod payments;
mod races;
mod replicas;
mod requests;
