//! Routes and answers the requests of wallets.

use std::sync::Arc;

use http::{Method, Request, uri::Uri};
use tracing::{Instrument, Span, field::Empty};

use super::{
    answer::{Answer, GONE},
    query::Callback,
    target::{Base, Target},
};
use crate::{
    domain::Millis,
    metrics::Metrics,
    report::chain,
    runtime::Runtime,
    service::{ClaimError, ClaimService},
    trace,
};

/// No wallet sends a longer URL.
const MAX_URL_BYTES: usize = 8 * 1024;

/// The public routes.
pub struct Routes {
    claims: ClaimService,
    runtime: Runtime,
    metrics: Arc<Metrics>,
    /// The public URL's path. A proxy may strip it or leave it.
    base: Base,
    /// Wallets give up after 5 s, so the answer must come before.
    answer_within: Millis,
}

impl Routes {
    /// Routes below `base`.
    pub fn new(
        claims: ClaimService,
        runtime: Runtime,
        metrics: Arc<Metrics>,
        base: &str,
        answer_within: Millis,
    ) -> Self {
        Self { claims, runtime, metrics, base: Base::new(base), answer_within }
    }

    /// Answers a request, in a span of its own. The span has the route, and nothing else of the URL.
    pub async fn answer<B>(&self, request: &Request<B>) -> Answer {
        let uri = request.uri();
        let target = self.base.target(uri.path(), uri.query().unwrap_or_default());
        let span = span(request.method(), route_of(&target));
        let headers = request.headers();
        trace::continue_from(&span, |header| headers.get(header)?.to_str().ok());
        Box::pin(self.answer_logged(&target, request)).instrument(span).await
    }

    /// Answers a request and logs it.
    async fn answer_logged<B>(&self, target: &Target, request: &Request<B>) -> Answer {
        let mut line = Line::begin(self, endpoint_of(target), request.method());
        let answer = self.route(target, request.method(), request.uri()).await;
        Span::current().record("http.response.status_code", answer.status().as_u16());
        line.end(answer.name(), &answer.summary());
        answer
    }

    async fn route(&self, target: &Target, method: &Method, uri: &Uri) -> Answer {
        let length = uri.path().len() + uri.query().map_or(0, str::len);
        match (target, method) {
            (Target::Unknown, _) => Answer::NotFound,
            (_, &Method::OPTIONS) => Answer::Options,
            _ if length > MAX_URL_BYTES => Answer::Error("the request is too long"),
            (Target::Withdraw(secret), &Method::GET | &Method::HEAD) => self.offer(secret).await,
            (Target::Callback(query), &Method::GET) => self.claim(query).await,
            // HEAD must not claim either, and without a claim it is unknown what a GET would answer.
            _ => Answer::Error("please use GET"),
        }
    }

    async fn offer(&self, secret: &str) -> Answer {
        match self.in_time(self.claims.offer(secret)).await {
            Ok(offer) => Answer::Offer(Box::new(offer)),
            Err(answer) => answer,
        }
    }

    async fn claim(&self, query: &str) -> Answer {
        let callback = match Callback::parse(query) {
            Ok(callback) => callback,
            Err(reason) => return Answer::Error(reason),
        };
        match self.in_time(self.claims.claim(&callback.k1, &callback.pr)).await {
            Ok(()) => Answer::Ok,
            Err(answer) => answer,
        }
    }

    /// Limits how long the wallet waits. A claim that takes longer continues in the background: a wallet
    /// that repeats it with the same invoice then gets OK.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, ClaimError>>,
    ) -> Result<T, Answer> {
        match self.runtime.within(self.answer_within, work).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(ClaimError::Refused(refusal))) => Err(Answer::Refused(refusal)),
            Some(Err(ClaimError::Failed(error))) => {
                failed("unavailable");
                tracing::error!(error = %chain(&error), "a wallet could not be answered");
                Err(Answer::Trouble)
            }
            None => {
                failed("timeout");
                tracing::error!("a wallet could not be answered in time");
                Err(Answer::Trouble)
            }
        }
    }
}

/// The route, for spans: the path without the secret.
const fn route_of(target: &Target) -> Option<&'static str> {
    match target {
        Target::Callback(_) => Some("/cb"),
        Target::Withdraw(_) => Some("/w/{secret}"),
        Target::Unknown => None,
    }
}

/// The name under which a request is counted. All unknown paths share one.
const fn endpoint_of(target: &Target) -> &'static str {
    match target {
        Target::Withdraw(_) => "withdraw",
        Target::Callback(_) => "callback",
        Target::Unknown => "unknown",
    }
}

/// The log line and the metric of one request. If the wallet hangs up, hyper drops the future of the answer:
/// then [`Drop`] writes the line, and the claim continues in the background.
struct Line<'r> {
    routes: &'r Routes,
    endpoint: &'static str,
    method: &'r Method,
    began: Millis,
    ended: bool,
}

impl<'r> Line<'r> {
    fn begin(routes: &'r Routes, endpoint: &'static str, method: &'r Method) -> Self {
        let began = routes.runtime.clock.monotonic();
        Self { routes, endpoint, method, began, ended: false }
    }

    /// Counts the request under `name`, which is also recorded in the span, and writes the log line, which
    /// says more.
    fn end(&mut self, name: &'static str, answered: &str) {
        self.ended = true;
        let Routes { runtime, metrics, .. } = self.routes;
        let took_ms = runtime.clock.monotonic().as_ms() - self.began.as_ms();
        metrics.answered(self.endpoint, name, Millis::from_ms(took_ms));
        Span::current().record("lnurl.answer", name);
        let (lnurl, method) = (self.endpoint, self.method);
        let request_id = hex::encode(&runtime.id_bits()[..8]);
        tracing::info!(lnurl, %request_id, %method, took_ms, answered);
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(GONE, "the wallet hung up");
        }
    }
}

/// A server's span. A client can invent methods: all unknown ones share a name.
fn span(method: &Method, route: Option<&'static str>) -> Span {
    let (method, named) = match *method {
        Method::GET => ("GET", "GET"),
        Method::HEAD => ("HEAD", "HEAD"),
        Method::OPTIONS => ("OPTIONS", "OPTIONS"),
        Method::POST => ("POST", "POST"),
        _ => ("_OTHER", "HTTP"),
    };
    let name = route.map_or_else(|| named.to_owned(), |route| format!("{named} {route}"));
    tracing::info_span!(
        "lnurl",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
        lnurl.answer = Empty,
        withdrawd.withdraw.id = Empty,
        "error.type" = Empty,
    )
}

/// Marks the span as failed, although HTTP says 200.
fn failed(why: &str) {
    let span = Span::current();
    span.record("otel.status_code", "ERROR");
    span.record("error.type", why);
}
