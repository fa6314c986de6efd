//! Everything around: processes, roles, configuration, command line, probes, metrics, traces, hostile clients.

pub mod admin;
pub mod cli;
pub mod cli_payments;
pub mod cli_reach;
pub mod clients;
pub mod environment;
pub mod gzip;
pub mod hangups;
pub mod hostile_bytes;
pub mod hostile_http;
pub mod hostile_load;
pub mod master_keys;
pub mod metrics;
pub mod process_life;
pub mod roles;
pub mod shutdown;
pub mod trace_export;
pub mod traces;
