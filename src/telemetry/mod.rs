//! Logs and traces. There is one log line per RPC, LNURL request and payment change, with its trace id. No
//! field of a line or of a span is ever a secret.
//!
//! Spans are made whether or not they are exported, so that log lines always have trace ids.

mod exporter;
mod format;
mod traces;
mod variables;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, LevelFilter, Targets, filter_fn},
    fmt as lines,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use format::WithTraceId;

pub use format::Style;

/// The target of the spans that are exported. The exporter's own HTTP/2 client makes spans too; exporting
/// those would make new ones without end.
const TARGET: &str = "withdrawd";

/// Logs and traces, running.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
}

/// What is logged, and in which format.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// A level, or a filter of levels as `tracing_subscriber` reads it.
    pub level: String,
    /// Who reads the log.
    pub style: Style,
    /// Whether the log goes to a terminal, which shows colours.
    pub is_terminal: bool,
}

/// An environment variable of OpenTelemetry that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{variable}: {rule}")]
pub struct InvalidVariable {
    /// Its name.
    pub variable: &'static str,
    /// What is wrong, or allowed.
    pub rule: String,
}

impl InvalidVariable {
    fn new(variable: &'static str, rule: impl std::fmt::Display) -> Self {
        Self { variable, rule: rule.to_string() }
    }
}

/// Why logging and tracing do not start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// An environment variable of OpenTelemetry cannot be used.
    #[error(transparent)]
    Variable(#[from] InvalidVariable),
    /// The filter of levels cannot be used.
    #[error("log.level: must be a level or a filter of levels")]
    Level,
    /// Telemetry was started before.
    #[error("logging was started before")]
    Started,
}

/// Starts logging to standard error and, if a collector is named, tracing, for the whole process. Call it
/// on the tokio runtime.
pub fn init(log: &LogOptions) -> Result<Telemetry, TelemetryError> {
    let level = level(&log.level).ok_or(TelemetryError::Level)?;
    let (style, terminal) = (log.style, log.is_terminal);
    let provider = traces::provider()?;

    // Lines show their trace id, not the spans that they are in.
    let events = filter_fn(is_log_event).with_max_level_hint(LevelFilter::TRACE);
    let format = lines::format().with_target(false);
    let lines = lines::layer().with_writer(std::io::stderr);
    let lines = match style {
        Style::Json => {
            let format = format.json().flatten_event(true);
            let format = format.with_current_span(false).with_span_list(false);
            lines.json().event_format(WithTraceId::new(format, style)).boxed()
        }
        Style::Human => {
            let format = format.with_ansi(terminal);
            lines.with_ansi(terminal).event_format(WithTraceId::new(format, style)).boxed()
        }
    };
    // Spans do not depend on the log level. Log lines stay out of the spans.
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
    started.map_err(|_| TelemetryError::Started)?;
    Ok(Telemetry { provider })
}

/// Parses a level with exceptions by module: `info,sqlx=warn`. `EnvFilter` would also filter by spans and
/// fields, but depends on a regex engine.
pub fn level(text: &str) -> Option<Targets> {
    // An empty text would parse as a filter that passes nothing.
    text.parse().ok().filter(|_| !text.trim().is_empty())
}

fn is_log_event(metadata: &Metadata<'_>) -> bool {
    metadata.is_event()
}

fn is_our_span(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    metadata.is_span()
        && target.strip_prefix(TARGET).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

impl Telemetry {
    /// Exports the spans that have ended, and collects no more. A collector that does not answer delays
    /// this by `limit` at most.
    pub async fn flush(self, limit: Duration) {
        let provider = self.provider;
        let (done, ended) = tokio::sync::oneshot::channel();
        // In a thread, since it blocks, and the end of the runtime waits for its blocking tasks.
        std::thread::spawn(move || done.send(provider.shutdown_with_timeout(limit)));
        if !matches!(ended.await, Ok(Ok(()))) {
            tracing::warn!("the last spans were not exported");
        }
    }
}
