#![allow(clippy::disallowed_methods)] // tests wait for real processes
//! One integration binary: the bench, and a file per story.

mod architecture;
mod bench;
mod clock;
mod faults;
mod http;
mod invoices;
mod node;
mod payments;
