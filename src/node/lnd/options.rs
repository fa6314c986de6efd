//! The options of the lnd backend, checked before anything is opened.

use std::time::Duration;

use http::{Uri, uri::Scheme};
use rustls::pki_types::ServerName;

use super::transport::{Credentials, KeepAlive, Macaroon, Target};
use crate::domain::Network;

/// lnd's default.
const DEFAULT_PORT: u16 = 10_009;
/// lnd disconnects a client that pings more often (its `client-ping-min-wait`).
const MIN_KEEP_ALIVE: Duration = Duration::from_secs(6);

/// How to reach an lnd, and the terms of its payments.
#[derive(Clone, Debug)]
pub struct LndOptions {
    /// `https://HOST:PORT` of lnd's gRPC server; the default port is 10009. No proxy that retries requests
    /// may stand in between: it could pay twice.
    pub endpoint: String,
    /// lnd's `tls.cert`, the only certificate that is trusted. None: the public roots.
    pub tls_cert_pem: Option<Vec<u8>>,
    /// Authorises the calls.
    pub macaroon: Macaroon,
    /// The network that the node must use.
    pub network: Network,
    /// The most blocks that an HTLC may be locked for.
    pub cltv_limit: u32,
    /// The most parts that a payment may be split into.
    pub max_parts: u32,
    /// How long lnd starts new attempts (its `timeout_seconds`). Whole seconds.
    pub payment_timeout: Duration,
    /// How long the TCP, TLS and HTTP/2 handshakes may take together.
    pub connect_timeout: Duration,
    /// How long `GetInfo` may take, the first call on every connection.
    pub info_timeout: Duration,
    /// How long a lookup, or the first answer to a send, may take.
    pub call_timeout: Duration,
    /// How long a connection with open calls may be silent before it is pinged.
    pub keep_alive_interval: Duration,
    /// How long a ping may stay unanswered before the connection counts as lost.
    pub keep_alive_timeout: Duration,
}

/// A field of [`LndOptions`] is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option}: {fault}")]
pub struct InvalidLndOption {
    /// The field of [`LndOptions`].
    pub option: &'static str,
    /// What is wrong with it.
    pub fault: String,
}

/// The terms of every payment, as lnd takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PaymentTerms {
    pub(super) timeout_seconds: i32,
    pub(super) cltv_limit: i32,
    pub(super) max_parts: u32,
}

/// Checks the address alone.
pub fn check_endpoint(endpoint: &str) -> Result<(), InvalidLndOption> {
    let (host, port) = address(endpoint).map_err(|fault| invalid("endpoint", fault))?;
    ServerName::try_from(host.clone())
        .map_err(|_| invalid("endpoint", "the host is neither a name nor an address"))?;
    origin(&host, port).map_err(|error| invalid("endpoint", error.to_string()))?;
    Ok(())
}

impl LndOptions {
    /// Checks all options. Opens nothing.
    pub fn check(&self) -> Result<(), InvalidLndOption> {
        self.target()?;
        self.credentials()?;
        self.payment_terms()?;
        Ok(())
    }

    pub(super) fn target(&self) -> Result<Target, InvalidLndOption> {
        let timeouts = [
            ("connect_timeout", self.connect_timeout),
            ("info_timeout", self.info_timeout),
            ("call_timeout", self.call_timeout),
            ("keep_alive_timeout", self.keep_alive_timeout),
        ];
        for (option, timeout) in timeouts {
            if timeout.is_zero() {
                return Err(invalid(option, "must not be zero"));
            }
        }
        if self.keep_alive_interval < MIN_KEEP_ALIVE {
            return Err(invalid("keep_alive_interval", "must be at least 6 seconds"));
        }
        let (host, port) = address(&self.endpoint).map_err(|fault| invalid("endpoint", fault))?;
        let server_name = ServerName::try_from(host.clone())
            .map_err(|_| invalid("endpoint", "the host is neither a name nor an address"))?;
        let origin = origin(&host, port).map_err(|error| invalid("endpoint", error.to_string()))?;
        Ok(Target {
            host,
            port,
            origin,
            server_name,
            network: self.network,
            connect_timeout: self.connect_timeout,
            info_timeout: self.info_timeout,
            keep_alive: KeepAlive {
                interval: self.keep_alive_interval,
                timeout: self.keep_alive_timeout,
            },
        })
    }

    pub(super) fn credentials(&self) -> Result<Credentials, InvalidLndOption> {
        Credentials::new(self.macaroon.clone(), self.tls_cert_pem.clone())
            .map_err(|fault| invalid("tls_cert_pem", fault))
    }

