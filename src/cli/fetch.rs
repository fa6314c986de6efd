//! One GET, as a wallet makes it.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use url::Url;

const MAX_BODY_BYTES: usize = 64 * 1024;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Fetches JSON; follows no redirect.
pub(super) async fn json(url: &Url) -> anyhow::Result<Value> {
    let work = tokio::time::timeout(TIMEOUT, get(url));
    let (_, body) = work.await.context("no answer in time")??;
    serde_json::from_slice(&body).context("the answer is not JSON")
}

/// Fetches text, however long that takes; follows no redirect.
pub(super) async fn text(url: &Url) -> anyhow::Result<(StatusCode, String)> {
    let (status, body) = get(url).await?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

async fn get(url: &Url) -> anyhow::Result<(StatusCode, Bytes)> {
    let host = url.host_str().context("the URL has no host")?;
    let port = url.port_or_known_default().context("the URL has no port")?;
    // An IPv6 address stands in brackets in a URL, and without them for the resolver.
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((plain, port))
        .await
        .with_context(|| format!("cannot reach {host}:{port}"))?;
    match url.scheme() {
        "http" => exchange(stream, url).await,
        "https" => {
            let name = ServerName::try_from(plain.to_owned()).context("the host has no name")?;
            let stream = tls()?.connect(name, stream).await.context("TLS failed")?;
            exchange(stream, url).await
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

async fn exchange<S>(stream: S, url: &Url) -> anyhow::Result<(StatusCode, Bytes)>
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
        let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
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
