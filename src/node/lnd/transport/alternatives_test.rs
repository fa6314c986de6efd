//! What hyper and h2 write by themselves. When a test here fails because nothing is split any more,
//! `coalesce.rs`, `single_task.rs` and `calls.rs` may have become needless.

#![expect(clippy::disallowed_methods, reason = "callers and a server of the test's own")]

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use hyper::{
    body::Incoming,
    client::conn::http2::{Builder, SendRequest},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tonic::body::Body;
use tower_service::Service;

use super::{
    super::proto::routerrpc::{SendPaymentRequest, router_client::RouterClient},
    frames_test::{Tally, tally},
    http2::Http2,
    recorded_io_test::{Writes, echo_server},
    target::KeepAlive,
};

const ROUNDS: usize = 100;
const AT_ONCE: usize = 16;
const MESSAGE_BYTES: usize = 400;
const MACAROON: &str = "0123456789abcdef";

#[derive(Clone)]
struct Plain(SendRequest<Body>);

impl Service<Request<Body>> for Plain {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

fn request() -> SendPaymentRequest {
    SendPaymentRequest {
        payment_request: "x".repeat(MESSAGE_BYTES),
        ..SendPaymentRequest::default()
    }
}

async fn send<S>(service: S)
where
    S: Service<Request<Body>, Response = Response<Incoming>, Error = hyper::Error>,
    S::Future: Send,
{
    let mut router = RouterClient::with_origin(service, Uri::from_static("https://lnd"));
    let mut request = tonic::Request::new(request());
    request.metadata_mut().insert("macaroon", MACAROON.repeat(50).parse().unwrap());
    // An error: the echo has no gRPC status.
    let _answer = router.send_payment_v2(request).await;
}

/// One call alone, then some at once, repeatedly.
async fn send_all<S>(who: &str, service: S, writes: &Writes) -> Tally
where
    S: Service<Request<Body>, Response = Response<Incoming>, Error = hyper::Error>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    let began = Instant::now();
    for _ in 0..ROUNDS {
        send(service.clone()).await;
        let callers: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(send(service.clone()))).collect();
        for caller in callers {
            caller.await.unwrap();
        }
    }
    let tally = tally(&writes.lock().unwrap());
    eprintln!("{who}: {tally:?} in {:?}", began.elapsed());
    tally
}

/// hyper as tonic's `Channel` uses it, beside our own transport.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn hyper_alone_splits_calls() {
    let (io, writes) = echo_server();
    let (requests, connection) =
        Builder::new(TokioExecutor::new()).handshake(TokioIo::new(io)).await.unwrap();
    tokio::spawn(connection);
    let alone = send_all("hyper alone", Plain(requests), &writes).await;
    assert!(alone.split > 0, "hyper keeps calls whole");

    let (io, writes) = echo_server();
    let keep_alive =
        KeepAlive { interval: Duration::from_secs(20), timeout: Duration::from_secs(20) };
    let ours = Http2::open(io, keep_alive).await.unwrap();
    let ours = send_all("ours", ours, &writes).await;
    assert_eq!(ours, Tally { calls: alone.calls, split: 0 });
}

/// All from the connection's own task, and each message queued together with its headers.
#[tokio::test]
async fn h2_alone_splits_concurrent_calls() {
    let (io, writes) = echo_server();
    let (requests, connection) = h2::client::handshake(io).await.unwrap();
    let calls = async {
        let mut requests = requests.ready().await.unwrap();
        let answers = (0..AT_ONCE).map(|_| {
            let head = Request::post("https://lnd/routerrpc.Router/SendPaymentV2")
                .header("macaroon", MACAROON.repeat(50));
            let (answer, mut message) =
                requests.send_request(head.body(()).unwrap(), false).unwrap();
            message.send_data(Bytes::from(vec![b'x'; MESSAGE_BYTES]), true).unwrap();
            answer
        });
        futures_util::future::join_all(answers.collect::<Vec<_>>()).await;
    };
    futures_util::future::select(std::pin::pin!(connection), std::pin::pin!(calls)).await;
    let alone = tally(&writes.lock().unwrap());
    eprintln!("h2 alone: {alone:?}");
    assert!(alone.split > 0, "h2 keeps calls whole");
}
