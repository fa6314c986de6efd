//! Which request is answered how.

use std::{convert::Infallible, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tonic::{body::Body, service::Routes as GrpcRoutes};
use tower_service::Service;

use crate::{
    health::{Health, HealthRpc, HealthServer, NotReady},
    metrics::Exposition,
};

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The routes of the admin port.
#[derive(Clone, Debug)]
pub struct Routes {
    health: Health,
    grpc: GrpcRoutes,
    exposition: Arc<Exposition>,
}

impl Routes {
    /// Shows `health`, over gRPC by `rpc`, and `exposition`.
    pub fn new(health: Health, rpc: HealthServer<impl HealthRpc>, exposition: Exposition) -> Self {
        Self { health, grpc: GrpcRoutes::new(rpc), exposition: Arc::new(exposition) }
    }

    /// Answers a request. Probes come every few seconds: nothing is logged.
    pub async fn answer(
        mut self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        if is_grpc(&request) {
            return self.grpc.call(request).await;
        }
        let answer = self.route(request.uri().path()).await;
        let head = request.method() == Method::HEAD;
        Ok(match answer {
            Some(_) if !head && request.method() != Method::GET => {
                let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
                refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
                refused
            }
            Some(mut answer) if head => {
                *answer.body_mut() = Body::empty();
                answer
            }
            Some(answer) => answer,
            None => text(StatusCode::NOT_FOUND, "there is nothing here\n"),
        })
    }

    async fn metrics(&self) -> Response<Body> {
        let Ok(metrics) = self.exposition.text().await else {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n");
        };
        let mut answer = text(StatusCode::OK, metrics);
        answer.headers_mut().insert(header::CONTENT_TYPE, OPEN_METRICS);
        answer
    }

    async fn route(&self, path: &str) -> Option<Response<Body>> {
        Some(match path {
            // Whoever can answer is alive.
            "/healthz" => probe("live", Ok(())),
            "/readyz" => probe("ready", self.health.is_ready().await),
            "/startupz" => probe("started", self.health.is_started().await),
            "/metrics" => self.metrics().await,
            _ => return None,
        })
    }
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn probe(name: &str, word: Result<(), NotReady>) -> Response<Body> {
    match word {
        Ok(()) => text(StatusCode::OK, format!("{name}\n")),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not {name}: {why}\n")),
    }
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Body::new(Full::new(text.into())));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, TEXT);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
