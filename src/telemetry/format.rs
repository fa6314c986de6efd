//! Log lines, each with its trace id.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::trace;

/// The format of log lines, by who reads them.
#[derive(Clone, Copy, Debug)]
pub enum Style {
    /// A person at a terminal.
    Human,
    /// A log collector: one JSON object per line.
    Json,
}

/// Formats events as `lines` does, and appends the current `trace_id`.
pub struct WithTraceId<F> {
    lines: F,
    style: Style,
}

impl<F> WithTraceId<F> {
    pub const fn new(lines: F, style: Style) -> Self {
        Self { lines, style }
    }
}

impl<S, N, F> FormatEvent<S, N> for WithTraceId<F>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    N: for<'w> FormatFields<'w> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(here) = trace::current() else {
            return self.lines.format_event(context, writer, event);
        };
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        let (line, trace_id) = (line.trim_end(), here.trace_id_hex());
        match (self.style, line.strip_suffix('}')) {
            (Style::Json, Some(open)) => writeln!(writer, r#"{open},"trace_id":"{trace_id}"}}"#),
            (Style::Json, None) | (Style::Human, _) => {
                writeln!(writer, "{line} trace_id={trace_id}")
            }
        }
    }
}