    pub(super) fn payment_terms(&self) -> Result<PaymentTerms, InvalidLndOption> {
        // lnd takes zero for its own default.
        let seconds = i32::try_from(self.payment_timeout.as_secs()).unwrap_or_default();
        if seconds == 0 || self.payment_timeout.subsec_nanos() != 0 {
            return Err(invalid("payment_timeout", "must be a positive number of whole seconds"));
        }
        let cltv_limit = i32::try_from(self.cltv_limit).unwrap_or_default();
        if cltv_limit == 0 {
            return Err(invalid("cltv_limit", "must be a positive number of blocks"));
        }
        if self.max_parts == 0 {
            return Err(invalid("max_parts", "must not be zero"));
        }
        Ok(PaymentTerms { timeout_seconds: seconds, cltv_limit, max_parts: self.max_parts })
    }
}

/// The host, without the brackets of IPv6, and the port.
fn address(endpoint: &str) -> Result<(String, u16), &'static str> {
    if !endpoint.contains("://") {
        return Err("https:// is missing: expected https://HOST:PORT");
    }
    let uri: Uri = endpoint.parse().map_err(|_| "is not a URL")?;
    if uri.scheme() != Some(&Scheme::HTTPS) {
        return Err("must begin with https://: every call carries the macaroon");
    }
    // `http::Uri` drops a fragment.
    if uri.path() != "/" || uri.query().is_some() || endpoint.contains(['?', '#']) {
        return Err("must have no path and no parameters: expected https://HOST:PORT");
    }
    let authority = uri.authority().ok_or("has no host")?;
    if authority.as_str().contains('@') {
        return Err("must have no user");
    }
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    Ok((host, authority.port_u16().unwrap_or(DEFAULT_PORT)))
}

fn origin(host: &str, port: u16) -> Result<Uri, http::Error> {
    let authority =
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    Uri::builder().scheme(Scheme::HTTPS).authority(authority).path_and_query("/").build()
}

fn invalid(option: &'static str, fault: impl Into<String>) -> InvalidLndOption {
    InvalidLndOption { option, fault: fault.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> LndOptions {
        let macaroon =
            b"0202026964000006200000000000000000000000000000000000000000000000000000000000000000";
        LndOptions {
            endpoint: "https://127.0.0.1:10009".to_owned(),
            tls_cert_pem: None,
            macaroon: Macaroon::parse(macaroon).unwrap(),
            network: Network::Regtest,
            cltv_limit: 1_000,
            max_parts: 16,
            payment_timeout: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(5),
            info_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(10),
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(10),
        }
    }

    #[test]
    fn an_endpoint_has_a_host_and_maybe_a_port() {
        let cases = [
            ("https://127.0.0.1:10010", "127.0.0.1", "127.0.0.1:10010"),
            ("https://node.example/", "node.example", "node.example:10009"),
            ("https://[::1]:7", "::1", "[::1]:7"),
        ];
        for (endpoint, host, authority) in cases {
            let mut options = options();
            options.endpoint = endpoint.to_owned();
            let target = options.target().unwrap();
            assert_eq!(target.host, host);
            assert_eq!(target.origin.authority().unwrap(), authority);
        }
    }

    #[test]
    fn a_missing_scheme_is_reported() {
        for endpoint in ["127.0.0.1:10009", "node.example", "localhost:10009"] {
            assert!(address(endpoint).unwrap_err().contains("https:// is missing"), "{endpoint}");
        }
    }

    #[test]
    fn the_error_names_the_wrong_option() {
        type Break = fn(&mut LndOptions);
        let cases: [(&str, Break); 16] = [
            ("endpoint", |o| o.endpoint = "https://a?tls=off".into()),
            ("endpoint", |o| o.endpoint = "https://a#b".into()),
            ("endpoint", |o| o.endpoint = "http://127.0.0.1:10009".into()),
            ("endpoint", |o| o.endpoint = "127.0.0.1:10009".into()),
            ("endpoint", |o| o.endpoint = "https://a/v1".into()),
            ("endpoint", |o| o.endpoint = "https://u:p@a".into()),
            ("endpoint", |o| o.endpoint = "https://a_b..c".into()),
            ("tls_cert_pem", |o| o.tls_cert_pem = Some(Vec::new())),
            ("payment_timeout", |o| o.payment_timeout = Duration::ZERO),
            ("payment_timeout", |o| {
                o.payment_timeout = Duration::from_millis(1_500);
            }),
            ("payment_timeout", |o| o.payment_timeout = Duration::MAX),
            ("cltv_limit", |o| o.cltv_limit = 0),
            ("cltv_limit", |o| o.cltv_limit = u32::MAX),
            ("max_parts", |o| o.max_parts = 0),
            ("call_timeout", |o| o.call_timeout = Duration::ZERO),
            ("keep_alive_interval", |o| {
                o.keep_alive_interval = Duration::from_secs(5);
            }),
        ];
        for (option, break_it) in cases {
            let mut options = options();
            break_it(&mut options);
            let fault = options
                .target()
                .and_then(|_| options.credentials())
                .and_then(|_| options.payment_terms());
            assert_eq!(fault.err().map(|fault| fault.option), Some(option));
        }
    }
}
