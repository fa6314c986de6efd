//! `withdrawd health`: a probe, for images without a shell.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::bail;
use clap::{Args, ValueEnum};
use url::Url;

use super::printable;
use crate::{
    config::Config,
    http::client::{self, ClientOptions, Hosts},
};

/// The timeout is below the usual 5 s of container health checks.
const LIMITS: ClientOptions =
    ClientOptions { timeout: Duration::from_secs(4), max_body_bytes: 64 * 1024, hosts: Hosts::Any };
const MAX_SHOWN_CHARS: usize = 200;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Probe {
    /// The process answers.
    Live,
    /// It is ready for calls: its database answers and takes writes.
    Ready,
    /// It has started.
    Started,
}

#[derive(Debug, Args)]
pub struct HealthArgs {
    #[arg(value_enum, default_value_t = Probe::Ready)]
    probe: Probe,
    /// <http://HOST:PORT> or HOST:PORT of the admin listener. Default: admin.listen of the configuration.
    #[arg(long, env = "WITHDRAWD_ADMIN", value_parser = address)]
    admin: Option<Url>,
    /// The configuration file that `serve` reads.
    #[arg(long, env = "WITHDRAWD_CONFIG")]
    config: Option<PathBuf>,
}

/// Prints one line, and fails if the service is not live, ready or started.
pub async fn health(args: HealthArgs) -> anyhow::Result<()> {
    let mut url = if let Some(url) = args.admin {
        url
    } else {
        let config = Config::load(args.config.as_deref(), &[])?;
        configured(config.check_admin()?)?
    };
    url.set_path(match args.probe {
        Probe::Live => "healthz",
        Probe::Ready => "readyz",
        Probe::Started => "startupz",
    });
    let (status, body) = client::get(&url, LIMITS).await?;
    let text = String::from_utf8_lossy(&body);
    let line: String = printable(text.trim()).chars().take(MAX_SHOWN_CHARS).collect();
    if status.is_success() {
        say!("{line}");
        return Ok(());
    }
    if line.is_empty() {
        bail!("the probe failed with {status}");
    }
    bail!(line);
}

/// Accepts HOST:PORT too, as the start banner prints it.
fn address(text: &str) -> Result<Url, url::ParseError> {
    if text.contains("://") { Url::parse(text) } else { Url::parse(&format!("http://{text}")) }
}

/// The URL of a process that listens on this address.
fn configured(listen: SocketAddr) -> anyhow::Result<Url> {
    if listen.port() == 0 {
        bail!(
            "admin.listen has port 0: give the actual address with --admin (see listen.json in data_dir)"
        );
    }
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Ok(Url::parse(&format!("http://{}", SocketAddr::new(ip, listen.port())))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unspecified_address_is_asked_on_loopback() {
        for (listen, url) in [
            ("0.0.0.0:9090", "http://127.0.0.1:9090/"),
            ("[::]:9090", "http://[::1]:9090/"),
            ("10.0.0.7:81", "http://10.0.0.7:81/"),
        ] {
            assert_eq!(configured(listen.parse().unwrap()).unwrap().as_str(), url);
        }
        configured("127.0.0.1:0".parse().unwrap()).unwrap_err();
    }
}
