//! A fake lnd: the real protocol over real TLS on loopback, with answers from a script.

#![expect(clippy::disallowed_methods, reason = "a server of the test's own")]

use std::{
    collections::VecDeque,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{Stream, StreamExt, stream};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status, service::Routes};
use tower_service::Service;

use super::{
    LndNode, LndOptions, Macaroon,
    proto::{
        lnrpc::{
            Chain, Channel, GetInfoRequest, GetInfoResponse, ListChannelsRequest,
            ListChannelsResponse, ListPaymentsRequest, ListPaymentsResponse, Payment,
            lightning_server::{Lightning, LightningServer},
        },
        routerrpc::{
            SendPaymentRequest, TrackPaymentRequest,
            router_server::{Router, RouterServer},
        },
    },
    tls,
};
use crate::domain::Network;

pub(super) const NODE: &str = "02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(super) const OTHER_NODE: &str =
    "03bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const MACAROON: &[u8] =
    b"0202026964000006200000000000000000000000000000000000000000000000000000000000000000";

type Payments = Pin<Box<dyn Stream<Item = Result<Payment, Status>> + Send>>;

/// How a stream of the fake's goes on after its messages.
pub(super) enum End {
    /// It ends, as if all had been said.
    Ok,
    /// It ends with an error.
    Error(Status),
    /// Nothing more is ever said.
    Silence,
}

/// One call that reached the fake.
pub(super) struct Call {
    pub(super) connection: u64,
    pub(super) method: &'static str,
    pub(super) macaroon: String,
    pub(super) send: Option<SendPaymentRequest>,
    pub(super) list: Option<ListPaymentsRequest>,
}

pub(super) struct FakeLnd {
    address: SocketAddr,
    pub(super) certificate_pem: String,
    script: Arc<Script>,
}

#[derive(Default)]
struct Script {
    info: Mutex<GetInfoResponse>,
    refuses_info: Mutex<bool>,
    streams: Mutex<VecDeque<(Vec<Payment>, End)>>,
    channels: Mutex<Vec<Channel>>,
    pages: Mutex<VecDeque<Result<Vec<Payment>, Status>>>,
    calls: Mutex<Vec<Call>>,
    connections: Mutex<JoinSet<()>>,
}

impl FakeLnd {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (certificate_pem, acceptor) = certificate();
        let script = Arc::new(Script::default());
        tokio::spawn(accept(listener, acceptor, Arc::clone(&script)));
        let fake = Self { address, certificate_pem, script };
        fake.introduce_as(NODE, "regtest");
        fake
    }

    pub(super) fn introduce_as(&self, identity: &str, network: &str) {
        *self.script.info.lock().unwrap() = GetInfoResponse {
            identity_pubkey: identity.to_owned(),
            alias: "fake".to_owned(),
            chains: vec![Chain { chain: "bitcoin".to_owned(), network: network.to_owned() }],
            ..GetInfoResponse::default()
        };
    }

    pub(super) fn refuse_info(&self) {
        *self.script.refuses_info.lock().unwrap() = true;
    }

    /// What the next stream says that nothing was said for yet.
    pub(super) fn will_say(&self, messages: impl IntoIterator<Item = Payment>, end: End) {
        let mut streams = self.script.streams.lock().unwrap();
        streams.push_back((messages.into_iter().collect(), end));
    }

    /// Whether the wallet has followed the chain, and what is in the channels.
    pub(super) fn stands(&self, synced_to_chain: bool, channels: Vec<Channel>) {
        self.script.info.lock().unwrap().synced_to_chain = synced_to_chain;
        *self.script.channels.lock().unwrap() = channels;
    }

    /// What the next page of payments is.
    pub(super) fn will_list(&self, page: Result<Vec<Payment>, Status>) {
        self.script.pages.lock().unwrap().push_back(page);
    }

    /// Cuts all connections as a crash would.
    pub(super) fn cut(&self) {
        self.script.connections.lock().unwrap().abort_all();
    }

    pub(super) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.script.calls.lock().unwrap())
    }

    pub(super) fn options(&self) -> LndOptions {
        LndOptions {
            endpoint: format!("https://{}", self.address),
            tls_cert_pem: Some(self.certificate_pem.clone().into_bytes()),
            macaroon: macaroon(),
            network: Network::Regtest,
            cltv_limit: 1_000,
            max_parts: 16,
            payment_timeout: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(20),
            info_timeout: Duration::from_secs(20),
            call_timeout: Duration::from_secs(20),
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(20),
        }
    }

    pub(super) fn client(&self) -> LndNode {
        LndNode::new(self.options()).unwrap()
    }
}

