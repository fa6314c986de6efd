//! One layer around all services: the deadline, span, log line, metric and request id of every call,
//! including calls that tonic itself refuses.
//!
//! Handlers do not depend on this layer: it stores the caller in the request's extensions. A call ends when
//! its status is sent, in the trailers or in the headers of an answer without a body. If the client goes away
//! before that, the call counts as CANCELLED. Probes and reflection are neither logged nor counted.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::{Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;
use tracing::Instrument;

use super::{
    call::{Call, OTHER_METHOD},
    deadline, status,
};
use crate::{
    domain::{Millis, Principal},
    metrics::Metrics,
    pb,
    runtime::Runtime,
};

/// The layer that every call passes.
#[derive(Clone)]
pub struct CallLayer {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Runtime,
    metrics: Arc<Metrics>,
    /// How long a call may take.
    limit: Millis,
    /// `package.Service/Method`, as paths name them.
    methods: HashSet<String>,
}

impl CallLayer {
    /// A layer that ends calls after `limit` and counts each in `metrics`.
    pub fn new(runtime: Runtime, metrics: Arc<Metrics>, limit: Millis) -> Self {
        Self { shared: Arc::new(Shared { runtime, metrics, limit, methods: methods() }) }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> CallService<S> {
        CallService { inner, shared: Arc::clone(&self.shared) }
    }
}

/// The services inside the layer.
#[derive(Clone)]
pub struct CallService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Service<Request<Body>> for CallService<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let Some(method) = self.shared.method(request.uri().path()) else {
            return Box::pin(self.inner.call(request));
        };
        let shared = Arc::clone(&self.shared);
        let (runtime, metrics) = (&shared.runtime, &shared.metrics);
        let mut call = Call::begin(runtime, Arc::clone(metrics), method, request.headers());
        let deadline = deadline::of(request.headers());
        let span = call.span().clone();
        // Credentials are not checked yet: every caller is unnamed.
        request.extensions_mut().insert(Principal::Unnamed);
        let pending = span.in_scope(|| self.inner.call(request));
        let answered = async move {
            let mut answer = match in_time(&shared.runtime, shared.limit, deadline, pending).await {
                Ok(answer) => answer?,
                Err(status) => status.into_http(),
            };
            call.answer(&mut answer);
            Ok(answer.map(|inner| Body::new(ObservedBody { inner, call })))
        };
        Box::pin(answered.instrument(span))
    }
}

impl Shared {
    /// The name under which a call is logged and counted; none for probes and reflection.
    fn method(&self, path: &str) -> Option<String> {
        let method = path.trim_start_matches('/');
        if method.starts_with("grpc.health.") || method.starts_with("grpc.reflection.") {
            return None;
        }
        let known = self.methods.contains(method);
        Some(if known { method } else { OTHER_METHOD }.to_owned())
    }
}

/// Awaits `work` until our limit or the caller's deadline, whichever is first.
async fn in_time<T>(
    runtime: &Runtime,
    limit: Millis,
    deadline: Option<Millis>,
    work: impl Future<Output = T>,
) -> Result<T, Status> {
    match deadline.filter(|deadline| *deadline < limit) {
        None => runtime.within(limit, work).await.ok_or_else(status::timed_out),
        // The deadline has passed: the client no longer waits for an answer.
        Some(deadline) if deadline <= Millis::ZERO => Err(status::deadline_exceeded()),
        Some(deadline) => {
            let mut timeout = runtime.clock.sleep(deadline);
            // Polled now, since a sleep starts with its first poll, and the work is polled first below.
            if (&mut timeout).now_or_never().is_some() {
                return Err(status::deadline_exceeded());
            }
            tokio::select! {
                biased;
                answer = work => Ok(answer),
                () = timeout => Err(status::deadline_exceeded()),
            }
        }
    }
}

fn methods() -> HashSet<String> {
    let files = FileDescriptorSet::decode(pb::DESCRIPTORS).unwrap_or_default().file;
    let of_file = |file: &prost_types::FileDescriptorProto| {
        let package = file.package().to_owned();
        let of_service = move |service: &prost_types::ServiceDescriptorProto| {
            let service_name = format!("{package}.{}", service.name());
            let method = move |method: &prost_types::MethodDescriptorProto| {
                format!("{service_name}/{}", method.name())
            };
            service.method.iter().map(method).collect::<Vec<_>>()
        };
        file.service.iter().flat_map(of_service).collect::<Vec<_>>()
    };
    files.iter().flat_map(of_file).collect()
}

/// A response body that ends its call when the trailers with the status pass through.
struct ObservedBody {
    inner: Body,
    call: Call,
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.call.end_by(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_methods_are_known_by_name() {
        let methods = methods();
        assert!(methods.contains("withdraw.v1.WithdrawService/CreateWithdraw"), "{methods:?}");
        assert!(methods.iter().all(|method| method.starts_with("withdraw.v1.")), "{methods:?}");
    }
}
