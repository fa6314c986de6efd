//! Where lnd listens, and how long to wait for it.

use std::time::Duration;

use http::Uri;
use rustls::pki_types::ServerName;

use crate::domain::Network;

/// The address of an lnd and its timeouts, checked.
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The scheme and authority of every request.
    pub(crate) origin: Uri,
    pub(crate) server_name: ServerName<'static>,
    pub(crate) network: Network,
    pub(crate) connect_timeout: Duration,
    pub(crate) info_timeout: Duration,
    pub(crate) keep_alive: KeepAlive,
}

/// When to ping a silent connection, and how long to wait for the answer.
#[derive(Clone, Copy)]
pub(crate) struct KeepAlive {
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
}

impl Target {
    /// `HOST:PORT`, for messages.
    pub(crate) fn address(&self) -> String {
        self.origin.authority().map(ToString::to_string).unwrap_or_default()
    }
}
