//! `[admin]`: probes and metrics.

use std::net::SocketAddr;

use serde::Deserialize;

use super::{check::Check, listen};

/// `[admin]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Admin {
    pub listen: String,
}

impl Admin {
    pub(super) fn check(&self, check: &mut Check) -> SocketAddr {
        listen::check("admin.listen (--admin-listen)", &self.listen, check)
    }
}
