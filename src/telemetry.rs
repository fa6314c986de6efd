//! Logs: one line per RPC, LNURL request and payment change. No secret is ever a field.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{BadOption, Log};

/// Starts logging to standard error, for the whole process.
pub fn init(log: &Log) -> Result<(), BadOption> {
    let filter = EnvFilter::try_new(&log.level)
        .map_err(|_| BadOption::new("log.level", "must be a level or a filter of levels"))?;
    let json = match log.format.as_str() {
        "auto" => !std::io::stderr().is_terminal(),
        "human" => false,
        "json" => true,
        _ => return Err(BadOption::new("log.format", "must be auto, human or json")),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let started = if json {
        subscriber.json().flatten_event(true).try_init()
    } else {
        subscriber.with_ansi(std::io::stderr().is_terminal()).try_init()
    };
    started.map_err(|_| BadOption::new("log", "logging was started before"))
}
