//! One connection to lnd. `GetInfo` is its first call; once lost it is not restored.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::{AlertDescription, CertificateError};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::TlsConnector;
use tonic::{Request, metadata::MetadataValue};

use super::{
    super::{
        errors,
        proto::{
            lnrpc::{GetInfoRequest, GetInfoResponse, lightning_client::LightningClient},
            routerrpc::router_client::RouterClient,
        },
    },
    credentials::Credentials,
    http2::Http2,
    identity,
    macaroon::Macaroon,
    target::Target,
    tls,
};
use crate::{
    domain::{NodeTrouble, TroubleKind},
    ports::{Connection, Introduction, NodeError},
};

/// A page of payments, or one payment, lists every HTLC attempt with its route.
const MAX_MESSAGE_BYTES: usize = 32 * 1024 * 1024;

/// A connection on which the node has shown its identity.
pub(crate) struct LndConnection {
    http2: Http2,
    target: Arc<Target>,
    credentials: Arc<Credentials>,
    introduction: Introduction,
    retired: AtomicBool,
    permitted: AtomicBool,
}

impl LndConnection {
    /// Connects, and asks the node for its identity.
    pub(super) async fn open(
        target: Arc<Target>,
        credentials: Arc<Credentials>,
        number: Connection,
    ) -> Result<Self, NodeError> {
        let http2 = with_timeout(target.connect_timeout, connect(&target, &credentials)).await??;
        let mut node = LightningClient::with_origin(http2.clone(), target.origin.clone());
        let request = with_macaroon(GetInfoRequest {}, &credentials.macaroon)?;
        let info = with_timeout(target.info_timeout, node.get_info(request))
            .await?
            .map_err(|status| errors::call_error(&status, "GetInfo"))?
            .into_inner();
        let introduction = identity::introduction(&info, target.network, number)?;
        tracing::debug!(
            node = %introduction.id,
            version = info.version,
            block_height = info.block_height,
            synced_to_chain = info.synced_to_chain,
            synced_to_graph = info.synced_to_graph,
            "connected to lnd"
        );
        Ok(Self {
            http2,
            target,
            credentials,
            introduction,
            retired: AtomicBool::new(false),
            permitted: AtomicBool::new(false),
        })
    }

    /// The identity that the node has shown.
    pub(crate) fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// The macaroon for this connection's calls.
    pub(crate) fn macaroon(&self) -> &Macaroon {
        &self.credentials.macaroon
    }

    /// Whether the macaroon is known to permit everything that paying needs.
    pub(crate) fn is_permitted(&self) -> bool {
        self.permitted.load(Ordering::Relaxed)
    }

    /// Notes that the macaroon permits everything that paying needs.
    pub(crate) fn set_permitted(&self) {
        self.permitted.store(true, Ordering::Relaxed);
    }

    /// Allows no new calls. Open calls continue.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Whether new calls may use it.
    pub(super) fn is_usable(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) && !self.http2.is_closed()
    }

    /// The client for calls about the node.
    pub(crate) fn lightning(&self) -> LightningClient<Http2> {
        LightningClient::with_origin(self.http2.clone(), self.target.origin.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// The client for calls about payments.
    pub(crate) fn router(&self) -> RouterClient<Http2> {
        RouterClient::with_origin(self.http2.clone(), self.target.origin.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Checks that a later `GetInfo` shows the same identity.
    pub(crate) fn confirm_identity(
        &self,
        info: &GetInfoResponse,
    ) -> Result<Introduction, NodeError> {
        let Introduction { id: expected, connection, .. } = self.introduction.clone();
        let confirmed = identity::introduction(info, self.target.network, connection)?;
        if confirmed.id == expected {
            Ok(confirmed)
        } else {
            Err(NodeError::OtherNode { found: confirmed.id, expected })
        }
    }

    /// Returns `error`, and retires the connection if that casts doubt on it.
    ///
    /// A connection that was lost while idle shows it only by silence. After a refused macaroon, the next
    /// connection reads the macaroon's file again.
    pub(crate) fn retire_on(&self, error: NodeError) -> NodeError {
        match &error {
            NodeError::Unreachable(_) | NodeError::Timeout | NodeError::Barred(_) => self.retire(),
            NodeError::WrongNetwork { .. }
            | NodeError::OtherNode { .. }
            | NodeError::OtherConnection
            | NodeError::Refused(_)
            | NodeError::NotPermitted(_)
            | NodeError::Garbled(_) => {}
        }
        error
    }
}

/// A request with the macaroon that authorises it.
pub(crate) fn with_macaroon<M>(message: M, macaroon: &Macaroon) -> Result<Request<M>, NodeError> {
    let mut value = MetadataValue::try_from(macaroon.expose_hex())
        .map_err(|_| errors::garbled("the macaroon is not a valid header value"))?;
    // Neither printed nor kept in the compression table.
    value.set_sensitive(true);
    let mut request = Request::new(message);
    request.metadata_mut().insert("macaroon", value);
    Ok(request)
}

/// Waits for `answer` no longer than `limit`.
pub(crate) async fn with_timeout<T>(
    limit: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, NodeError> {
    timeout(limit, answer).await.map_err(|_| NodeError::Timeout)
}

async fn connect(target: &Target, credentials: &Credentials) -> Result<Http2, NodeError> {
    let barred = |kind| NodeError::Barred(NodeTrouble::with(kind, target.address()));
    let unreachable = |error: &io::Error| NodeError::Unreachable(errors::error_chain(error));
    let addresses = lookup_host((target.host.as_str(), target.port)).await;
    let Ok(addresses) = addresses.map(Vec::from_iter) else {
        return Err(barred(TroubleKind::UnknownHost));
    };
    let tcp = TcpStream::connect(&addresses[..]).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => barred(TroubleKind::NobodyListens),
        _ => unreachable(&error),
    })?;
    // A call is one small write, which must not wait for an acknowledgement of the previous one.
    tcp.set_nodelay(true).map_err(|error| unreachable(&error))?;
    let tls = TlsConnector::from(Arc::clone(&credentials.tls));
    let tls = tls.connect(target.server_name.clone(), tcp).await;
    let tls = tls.map_err(|error| match tls_trouble(&error) {
        Some(kind) => {
            tracing::debug!(error = errors::error_chain(&error), "TLS handshake with lnd failed");
            barred(kind)
        }
        None => unreachable(&error),
    })?;
    if tls.get_ref().1.alpn_protocol() != Some(tls::H2) {
        return Err(barred(TroubleKind::NoTls));
    }
    Http2::open(tls, target.keep_alive)
        .await
        .map_err(|error| NodeError::Unreachable(errors::error_chain(&error)))
}

/// What is wrong with the certificate or the port, if the handshake failed for that.
fn tls_trouble(error: &io::Error) -> Option<TroubleKind> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        // From `PinnedCertificates`.
        rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            Some(TroubleKind::OtherCertificate)
        }
        rustls::Error::InvalidCertificate(_) => Some(TroubleKind::UntrustedCertificate),
        rustls::Error::InvalidMessage(_)
        | rustls::Error::NoApplicationProtocol
        | rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol) => {
            Some(TroubleKind::NoTls)
        }
        _ => None,
    }
}
