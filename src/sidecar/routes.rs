//! Which request is answered how.

use std::sync::Arc;

use http::{Method, Request, uri::Uri};

use super::{answer::Answer, query::Callback};
use crate::{
    domain::Millis,
    metrics::Metrics,
    report::chain,
    runtime::Runtime,
    service::{ClaimService, ServiceError},
};

/// A longer URL is no wallet's.
const MAX_URL_BYTES: usize = 8 * 1024;

/// The public routes.
#[derive(Debug)]
pub struct Routes {
    claims: ClaimService,
    runtime: Runtime,
    metrics: Arc<Metrics>,
    /// The public URL's path, without a slash at the end. A proxy may strip it or leave it.
    base: String,
    /// Wallets give up after 5 s: better to answer before.
    answer_within: Millis,
}

impl Routes {
    /// Routes below `base`.
    pub fn new(
        claims: ClaimService,
        (runtime, metrics): (Runtime, Arc<Metrics>),
        base: String,
        answer_within: Millis,
    ) -> Self {
        Self { claims, runtime, metrics, base, answer_within }
    }

    /// Answers a request and writes one line about it.
    pub async fn answer<B>(&self, request: &Request<B>) -> Answer {
        let began = self.runtime.clock.monotonic();
        let (endpoint, answer) = self.route(request.method(), request.uri()).await;
        let took_ms = self.runtime.clock.monotonic().as_ms() - began.as_ms();
        self.metrics.answered(endpoint, answer.name(), Millis::from_ms(took_ms));
        let answered = answer.summary();
        let request_id = hex::encode(&self.runtime.id_bits()[..8]);
        tracing::info!(lnurl = endpoint, %request_id, method = %request.method(), took_ms, answered);
        answer
    }

    async fn route(&self, method: &Method, uri: &Uri) -> (&'static str, Answer) {
        let path = uri.path();
        let path = path.strip_prefix(self.base.as_str()).unwrap_or(path);
        let (endpoint, secret) = match path.strip_prefix("/w/") {
            Some(secret) => ("withdraw", secret),
            None if path == "/cb" => ("callback", ""),
            None => return ("unknown", Answer::NotFound),
        };
        let length = uri.path().len() + uri.query().map_or(0, str::len);
        let answer = match *method {
            Method::OPTIONS => Answer::Options,
            _ if length > MAX_URL_BYTES => Answer::Error("the request is too long"),
            Method::GET | Method::HEAD if endpoint == "withdraw" => self.offer(secret).await,
            Method::GET => self.claim(uri.query().unwrap_or_default()).await,
            // A HEAD must not claim either: what a GET would say cannot be known without it.
            _ => Answer::Error("please use GET"),
        };
        (endpoint, answer)
    }

    async fn offer(&self, secret: &str) -> Answer {
        match self.in_time(self.claims.offer(secret)).await {
            Ok(Ok(offer)) => Answer::Offer(Box::new(offer)),
            Ok(Err(refusal)) => Answer::Refused(refusal),
            Err(answer) => answer,
        }
    }

    async fn claim(&self, query: &str) -> Answer {
        let callback = match Callback::parse(query) {
            Ok(callback) => callback,
            Err(reason) => return Answer::Error(reason),
        };
        match self.in_time(self.claims.claim(&callback.k1, &callback.pr)).await {
            Ok(Ok(())) => Answer::Ok,
            Ok(Err(refusal)) => Answer::Refused(refusal),
            Err(answer) => answer,
        }
    }

    /// A claim that takes too long goes on all the same: the wallet that tries again with the same
    /// invoice is told OK.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, Answer> {
        match self.runtime.within(self.answer_within, work).await {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) => {
                tracing::error!(error = %chain(&error), "a wallet could not be answered");
                Err(Answer::Trouble)
            }
            None => {
                tracing::error!("a wallet could not be answered in time");
                Err(Answer::Trouble)
            }
        }
    }
}
