//! How lnd treats a deadline when a call's headers and its message arrive apart. This backend never sends
//! them apart; `macaroon.rs` and `coalesce.rs` depend on what is shown here.

#![expect(clippy::disallowed_methods, reason = "lnd has a clock of its own")]

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::Request;
use prost::Message;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    super::{
        LndNode,
        proto::{
            lnrpc::{Payment, payment::PaymentStatus},
            routerrpc::SendPaymentRequest,
        },
    },
    Lab, now,
};
use crate::{
    domain::{Millis, Timestamp, payment::RecordState},
    ports::{LightningNode, SendOrder},
};

/// From the headers to the deadline. Long enough for a busy machine.
const LIFE: Millis = Millis::from_secs(3);
/// gRPC's prefix of a message: a flag and its length.
const PREFIX_BYTES: usize = 5;
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// A connection to the payer that sends each frame by itself.
async fn connect(lab: &Lab) -> SendRequest<Bytes> {
    let options = lab.options();
    let (target, credentials) = (options.target().unwrap(), options.credentials().unwrap());
    let tcp = TcpStream::connect((target.host.as_str(), target.port)).await.unwrap();
    let tls = TlsConnector::from(credentials.tls).connect(target.server_name, tcp).await.unwrap();
    let (requests, connection) = h2::client::handshake(tls).await.unwrap();
    tokio::spawn(async move { drop(connection.await) });
    requests.ready().await.unwrap()
}

/// Sends the headers of a payment, and no message.
fn send_headers(
    lab: &Lab,
    mut requests: SendRequest<Bytes>,
    deadline: Timestamp,
) -> (ResponseFuture, SendStream<Bytes>) {
    let rpc = lab.text("payer", "rpc");
    let head = Request::post(format!("https://{rpc}/routerrpc.Router/SendPaymentV2"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("macaroon", lab.options().macaroon.until(deadline).expose_hex());
    requests.send_request(head.body(()).unwrap(), false).unwrap()
}

fn message(order: &SendOrder) -> Bytes {
    let request = SendPaymentRequest {
        payment_request: order.invoice.clone(),
        timeout_seconds: 20,
        fee_limit_msat: order.fee_limit.get(),
        max_parts: 16,
        ..SendPaymentRequest::default()
    };
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(request.encoded_len()).unwrap());
    request.encode(&mut framed).unwrap();
    framed.freeze()
}

/// The payment in the stream's last message.
async fn last_payment(mut body: RecvStream) -> Payment {
    let mut framed = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part.unwrap();
        body.flow_control().release_capacity(part.len()).unwrap();
        framed.extend_from_slice(&part);
    }
    let mut rest = framed.freeze();
    let mut last = None;
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[1..PREFIX_BYTES].try_into().unwrap()) as usize;
        let framed = rest.split_to(PREFIX_BYTES + length);
        last = Some(Payment::decode(framed.slice(PREFIX_BYTES..)).unwrap());
    }
    last.unwrap()
}

async fn sleep_until(at: Timestamp) {
    tokio::time::sleep(at.since(now()).as_duration()).await;
}

/// lnd checks the deadline once, when the headers arrive. So they must not leave without the message.
#[tokio::test]
async fn a_late_message_is_paid_if_its_headers_were_in_time() {
    let Some(lab) = Lab::open() else { return };
    let order = lab.order("payee", 0);
    let requests = connect(&lab).await;
    let deadline = now().plus(LIFE);
    let (answer, mut call) = send_headers(&lab, requests, deadline);

    sleep_until(deadline.plus(Millis::from_secs(1))).await;
    call.send_data(message(&order), true).unwrap();
    let answer = tokio::time::timeout(ANSWER_LIMIT, answer).await.unwrap().unwrap();
    let paid = last_payment(answer.into_body()).await;
    assert_eq!(paid.status(), PaymentStatus::Succeeded);

    let node = LndNode::new(&lab.options(), None).unwrap();
    let found = node.look_up(order.payment_hash).await.unwrap().record.unwrap();
    assert!(matches!(found.state, RecordState::Succeeded { .. }));
    let late = found.created.since(deadline);
    eprintln!("stored {} ms after its deadline", late.as_ms());
    assert!(late.as_ms() >= 1_000, "{late:?}");
}

/// lnd refuses late headers, and does not wait for the message.
#[tokio::test]
async fn late_headers_are_refused_without_a_message() {
    let Some(lab) = Lab::open() else { return };
    let requests = connect(&lab).await;
    let (answer, call) = send_headers(&lab, requests, now().minus(Millis::from_ms(1)));
    let answer = tokio::time::timeout(ANSWER_LIMIT, answer).await.unwrap().unwrap();
    assert_eq!(answer.headers()["grpc-status"], "2");
    let text = answer.headers()["grpc-message"].to_str().unwrap();
    assert!(text.ends_with("not satisfied: macaroon has expired"), "{text}");
    drop(call);
}