pub(super) fn macaroon() -> Macaroon {
    Macaroon::parse(MACAROON).unwrap()
}

/// Signed by itself and marked as an authority's, as lnd's is.
fn certificate() -> (String, TlsAcceptor) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    config.alpn_protocols = vec![tls::H2.to_vec()];
    (certificate.pem(), TlsAcceptor::from(Arc::new(config)))
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, script: Arc<Script>) {
    let mut connection = 0;
    while let Ok((tcp, _)) = listener.accept().await {
        connection += 1;
        let handler = OnConnection { connection, script: Arc::clone(&script) };
        let serving = serve(acceptor.clone(), tcp, handler);
        script.connections.lock().unwrap().spawn(serving);
    }
}

async fn serve(acceptor: TlsAcceptor, tcp: TcpStream, handler: OnConnection) {
    // Who refuses the certificate hangs up.
    let Ok(tls) = acceptor.accept(tcp).await else {
        return;
    };
    let routes = Routes::new(LightningServer::new(handler.clone()))
        .add_service(RouterServer::new(handler))
        .prepare();
    let service = hyper::service::service_fn(move |request: http::Request<_>| {
        routes.clone().call(request.map(tonic::body::Body::new))
    });
    let _lost = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(tls), service)
        .await;
}

#[derive(Clone)]
struct OnConnection {
    connection: u64,
    script: Arc<Script>,
}

impl OnConnection {
    fn note<M>(&self, method: &'static str, request: &Request<M>) {
        self.note_with(method, request, None, None);
    }

    fn note_with<M>(
        &self,
        method: &'static str,
        request: &Request<M>,
        send: Option<SendPaymentRequest>,
        list: Option<ListPaymentsRequest>,
    ) {
        let macaroon = request.metadata().get("macaroon").unwrap();
        self.script.calls.lock().unwrap().push(Call {
            connection: self.connection,
            method,
            macaroon: macaroon.to_str().unwrap().to_owned(),
            send,
            list,
        });
    }

    fn next_stream(&self) -> Response<Payments> {
        let next = self.script.streams.lock().unwrap().pop_front();
        let (messages, end) = next.unwrap_or_else(|| panic!("nothing to say"));
        let said = stream::iter(messages).map(Ok);
        match end {
            End::Ok => Response::new(Box::pin(said)),
            // As grpc-go does: without a message there are trailers alone.
            End::Error(status) => {
                let last = stream::iter([Err(status)]);
                Response::new(Box::pin(said.chain(last)))
            }
            End::Silence => Response::new(Box::pin(said.chain(stream::pending()))),
        }
    }
}

#[tonic::async_trait]
impl Lightning for OnConnection {
    async fn get_info(
        &self,
        request: Request<GetInfoRequest>,
    ) -> Result<Response<GetInfoResponse>, Status> {
        self.note("GetInfo", &request);
        if *self.script.refuses_info.lock().unwrap() {
            return Err(Status::unknown("wallet locked, unlock it to enable full RPC access"));
        }
        Ok(Response::new(self.script.info.lock().unwrap().clone()))
    }

    async fn list_channels(
        &self,
        request: Request<ListChannelsRequest>,
    ) -> Result<Response<ListChannelsResponse>, Status> {
        self.note("ListChannels", &request);
        assert!(request.get_ref().active_only);
        let channels = self.script.channels.lock().unwrap().clone();
        Ok(Response::new(ListChannelsResponse { channels }))
    }

    async fn list_payments(
        &self,
        request: Request<ListPaymentsRequest>,
    ) -> Result<Response<ListPaymentsResponse>, Status> {
        self.note_with("ListPayments", &request, None, Some(*request.get_ref()));
        let page = self.script.pages.lock().unwrap().pop_front();
        let payments = page.unwrap_or_else(|| panic!("nothing to list"))?;
        Ok(Response::new(ListPaymentsResponse { payments }))
    }
}

#[tonic::async_trait]
impl Router for OnConnection {
    type SendPaymentV2Stream = Payments;
    type TrackPaymentV2Stream = Payments;

    async fn send_payment_v2(
        &self,
        request: Request<SendPaymentRequest>,
    ) -> Result<Response<Payments>, Status> {
        self.note_with("SendPaymentV2", &request, Some(request.get_ref().clone()), None);
        Ok(self.next_stream())
    }

    async fn track_payment_v2(
        &self,
        request: Request<TrackPaymentRequest>,
    ) -> Result<Response<Payments>, Status> {
        self.note("TrackPaymentV2", &request);
        Ok(self.next_stream())
    }
}
