//! A collector of traces: what it was sent over OTLP, to be asked about.

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    transport::{Identity, Server, ServerTlsConfig, server::TcpIncoming},
};

/// Attributes as text.
pub type Attributes = BTreeMap<String, String>;

/// A span as it arrived.
#[derive(Clone, Debug)]
pub struct ReceivedSpan {
    pub span: Span,
    pub attributes: Attributes,
}

impl ReceivedSpan {
    pub fn trace_id(&self) -> String {
        hex::encode(&self.span.trace_id)
    }

    pub fn id(&self) -> String {
        hex::encode(&self.span.span_id)
    }

    pub fn parent(&self) -> String {
        hex::encode(&self.span.parent_span_id)
    }

    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).unwrap_or_else(|| panic!("no {key}: {self:?}"))
    }

    /// Whether its status is an error.
    pub fn failed(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code == 2)
    }

    /// Where its links lead, by what they say of themselves.
    pub fn links(&self) -> BTreeMap<String, String> {
        let links = self.span.links.iter().map(|link| {
            let what = attributes(&link.attributes)["withdrawd.link"].clone();
            (what, hex::encode(&link.span_id))
        });
        links.collect()
    }
}

#[derive(Default)]
struct Received {
    spans: Vec<ReceivedSpan>,
    resource: Attributes,
    headers: Vec<MetadataMap>,
    /// All of it, for what must not be in it.
    text: String,
}

/// The collector; it ends with the runtime that it was started on.
#[derive(Clone)]
pub struct Collector {
    address: SocketAddr,
    got: Arc<Mutex<Received>>,
    silent: bool,
}

impl Collector {
    pub async fn start() -> Self {
        Self::start_as(false, None).await
    }

    /// One that shows a certificate of this authority, which is returned as PEM.
    pub async fn start_with_tls() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let identity = Identity::from_pem(&certificate, key);
        (Self::start_as(false, Some(identity)).await, certificate)
    }

    /// One that takes calls and never answers them.
    pub async fn start_silent() -> Self {
        Self::start_as(true, None).await
    }

    async fn start_as(silent: bool, identity: Option<Identity>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let collector = Self { address, got: Arc::default(), silent };
        let mut server = Server::builder();
        if let Some(identity) = identity {
            server = server.tls_config(ServerTlsConfig::new().identity(identity)).unwrap();
        }
        let serve = server
            .add_service(TraceServiceServer::new(collector.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        tokio::spawn(serve);
        collector
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// By the name in its certificate.
    pub fn tls_endpoint(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    pub fn spans(&self) -> Vec<ReceivedSpan> {
        self.got.lock().unwrap().spans.clone()
    }

    /// Whose spans these are.
    pub fn resource(&self) -> Attributes {
        self.got.lock().unwrap().resource.clone()
    }

    /// What came with each export under this key.
    pub fn headers(&self, key: &str) -> Vec<String> {
        let got = self.got.lock().unwrap();
        let values = got.headers.iter().filter_map(|headers| headers.get(key));
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    /// Everything that ever came.
    pub fn text(&self) -> String {
        self.got.lock().unwrap().text.clone()
    }

    /// The spans of this name.
    pub fn spans_named(&self, name: &str) -> Vec<ReceivedSpan> {
        let mut spans = self.spans();
        spans.retain(|seen| seen.span.name == name);
        spans
    }

    /// The one span of this name.
    pub fn span_named(&self, name: &str) -> ReceivedSpan {
        let mut named = self.spans_named(name);
        let all: Vec<_> = self.spans().into_iter().map(|seen| seen.span.name).collect();
        assert_eq!(named.len(), 1, "{name} among {all:?}");
        named.remove(0)
    }

    /// The names of the spans right below this one, in order of their beginnings.
    pub fn children_of(&self, parent: &ReceivedSpan) -> Vec<String> {
        let mut below = self.spans();
        below.retain(|seen| seen.parent() == parent.id());
        assert!(below.iter().all(|seen| seen.trace_id() == parent.trace_id()));
        below.sort_by_key(|seen| seen.span.start_time_unix_nano);
        below.into_iter().map(|seen| seen.span.name).collect()
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if self.silent {
            std::future::pending::<()>().await;
        }
        let headers = request.metadata().clone();
        let message = request.into_inner();
        let mut got = self.got.lock().unwrap();
        got.headers.push(headers);
        write!(got.text, "{message:?}").unwrap();
        for of_resource in message.resource_spans {
            let resource = of_resource.resource.unwrap();
            got.resource.extend(attributes(&resource.attributes));
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let attributes = attributes(&span.attributes);
                got.spans.push(ReceivedSpan { span, attributes });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn attributes(pairs: &[KeyValue]) -> Attributes {
    let pairs = pairs.iter().map(|pair| {
        let value = match pair.value.clone().and_then(|value| value.value) {
            Some(Value::StringValue(text)) => text,
            Some(Value::IntValue(number)) => number.to_string(),
            Some(Value::BoolValue(so)) => so.to_string(),
            other => format!("{other:?}"),
        };
        (pair.key.clone(), value)
    });
    pairs.collect()
}
