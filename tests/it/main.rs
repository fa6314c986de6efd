//! One integration binary: the bench, and a folder per subject.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected has failed, and tests wait for real processes"
)]

mod bench;
mod claims;
mod docs;
mod edge;
mod lnd;
mod operators;
mod payments;
mod restore;
#[path = "../sim/mod.rs"]
mod sim;

// The simulation is a part of examples/soak.rs, too, and names it from the root of either.
use bench::invoices;
mod store;
