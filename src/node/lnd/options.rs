//! What the lnd backend is told, and what is checked of it before anything is opened.

use std::time::Duration;

use http::{Uri, uri::Scheme};
use rustls::pki_types::ServerName;

use super::transport::{Credentials, KeepAlive, Macaroon, Target};
use crate::domain::Network;

/// Where lnd listens unless told otherwise.
const DEFAULT_PORT: u16 = 10_009;
/// lnd hangs up on who pings more often (its `client-ping-min-wait`).
const LEAST_KEEP_ALIVE: Duration = Duration::from_secs(6);

/// How to reach an lnd, and the terms of its payments.
#[derive(Clone, Debug)]
pub struct LndOptions {
    /// `https://HOST:PORT` of lnd's gRPC, 10009 if there is no port. The way there must be direct:
    /// a proxy that repeats requests could pay twice.
    pub endpoint: String,
    /// lnd's `tls.cert`, the only certificate that is trusted; the public roots if there is none.
    pub tls_cert_pem: Option<Vec<u8>>,
    /// What authorises the calls.
    pub macaroon: Macaroon,
    /// The network that the node must be on.
    pub network: Network,
    /// The most blocks that money may be locked for.
    pub cltv_limit: u32,
    /// Into how many parts a payment may be split.
    pub max_parts: u32,
    /// For how long lnd starts new tries (its `timeout_seconds`). Whole seconds.
    pub payment_timeout: Duration,
    /// The most that TCP, TLS and HTTP/2 may take to connect.
    pub connect_timeout: Duration,
    /// The most that `GetInfo` may take, the first call on every connection.
    pub info_timeout: Duration,
    /// The most that a look-up, or a send's first answer, may take.
    pub call_timeout: Duration,
    /// After how long a silence the node is pinged while calls are open.
    pub keep_alive_interval: Duration,
    /// After how long without an answer to that the connection counts as lost.
    pub keep_alive_timeout: Duration,
}

/// Which of the [`LndOptions`] is wrong.
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

impl LndOptions {
    /// What is wrong, before anything is opened.
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
        if self.keep_alive_interval < LEAST_KEEP_ALIVE {
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
        // Zero would mean a default of lnd's, which is not what was written.
        let seconds = i32::try_from(self.payment_timeout.as_secs()).unwrap_or_default();
        if seconds == 0 || self.payment_timeout.subsec_nanos() != 0 {
            return Err(invalid("payment_timeout", "must be whole seconds, not none"));
        }
        let cltv_limit = i32::try_from(self.cltv_limit).unwrap_or_default();
        if cltv_limit == 0 {
            return Err(invalid("cltv_limit", "must be a number of blocks, not none"));
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
        return Err("https:// is missing: it must be https://HOST:PORT");
    }
    let uri: Uri = endpoint.parse().map_err(|_| "is not a URL")?;
    if uri.scheme() != Some(&Scheme::HTTPS) {
        return Err("must begin with https://, since the macaroon travels with every call");
    }
    // `http::Uri` drops a fragment.
    if uri.path() != "/" || uri.query().is_some() || endpoint.contains(['?', '#']) {
        return Err("must have no path and no parameters: it must be https://HOST:PORT");
    }
    let authority = uri.authority().ok_or("names no host")?;
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
    fn endpoints_are_hosts_with_or_without_a_port() {
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
    fn an_endpoint_without_its_scheme_is_told_so() {
        for endpoint in ["127.0.0.1:10009", "node.example", "localhost:10009"] {
            assert!(address(endpoint).unwrap_err().contains("https:// is missing"), "{endpoint}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        type Spoil = fn(&mut LndOptions);
        let cases: [(&str, Spoil); 16] = [
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
        for (option, spoil) in cases {
            let mut options = options();
            spoil(&mut options);
            let fault = options
                .target()
                .and_then(|_| options.credentials())
                .and_then(|_| options.payment_terms());
            assert_eq!(fault.err().map(|fault| fault.option), Some(option));
        }
    }
}
