//! The gRPC server: services, health, reflection, limits.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, codec::CompressionEncoding, service::Routes};
use tower_layer::Layer;
use tower_service::Service;

use super::{layer::CallLayer, operations::Operations, payments::Payments, withdraws::Withdraws};
use crate::{
    domain::Millis,
    health::{HealthRpc, HealthServer},
    http::server::{self, MaxAge, Protocol, ServerOptions},
    metrics::Metrics,
    pb::{
        self, operations_service_server::OperationsServiceServer,
        payment_service_server::PaymentServiceServer,
        withdraw_service_server::WithdrawServiceServer,
    },
    runtime::Runtime,
    service::{InstanceService, PaymentService, ReconcileService, RestoreService, WithdrawService},
};

const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// A replayed batch whose requests were all paid carries their invoices as well.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Far above what internal services and operators open.
const MAX_CONNECTIONS: usize = 10_000;
/// How long a client may be connected before its first call.
const FIRST_CALL: Millis = Millis::from_secs(60);
/// How long a client that was asked to reconnect may take to read its last answers, after the limit of any call.
const LAST_ANSWERS: Millis = Millis::from_secs(270);

/// Accepted, and used for clients that accept it. The size limit also holds for a decompressed message:
/// tonic stops decompressing there.
const GZIP: CompressionEncoding = CompressionEncoding::Gzip;

/// Limits of the server.
#[derive(Clone, Copy, Debug)]
pub struct GrpcOptions {
    /// How long an RPC may take.
    pub timeout: Millis,
    /// Concurrent RPCs of one connection.
    pub max_concurrent_streams: u32,
    /// After this a client is asked to reconnect, so that clients spread over new replicas.
    pub max_connection_age: Millis,
    /// How long a stop waits for calls under way.
    pub drain: Millis,
}

/// The use cases that are served.
#[derive(Clone)]
pub struct Services {
    /// `WithdrawService`.
    pub withdraws: WithdrawService,
    /// `PaymentService`.
    pub payments: PaymentService,
    /// `OperationsService`.
    pub instance: InstanceService,
    /// Also `OperationsService`: the fence.
    pub restore: RestoreService,
    /// Also `OperationsService`: the comparison with the node.
    pub reconcile: ReconcileService,
}

impl GrpcOptions {
    const fn server(&self) -> ServerOptions {
        ServerOptions {
            name: "grpc",
            protocol: Protocol::Http2,
            max_connections: MAX_CONNECTIONS,
            max_head_bytes: 16 * 1024,
            max_headers: 100,
            max_streams: self.max_concurrent_streams,
            // Clients may connect long before their first call, but one that never calls must not hold a
            // connection. After the first call a silent connection is kept.
            head_timeout: Some(FIRST_CALL),
            max_age: MaxAge::GoAway {
                age: self.max_connection_age,
                grace: self.timeout.plus(LAST_ANSWERS),
            },
            max_backlog_at_stop: 0,
            drain: self.drain,
        }
    }
}

/// Serves until `stop`, then drains.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    runtime: Runtime,
    metrics: Arc<Metrics>,
    options: GrpcOptions,
    health: HealthServer<impl HealthRpc>,
    stop: CancellationToken,
) {
    let layer = CallLayer::new(runtime.clone(), metrics, options.timeout);
    let routes = layer.layer(routes(services, &runtime, health));
    let answer = move |request: Request<Incoming>| {
        let mut routes = routes.clone();
        async move {
            let Ok(answer) = routes.call(request.map(Body::new)).await;
            answer
        }
    };
    server::serve(listener, options.server(), runtime, stop, answer).await;
}

fn routes(services: Services, runtime: &Runtime, health: HealthServer<impl HealthRpc>) -> Routes {
    let Services { withdraws, payments, instance, restore, reconcile } = services;
    let runtime = runtime.clone();
    let operations =
        OperationsServiceServer::new(Operations { instance, restore, reconcile, runtime })
            .accept_compressed(GZIP)
            .send_compressed(GZIP)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES);
    let withdraws = WithdrawServiceServer::new(Withdraws(withdraws))
        .accept_compressed(GZIP)
        .send_compressed(GZIP)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_ANSWER_BYTES);
    let payments = PaymentServiceServer::new(Payments(payments))
        .accept_compressed(GZIP)
        .send_compressed(GZIP)
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let (reflection_v1, reflection_v1alpha) = reflection();
    Routes::new(withdraws)
        .add_service(operations)
        .add_service(payments)
        .add_service(health.accept_compressed(GZIP).send_compressed(GZIP))
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha)
        .prepare()
}

/// Reflection in both versions (grpcurl 1.8 knows v1alpha only). Includes the types of error details, or
/// clients print those as base64.
fn reflection() -> (
    tonic_reflection::server::v1::ServerReflectionServer<
        impl tonic_reflection::server::v1::ServerReflection,
    >,
    tonic_reflection::server::v1alpha::ServerReflectionServer<
        impl tonic_reflection::server::v1alpha::ServerReflection,
    >,
) {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    #[expect(clippy::expect_used, reason = "the descriptors are compiled in and tested")]
    let built = (
        builder().build_v1().expect("compiled descriptors are valid"),
        builder().build_v1alpha().expect("compiled descriptors are valid"),
    );
    let (v1, v1alpha) = built;
    (
        v1.accept_compressed(GZIP).send_compressed(GZIP),
        v1alpha.accept_compressed(GZIP).send_compressed(GZIP),
    )
}
