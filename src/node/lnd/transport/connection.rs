//! One connection to lnd: it is introduced before anything else goes over it, and once lost it is
//! lost for good.

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
        answers,
        proto::{
            lnrpc::{GetInfoRequest, GetInfoResponse, lightning_client::LightningClient},
            routerrpc::router_client::RouterClient,
        },
    },
    credentials::Credentials,
    http2::Http2,
    macaroon::Macaroon,
    target::Target,
    tls,
};
use crate::{
    domain::{NodeTrouble, TroubleKind},
    ports::{Connection, Introduction, NodeError},
};

const MAX_ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// A connection whose other end has said who it is.
pub(crate) struct Link {
    http2: Http2,
    target: Arc<Target>,
    credentials: Arc<Credentials>,
    introduction: Introduction,
    retired: AtomicBool,
    permitted: AtomicBool,
}

impl Link {
    /// Connects, and lets the node introduce itself.
    pub(crate) async fn open(
        target: Arc<Target>,
        credentials: Arc<Credentials>,
        number: Connection,
    ) -> Result<Self, NodeError> {
        let http2 = within(target.connect_timeout, connect(&target, &credentials)).await??;
        let mut node = LightningClient::with_origin(http2.clone(), target.origin.clone());
        let ask = node.get_info(authorised(GetInfoRequest {}, &credentials.macaroon)?);
        let info = within(target.info_timeout, ask)
            .await?
            .map_err(|status| answers::call_error(&status, "GetInfo"))?
            .into_inner();
        let introduction = answers::introduction(&info, target.network, number)?;
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

    /// Who is at the other end.
    pub(crate) fn introduction(&self) -> &Introduction {
        &self.introduction
    }

    /// What authorises the calls that go over it.
    pub(crate) fn macaroon(&self) -> &Macaroon {
        &self.credentials.macaroon
    }

    /// Whether all that paying needs was found to be permitted.
    pub(crate) fn is_permitted(&self) -> bool {
        self.permitted.load(Ordering::Relaxed)
    }

    /// All that paying needs is permitted.
    pub(crate) fn permit(&self) {
        self.permitted.store(true, Ordering::Relaxed);
    }

    /// Takes no more calls. Open calls run on.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    /// Whether a call may still go over it.
    pub(crate) fn is_usable(&self) -> bool {
        !self.retired.load(Ordering::Relaxed) && !self.http2.is_closed()
    }

    /// For calls about the node.
    pub(crate) fn lightning(&self) -> LightningClient<Http2> {
        // A page of payments carries every HTLC that was tried.
        LightningClient::with_origin(self.http2.clone(), self.target.origin.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Who is at the other end by this newer word, which must be the same as before.
    pub(crate) fn introduced_again(
        &self,
        info: &GetInfoResponse,
    ) -> Result<Introduction, NodeError> {
        let Introduction { id: expected, connection, .. } = self.introduction.clone();
        let again = answers::introduction(info, self.target.network, connection)?;
        if again.id == expected {
            Ok(again)
        } else {
            Err(NodeError::OtherNode { found: again.id, expected })
        }
    }

    /// For calls about payments.
    pub(crate) fn router(&self) -> RouterClient<Http2> {
        // A payment carries every HTLC that was tried, with its route.
        RouterClient::with_origin(self.http2.clone(), self.target.origin.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    /// Passes `error` on, and takes no more calls after one that casts doubt on the connection:
    /// one that was idle when it was lost shows it by silence alone. Or after one that refuses the
    /// macaroon: the next is made with what stands in its file then. Open calls run on.
    pub(crate) fn heed(&self, error: NodeError) -> NodeError {
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

/// `message` with the macaroon that lets it pass.
pub(crate) fn authorised<M>(message: M, macaroon: &Macaroon) -> Result<Request<M>, NodeError> {
    let mut value = MetadataValue::try_from(macaroon.expose_hex())
        .map_err(|_| answers::garbled("the macaroon fits no header"))?;
    // Neither printed nor kept in the compression table.
    value.set_sensitive(true);
    let mut request = Request::new(message);
    request.metadata_mut().insert("macaroon", value);
    Ok(request)
}

/// Waits for `answer` no longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = T>,
) -> Result<T, NodeError> {
    timeout(limit, answer).await.map_err(|_| NodeError::Timeout)
}

async fn connect(target: &Target, credentials: &Credentials) -> Result<Http2, NodeError> {
    let barred = |kind| NodeError::Barred(NodeTrouble::with(kind, target.address()));
    let lost = |error: &io::Error| NodeError::Unreachable(answers::chain(error));
    let addresses = lookup_host((target.host.as_str(), target.port)).await;
    let Ok(addresses) = addresses.map(Vec::from_iter) else {
        return Err(barred(TroubleKind::UnknownHost));
    };
    let tcp = TcpStream::connect(&addresses[..]).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => barred(TroubleKind::NobodyListens),
        _ => lost(&error),
    })?;
    // A call is one small write; it must not wait for the last one's acknowledgement.
    tcp.set_nodelay(true).map_err(|error| lost(&error))?;
    let tls = TlsConnector::from(Arc::clone(&credentials.tls));
    let tls = tls.connect(target.server_name.clone(), tcp).await;
    let tls = tls.map_err(|error| match tls_trouble(&error) {
        Some(kind) => {
            tracing::debug!(error = answers::chain(&error), "no TLS connection to lnd");
            barred(kind)
        }
        None => lost(&error),
    })?;
    if tls.get_ref().1.alpn_protocol() != Some(tls::H2) {
        return Err(barred(TroubleKind::NoTls));
    }
    Http2::open(tls, target.keep_alive)
        .await
        .map_err(|error| NodeError::Unreachable(answers::chain(&error)))
}

/// Why there is no TLS connection, where that says what to mend.
fn tls_trouble(error: &io::Error) -> Option<TroubleKind> {
    match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        // The pin's own word.
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
