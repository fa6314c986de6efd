//! `[lnurl]`: the public side.

use std::net::SocketAddr;

use serde::Deserialize;

use super::{check::Check, listen};
use crate::{domain::Millis, sidecar::SidecarOptions};

/// `[lnurl]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Lnurl {
    pub listen: String,
    pub max_connections: i64,
    pub header_timeout_ms: i64,
    pub answer_timeout_ms: i64,
}

/// The public side.
#[derive(Clone, Copy, Debug)]
pub struct LnurlSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its limits.
    pub options: SidecarOptions,
}

impl Lnurl {
    pub(super) fn check(&self, drain: Millis, check: &mut Check) -> LnurlSettings {
        LnurlSettings {
            listen: listen::check("lnurl.listen (--lnurl-listen)", &self.listen, check),
            options: SidecarOptions {
                max_connections: check.count("lnurl.max_connections", self.max_connections),
                header_timeout: check.ms("lnurl.header_timeout_ms", self.header_timeout_ms),
                answer_within: check.ms("lnurl.answer_timeout_ms", self.answer_timeout_ms),
                drain,
            },
        }
    }
}
