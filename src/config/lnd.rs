//! `[lnd]`: how to reach an lnd, and the terms of its payments.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

use super::check::Check;
use crate::{
    domain::Network,
    node::lnd::{CredentialFiles, LndOptions, Macaroon, check_endpoint},
};

/// How often a silent connection to the node is pinged while calls are open.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// `[lnd]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Lnd {
    pub endpoint: String,
    pub tls_cert: PathBuf,
    pub macaroon: PathBuf,
    pub connect_timeout_ms: i64,
    pub call_timeout_ms: i64,
    pub payment_timeout_s: i64,
    pub max_parts: i64,
}

/// An lnd, with the contents of its files.
#[derive(Clone, Debug)]
pub struct LndSettings {
    /// How to reach it.
    pub options: LndOptions,
    /// The files that its credentials are read from again.
    pub files: CredentialFiles,
}

impl Lnd {
    /// None if the macaroon cannot be read.
    pub(super) fn check(
        &self,
        network: Network,
        cltv_limit: u32,
        check: &mut Check,
    ) -> Option<LndSettings> {
        let call_timeout = check.ms("lnd.call_timeout_ms", self.call_timeout_ms).as_duration();
        let connect_timeout = check.ms("lnd.connect_timeout_ms", self.connect_timeout_ms);
        let payment_timeout = check.s("lnd.payment_timeout_s", self.payment_timeout_s);
        let max_parts = check.number("lnd.max_parts", self.max_parts, &(1..=i64::from(u32::MAX)));
        if let Err(wrong) = check_endpoint(&self.endpoint) {
            check.refuse(option_of(wrong.option), wrong.fault);
        }
        let tls_cert_pem = match self.tls_cert.as_os_str() {
            path if path.is_empty() => None,
            _ => check.keep("lnd.tls_cert", read(&self.tls_cert)),
        };
        let options = LndOptions {
            endpoint: self.endpoint.clone(),
            tls_cert_pem,
            macaroon: self.check_macaroon(check)?,
            network,
            cltv_limit,
            max_parts,
            payment_timeout: payment_timeout.as_duration(),
            connect_timeout: connect_timeout.as_duration(),
            info_timeout: call_timeout,
            call_timeout,
            keep_alive_interval: KEEP_ALIVE_INTERVAL,
            keep_alive_timeout: KEEP_ALIVE_TIMEOUT,
        };
        if let Err(wrong) = options.check() {
            check.refuse(option_of(wrong.option), wrong.fault);
        }
        let files = CredentialFiles {
            macaroon: self.macaroon.clone(),
            tls_cert: options.tls_cert_pem.is_some().then(|| self.tls_cert.clone()),
        };
        Some(LndSettings { options, files })
    }

    fn check_macaroon(&self, check: &mut Check) -> Option<Macaroon> {
        if self.macaroon.as_os_str().is_empty() {
            check.refuse("lnd.macaroon (--lnd-macaroon)", "is required with lnd");
            return None;
        }
        if is_hex(&self.macaroon) {
            check.refuse("lnd.macaroon", "must be the path of a file, not what is in it");
            return None;
        }
        let bytes = check.keep("lnd.macaroon", read(&self.macaroon))?;
        check.keep("lnd.macaroon", Macaroon::parse(&bytes))
    }
}

/// A secret in the place of its file's path: it is not repeated.
pub(super) fn is_hex(path: &Path) -> bool {
    let text = path.as_os_str().as_encoded_bytes();
    text.len() >= 64 && text.iter().all(u8::is_ascii_hexdigit)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The key in the example file of an option of the backend.
fn option_of(field: &'static str) -> &'static str {
    match field {
        "endpoint" => "lnd.endpoint",
        "tls_cert_pem" => "lnd.tls_cert",
        "payment_timeout" => "lnd.payment_timeout_s",
        "connect_timeout" => "lnd.connect_timeout_ms",
        "call_timeout" | "info_timeout" => "lnd.call_timeout_ms",
        "max_parts" => "lnd.max_parts",
        "cltv_limit" => "payments.cltv_limit",
        other => other,
    }
}
