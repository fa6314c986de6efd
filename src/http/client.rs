//! An HTTP client with limits of time and size. It follows no redirects.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use url::Url;

/// The limits of one request.
#[derive(Clone, Copy, Debug)]
pub struct ClientOptions {
    /// From the resolution of the host's name to the last byte.
    pub timeout: Duration,
    /// Of the response's body.
    pub max_body_bytes: usize,
    /// Where it may connect to.
    pub hosts: Hosts,
}

/// Where a client may connect to. A name is judged by the address that it resolves to at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hosts {
    /// Anywhere.
    Any,
    /// Public addresses only: a URL that somebody else wrote must not reach a private network.
    Public,
}

/// Requests `url` once and follows no redirect. Returns the whole response, or an error.
pub async fn get(url: &Url, options: ClientOptions) -> anyhow::Result<(StatusCode, Bytes)> {
    let exchange = tokio::time::timeout(options.timeout, connect(url, options));
    exchange.await.context("no answer in time")?
}

async fn connect(url: &Url, options: ClientOptions) -> anyhow::Result<(StatusCode, Bytes)> {
    let host = url.host_str().context("the URL has no host")?;
    let port = url.port_or_known_default().context("the URL has no port")?;
    // An IPv6 address is in brackets in a URL, and without them for the resolver.
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let found = tokio::net::lookup_host((plain, port)).await;
    let found = found.with_context(|| format!("{host} has no address"))?;
    let allowed: Vec<SocketAddr> =
        found.filter(|address| options.hosts.admit(address.ip())).collect();
    if allowed.is_empty() {
        bail!("{host} is not a public host");
    }
    let stream = TcpStream::connect(&*allowed)
        .await
        .with_context(|| format!("cannot reach {host}:{port}"))?;
    match url.scheme() {
        "http" => exchange(stream, url, options.max_body_bytes).await,
        "https" => {
            let name = ServerName::try_from(plain.to_owned()).context("the host has no name")?;
            let stream = tls()?.connect(name, stream).await.context("TLS failed")?;
            exchange(stream, url, options.max_body_bytes).await
        }
        scheme => bail!("{scheme} is not http or https"),
    }
}

fn tls() -> anyhow::Result<tokio_rustls::TlsConnector> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config).into())
}

async fn exchange<S>(
    stream: S,
    url: &Url,
    max_body_bytes: usize,
) -> anyhow::Result<(StatusCode, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
    let request = http::Request::get(target)
        .header(http::header::HOST, authority)
        .body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), max_body_bytes).collect().await;
        let body = body.map_err(|error| anyhow::anyhow!("the answer was cut short: {error}"))?;
        Ok::<_, anyhow::Error>((status, body.to_bytes()))
    };
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        biased;
        body = &mut answer => body,
        ended = &mut connection => {
            ended?;
            answer.await
        }
    }
}

impl Hosts {
    fn admit(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Public => match address.to_canonical() {
                IpAddr::V4(address) => is_public_v4(address),
                IpAddr::V6(address) => is_public_v6(address),
            },
        }
    }
}

/// By IANA's registry of special-purpose addresses (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || first == 0
        || first >= 240
        || (first == 100 && (64..128).contains(&second))
        || (first == 198 && (18..20).contains(&second))
        || (first == 192 && second == 0 && third == 0);
    !is_special
}

/// Global unicast (`2000::/3`), except its ranges for IPv4, tunnels and documentation.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let is_global = segments[0] & 0xe000 == 0x2000;
    let is_special = (segments[0] == 0x2001 && (segments[1] < 0x0200 || segments[1] == 0x0db8))
        || segments[0] == 0x2002
        || (segments[0] == 0x3fff && segments[1] < 0x1000);
    is_global && !is_special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for public in ["1.1.1.1", "203.0.114.1", "100.128.0.1", "2606:4700:4700::1111"] {
            assert!(Hosts::Public.admit(public.parse().unwrap()), "{public}");
        }
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.0.8",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "2002:7f00:1::",
            "64:ff9b::7f00:1",
            "2001:db8::1",
        ] {
            assert!(!Hosts::Public.admit(private.parse().unwrap()), "{private}");
        }
    }
}
