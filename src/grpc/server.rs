//! The gRPC server: services, health, reflection, limits.

use std::{sync::Arc, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    codec::CompressionEncoding,
    transport::{Server, server::TcpIncoming},
};

use super::{measure::Measure, operations::Operations, payments::Payments, withdraws::Withdraws};
use crate::{
    domain::Millis,
    health::{HealthRpc, HealthServer},
    metrics::Metrics,
    pb::{
        self, operations_service_server::OperationsServiceServer,
        payment_service_server::PaymentServiceServer,
        withdraw_service_server::WithdrawServiceServer,
    },
    runtime::Runtime,
    service::{
        OperationsService, PaymentService, ReconcileService, RestoreService, WithdrawService,
    },
};

const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// A batch that is replayed after all of it was paid carries its invoices as well.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// Taken, and sent to whoever takes it. What a message becomes is limited as what comes as it is: tonic
/// stops to inflate at the limit.
const GZIP: CompressionEncoding = CompressionEncoding::Gzip;

/// Limits of the server.
#[derive(Clone, Copy, Debug)]
pub struct GrpcOptions {
    /// How long an RPC may take.
    pub timeout: Millis,
    /// Concurrent RPCs of one connection.
    pub max_concurrent_streams: u32,
    /// After this a connection is asked to go, so that clients spread over new replicas.
    pub max_connection_age: Duration,
}

/// The use cases that are served.
#[derive(Clone, Debug)]
pub struct Services {
    /// `WithdrawService`.
    pub withdraws: WithdrawService,
    /// `PaymentService`.
    pub payments: PaymentService,
    /// `OperationsService`.
    pub operations: OperationsService,
    /// The fence's part of it.
    pub restore: RestoreService,
    /// The comparison's part of it.
    pub reconcile: ReconcileService,
}

/// Serves until `stop`.
pub async fn serve(
    listener: TcpListener,
    services: Services,
    (runtime, metrics): (Runtime, Arc<Metrics>),
    options: GrpcOptions,
    health: HealthServer<impl HealthRpc>,
    stop: CancellationToken,
) -> Result<(), tonic::transport::Error> {
    let Services { withdraws, payments, operations, restore, reconcile } = services;
    let limit = options.timeout;
    let measure = Measure::new(metrics, Arc::clone(&runtime.clock));
    let operations = Operations::new((operations, restore, reconcile), runtime.clone(), limit);
    let operations = OperationsServiceServer::new(operations)
        .accept_compressed(GZIP)
        .send_compressed(GZIP)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_ANSWER_BYTES);
    let withdraws = Withdraws::new(withdraws, runtime.clone(), limit);
    let withdraws = WithdrawServiceServer::new(withdraws)
        .accept_compressed(GZIP)
        .send_compressed(GZIP)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_ANSWER_BYTES);
    let payments = PaymentServiceServer::new(Payments::new(payments, runtime, options.timeout))
        .accept_compressed(GZIP)
        .send_compressed(GZIP)
        .max_decoding_message_size(MAX_MESSAGE_BYTES);
    let health = health.accept_compressed(GZIP).send_compressed(GZIP);
    let (reflection_v1, reflection_v1alpha) = reflection();
    Server::builder()
        // A backstop: the limit itself is kept where it is answered with a reason.
        .timeout(options.timeout.plus(options.timeout).as_duration())
        .max_concurrent_streams(options.max_concurrent_streams)
        .max_connection_age(options.max_connection_age)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .http2_keepalive_timeout(Some(Duration::from_secs(10)))
        .http2_max_header_list_size(16 * 1024)
        .layer(measure)
        .add_service(withdraws)
        .add_service(operations)
        .add_service(payments)
        .add_service(health)
        .add_service(reflection_v1)
        .add_service(reflection_v1alpha)
        .serve_with_incoming_shutdown(
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            stop.cancelled_owned(),
        )
        .await
}

/// Reflection in both versions (grpcurl 1.8 knows v1alpha only), with the types of error details, or
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
