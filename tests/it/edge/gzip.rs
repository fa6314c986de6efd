//! gzip over gRPC: taken and sent, and no way to blow the server up.

use tonic::{Code, codec::CompressionEncoding::Gzip};
use withdrawd::pb::{
    CreateWithdrawRequest, GetInstanceRequest, ListPaymentsRequest, ListWithdrawsRequest,
};

use crate::bench::{Bench, StoreKind};

#[tokio::test]
async fn a_client_that_compresses_is_understood_and_answered_alike() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let mut client = bench.client().send_compressed(Gzip).accept_compressed(Gzip);
    let memo = "x".repeat(639);
    let request =
        CreateWithdrawRequest { max_amount: "5".into(), memo, ..CreateWithdrawRequest::default() };
    let made = client.create_withdraw(request.clone()).await.unwrap();
    let encoding = |headers: &tonic::metadata::MetadataMap| {
        headers.get("grpc-encoding").map(|name| name.to_str().unwrap().to_owned())
    };
    assert_eq!(encoding(made.metadata()).as_deref(), Some("gzip"));
    assert_eq!(made.get_ref().memo, request.memo);
    let listed = client.list_withdraws(ListWithdrawsRequest::default()).await.unwrap();
    assert_eq!(listed.get_ref().withdraws, [made.into_inner()]);

    let mut payments = bench.payments().send_compressed(Gzip).accept_compressed(Gzip);
    let listed = payments.list_payments(ListPaymentsRequest::default()).await.unwrap();
    assert_eq!(encoding(listed.metadata()).as_deref(), Some("gzip"));
    let mut operations = bench.operations().send_compressed(Gzip).accept_compressed(Gzip);
    let shown = operations.get_instance(GetInstanceRequest {}).await.unwrap();
    assert_eq!(encoding(shown.metadata()).as_deref(), Some("gzip"));

    // Whoever does not ask for it is answered as before.
    let plain = bench.client().list_withdraws(ListWithdrawsRequest::default()).await.unwrap();
    assert_eq!(encoding(plain.metadata()), None);
}

/// A hundred kilobytes that inflate to a hundred megabytes.
#[tokio::test]
async fn a_message_that_inflates_beyond_the_limit_is_refused() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let mut client = bench.client().send_compressed(Gzip);
    let memo = "x".repeat(100 * 1024 * 1024);
    let request =
        CreateWithdrawRequest { max_amount: "5".into(), memo, ..CreateWithdrawRequest::default() };
    let refused = client.create_withdraw(request).await.unwrap_err();
    assert!(matches!(refused.code(), Code::ResourceExhausted | Code::OutOfRange), "{refused:?}");
    bench.create(5, 5).await;
}
