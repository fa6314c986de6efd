//! `[log]`: what is logged, and in which format.

use std::io::IsTerminal;

use serde::Deserialize;

use super::check::Check;
use crate::telemetry::{LogOptions, Style, level};

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Log {
    pub level: String,
    pub format: String,
}

impl Log {
    pub(super) fn check(&self, check: &mut Check) -> LogOptions {
        if level(&self.level).is_none() {
            check.refuse("log.level", "must be a level or a filter of levels");
        }
        let is_terminal = std::io::stderr().is_terminal();
        let style = match self.format.as_str() {
            "auto" if is_terminal => Style::Human,
            "auto" | "json" => Style::Json,
            "human" => Style::Human,
            _ => {
                check.refuse("log.format", "must be auto, human or json");
                Style::Json
            }
        };
        LogOptions { level: self.level.clone(), style, is_terminal }
    }
}
