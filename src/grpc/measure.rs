//! Measures every call, those that tonic refuses by itself included: a layer around the router.
//!
//! A call ends with its status, in its trailers or in place of a body; one whose client goes away before
//! that has ended as CANCELLED. Here its deadline begins, too. Probes and reflection are not counted.

use std::{
    collections::HashSet,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::{Code, Status, body::Body};
use tower_layer::Layer;
use tower_service::Service;

use super::{code, deadline};
use crate::{domain::Millis, metrics::Metrics, pb, runtime::Clock};

/// The one name of all methods that are not ours.
const OTHER: &str = "_OTHER";

/// Measures what it is put around.
#[derive(Clone)]
pub struct Measure {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    methods: Arc<HashSet<String>>,
}

impl Measure {
    /// Tells `metrics` of each call.
    pub fn new(metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        Self { metrics, clock, methods: Arc::new(methods()) }
    }

    /// None for what is not counted.
    fn begin(&self, path: &str) -> Option<Call> {
        let method = path.trim_start_matches('/');
        if method.starts_with("grpc.health.") || method.starts_with("grpc.reflection.") {
            return None;
        }
        let method = if self.methods.contains(method) { method } else { OTHER };
        Some(Call {
            metrics: Arc::clone(&self.metrics),
            clock: Arc::clone(&self.clock),
            began: self.clock.monotonic(),
            method: method.to_owned(),
            code: Code::Cancelled,
        })
    }
}

/// `package.Service/Method`, as paths name them.
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

/// A call under way. It is told of when it is dropped.
struct Call {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    began: Millis,
    method: String,
    code: Code,
}

impl Call {
    fn hear(&mut self, headers: &HeaderMap) {
        if let Some(status) = Status::from_header_map(headers) {
            self.code = status.code();
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let took = self.clock.monotonic().as_ms() - self.began.as_ms();
        self.metrics.called(&self.method, code::name(self.code), Millis::from_ms(took));
    }
}

impl<S> Layer<S> for Measure {
    type Service = Measuring<S>;

    fn layer(&self, inner: S) -> Measuring<S> {
        Measuring { inner, measure: self.clone() }
    }
}

/// A service that is measured.
#[derive(Clone)]
pub struct Measuring<S> {
    inner: S,
    measure: Measure,
}

impl<S> Service<Request<Body>> for Measuring<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        deadline::mark(request.headers_mut(), &*self.measure.clock);
        let call = self.measure.begin(request.uri().path());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            let Some(mut call) = call else { return Ok(answer) };
            call.hear(answer.headers());
            Ok(answer.map(|inner| Body::new(Measured { inner, call })))
        })
    }
}

/// A body on whose trailers the call's status comes.
struct Measured {
    inner: Body,
    call: Call,
}

impl HttpBody for Measured {
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
            self.call.hear(trailers);
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
