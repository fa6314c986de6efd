//! `[shutdown]`: how a process ends.

use serde::Deserialize;

use super::check::Check;
use crate::domain::Millis;

/// `[shutdown]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Shutdown {
    pub wait_ms: i64,
    pub drain_ms: i64,
}

/// How a process ends.
#[derive(Clone, Copy, Debug)]
pub struct ShutdownSettings {
    /// How long it still serves after probes see that it stops.
    pub wait: Millis,
    /// How long it waits for what is under way.
    pub drain: Millis,
}

impl Shutdown {
    pub(super) fn check(self, check: &mut Check) -> ShutdownSettings {
        ShutdownSettings {
            wait: check.ms_of_at_least("shutdown.wait_ms", self.wait_ms, 0),
            drain: check.ms("shutdown.drain_ms", self.drain_ms),
        }
    }
}
