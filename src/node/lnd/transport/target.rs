//! Where lnd listens, and how long to wait for it.

use std::time::Duration;

use http::Uri;
use rustls::pki_types::ServerName;

use crate::domain::Network;

/// A node to connect to, checked.
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What requests are addressed to.
    pub(crate) origin: Uri,
    pub(crate) server_name: ServerName<'static>,
    pub(crate) network: Network,
    pub(crate) connect_timeout: Duration,
    pub(crate) info_timeout: Duration,
    pub(crate) keep_alive: KeepAlive,
}

/// When a silent connection is asked whether it lives.
#[derive(Clone, Copy)]
pub(crate) struct KeepAlive {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

impl Target {
    /// For people.
    pub(crate) fn address(&self) -> String {
        self.origin.authority().map(ToString::to_string).unwrap_or_default()
    }
}
