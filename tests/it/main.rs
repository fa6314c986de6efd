//! One integration binary: the bench, and a file per story.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test that meets the unexpected has failed, and tests wait for real processes"
)]

mod admin;
mod architecture;
mod asked;
mod attacks;
mod backlog;
mod bench;
mod binary;
mod chaos;
mod cli;
mod cli_payments;
mod cli_reach;
mod clients;
mod clock;
mod clusters;
mod collecting;
mod collector;
mod contract;
mod crashes;
mod daemon;
mod deploy;
mod doubts;
mod environment;
mod exhaustive;
mod faults;
mod fences;
mod fences_again;
mod fences_ahead;
mod floods;
mod gzip;
mod halts;
mod hangups;
mod hostile_bytes;
mod hostile_http;
mod hostile_lnd;
mod hostile_load;
mod http;
mod invoices;
mod lab;
mod lab_latency;
mod lab_outages;
mod lab_stories;
mod lists;
mod lives;
mod lnd_credentials;
mod lnd_listing;
mod lnd_node;
mod marks;
mod marks_failover;
mod marks_mix;
mod master_keys;
mod metrics;
mod node;
mod operations_guide;
mod operator_races;
mod operators;
mod payment_lists;
mod payments;
mod pgbouncer;
mod pooled;
mod prometheus;
mod races;
mod read_only;
mod readme;
mod reconciling;
mod releases;
mod replicas;
mod requests;
mod restores;
mod roles;
mod scripted_lnd;
mod short_invoices;
mod shutdown;
#[path = "../sim/mod.rs"]
mod sim;
mod simulation;
mod stalls;
mod tallies;
mod telling;
mod timeouts;
mod traces;
mod upgrades;
