//! The routes of the admin port.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderName, HeaderValue, Request, StatusCode, header};
use hyper::body::Incoming;
use tonic::service::Routes as GrpcRoutes;
use tower_service::Service;

use crate::{
    health::{Health, HealthRpc, HealthServer, NotReady},
    metrics::MetricsEndpoint,
};

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
/// The headers of every answer.
const HEADERS: [(HeaderName, HeaderValue); 2] = [
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// The routes of the admin port. Requests are not logged, since probes come every few seconds.
#[derive(Clone, Debug)]
pub struct Routes {
    pages: Router,
    grpc: GrpcRoutes,
}

#[derive(Clone)]
struct Shown {
    health: Health,
    metrics: Arc<MetricsEndpoint>,
}

impl Routes {
    /// Serves `health`, over gRPC by `rpc`, and `metrics`.
    pub fn new(
        health: Health,
        rpc: HealthServer<impl HealthRpc>,
        metrics: MetricsEndpoint,
    ) -> Self {
        let pages = Router::new()
            // A process that answers is alive.
            .route("/healthz", get(|| async { probe("live", Ok(())) }))
            .route("/readyz", get(readiness))
            .route("/startupz", get(startup))
            .route("/metrics", get(scrape))
            .with_state(Shown { health, metrics: Arc::new(metrics) });
        let pages = pages.fallback(nothing).method_not_allowed_fallback(only_get);
        Self { pages, grpc: GrpcRoutes::new(rpc) }
    }

    /// Answers a request.
    pub async fn answer(mut self, request: Request<Incoming>) -> Response {
        let answer = if is_grpc(&request) {
            self.grpc.call(request.map(Body::new)).await.map(|answer| answer.map(Body::new))
        } else {
            self.pages.call(request.map(Body::new)).await
        };
        let Ok(answer) = answer;
        answer
    }
}

/// Judged by the content type, not by the path.
fn is_grpc(request: &Request<Incoming>) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

async fn readiness(State(shown): State<Shown>) -> Response {
    probe("ready", shown.health.is_ready().await)
}

async fn startup(State(shown): State<Shown>) -> Response {
    probe("started", shown.health.is_started().await)
}

async fn scrape(State(shown): State<Shown>) -> Response {
    match shown.metrics.text().await {
        Ok(metrics) => (HEADERS, [(header::CONTENT_TYPE, OPEN_METRICS)], metrics).into_response(),
        Err(_) => {
            text(StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written\n".to_owned())
        }
    }
}

async fn nothing() -> Response {
    text(StatusCode::NOT_FOUND, "there is nothing here\n".to_owned())
}

async fn only_get() -> Response {
    text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned())
}

fn probe(name: &str, state: Result<(), NotReady>) -> Response {
    match state {
        Ok(()) => text(StatusCode::OK, format!("{name}\n")),
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("not {name}: {why}\n")),
    }
}

fn text(status: StatusCode, text: String) -> Response {
    (status, HEADERS, text).into_response()
}
