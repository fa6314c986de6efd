//! Logs and traces. Logs: one line per RPC, LNURL request and payment change, with the trace that it
//! belongs to. No secret is ever a field, of a line or of a span.
//!
//! Spans are made whether or not anybody collects them, so that lines have their trace ids anyway.

mod exporter;
mod format;
mod traces;
mod variables;

use std::{io::IsTerminal, time::Duration};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, LevelFilter, filter_fn},
    fmt as lines,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::config::{BadOption, Log};
use format::{Style, Traced};

/// Whose spans are collected. The exporter's own HTTP/2 client has spans too: they would never end.
const TARGET: &str = "withdrawd";

/// What runs for logs and traces.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// Starts logging to standard error and, where a collector is named, tracing; for the whole process.
/// Call it on the runtime.
pub fn init(log: &Log) -> Result<Telemetry, BadOption> {
    let level = EnvFilter::try_new(&log.level)
        .map_err(|_| BadOption::new("log.level", "must be a level or a filter of levels"))?;
    let terminal = std::io::stderr().is_terminal();
    let style = match log.format.as_str() {
        "auto" if terminal => Style::Human,
        "auto" | "json" => Style::Json,
        "human" => Style::Human,
        _ => return Err(BadOption::new("log.format", "must be auto, human or json")),
    };
    let provider = traces::provider()?;

    // Lines tell their trace, not the spans that they are in.
    let events = filter_fn(is_line).with_max_level_hint(LevelFilter::TRACE);
    let format = lines::format().with_target(false);
    let lines = lines::layer().with_writer(std::io::stderr);
    let lines = match style {
        Style::Json => {
            let format = format.json().flatten_event(true);
            let format = format.with_current_span(false).with_span_list(false);
            lines.json().event_format(Traced::new(format, style)).boxed()
        }
        Style::Human => {
            let format = format.with_ansi(terminal);
            lines.with_ansi(terminal).event_format(Traced::new(format, style)).boxed()
        }
    };
    // Whatever the level of the log. Its lines stay out of the spans: they are in the log.
    let spans = filter_fn(is_our_span).with_max_level_hint(LevelFilter::INFO);
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(TARGET))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false);
    let started = tracing_subscriber::registry()
        .with(traces.with_filter(spans))
        .with(lines.with_filter(level.and(events)))
        .try_init();
    started.map_err(|_| BadOption::new("log", "logging was started before"))?;
    Ok(Telemetry { provider })
}

fn is_line(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
}

fn is_our_span(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    metadata.is_span()
        && target.strip_prefix(TARGET).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

impl Telemetry {
    /// Hands over the spans that ended, and collects no more. A collector that does not answer keeps
    /// nobody waiting for longer than `limit`.
    pub async fn flush(self, limit: Duration) {
        let provider = self.provider;
        let (tell, hear) = tokio::sync::oneshot::channel();
        // It blocks, and the end of the runtime would wait for a task of its own that does.
        std::thread::spawn(move || tell.send(provider.shutdown_with_timeout(limit)));
        if !matches!(hear.await, Ok(Ok(()))) {
            tracing::warn!("the last spans were not exported");
        }
    }
}
