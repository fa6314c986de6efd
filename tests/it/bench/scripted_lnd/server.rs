//! The server's side: TLS as lnd does it, HTTP/2 by hand.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Bytes, BytesMut};
use h2::{
    RecvStream, SendStream,
    server::{Connection, SendResponse},
};
use http::{HeaderMap, HeaderValue, Request, Response};
use prost::Message;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tonic::Code;

use super::{
    Act, Call, Script, not_found,
    proto::{
        lnrpc::{
            ListChannelsRequest, ListChannelsResponse, ListPaymentsRequest, Payment,
            PaymentFailureReason, payment::PaymentStatus,
        },
        routerrpc::{SendPaymentRequest, TrackPaymentRequest},
    },
    refuse, reply,
};

const PREFIX: usize = 5;

/// What a call does to the connection that it came by.
enum Fault {
    GoAway(h2::Reason),
    GoAwayGently,
    Cut,
}

/// Signed by itself and marked as an authority's, as lnd's is.
pub fn certificate() -> (String, TlsAcceptor) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    (certificate.pem(), TlsAcceptor::from(Arc::new(config)))
}

pub async fn accept(listener: TcpListener, acceptor: TlsAcceptor, script: Arc<Script>) {
    let mut connection = 0;
    while let Ok((tcp, _)) = listener.accept().await {
        connection += 1;
        let serving = handshake(acceptor.clone(), tcp, connection, Arc::clone(&script));
        script.connections.lock().unwrap().spawn(serving);
    }
}

async fn handshake(acceptor: TlsAcceptor, tcp: TcpStream, connection: u64, script: Arc<Script>) {
    // Who refuses the certificate hangs up.
    let Ok(tls) = acceptor.accept(tcp).await else { return };
    let Ok(http2) = h2::server::handshake(tls).await else { return };
    serve(http2, connection, script).await;
}

async fn serve(
    mut http2: Connection<TlsStream<TcpStream>, Bytes>,
    connection: u64,
    script: Arc<Script>,
) {
    let (faults, mut fault): (_, UnboundedReceiver<Fault>) = unbounded_channel();
    loop {
        tokio::select! {
            biased;
            Some(fault) = fault.recv() => match fault {
                Fault::GoAway(reason) => http2.abrupt_shutdown(reason),
                Fault::GoAwayGently => http2.graceful_shutdown(),
                Fault::Cut => return,
            },
            call = http2.accept() => {
                let Some(Ok((request, respond))) = call else { return };
                let (script, faults) = (Arc::clone(&script), faults.clone());
                tokio::spawn(async move {
                    // A client that has gone away hears no answer.
                    let _gone = attend(request, respond, connection, &script, &faults).await;
                });
            }
        }
    }
}

async fn attend(
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
    connection: u64,
    script: &Script,
    faults: &UnboundedSender<Fault>,
) -> Result<(), h2::Error> {
    let (head, body) = request.into_parts();
    let method = head.uri.path().rsplit('/').next().unwrap().to_owned();
    let macaroon = head.headers["macaroon"].to_str().unwrap().to_owned();
    let message = read(body).await?;
    let mut call = Call { connection, method, macaroon, ..Call::default() };
    match call.method.as_str() {
        "SendPaymentV2" => call.send = Some(SendPaymentRequest::decode(message).unwrap()),
        "TrackPaymentV2" => call.look_up = Some(TrackPaymentRequest::decode(message).unwrap()),
        "ListPayments" => call.list = Some(ListPaymentsRequest::decode(message).unwrap()),
        "ListChannels" => assert!(ListChannelsRequest::decode(message).unwrap().active_only),
        _ => {}
    }
    let acts = match &call.send {
        Some(send) if !send.dest.is_empty() => script.witness(send),
        _ => script.answer(&call),
    };
    // Neither a probe of the permissions nor a write witness pays anything.
    let payment = call.send.clone().filter(|send| !send.payment_request.is_empty());
    script.sent.lock().unwrap().extend(payment);
    script.calls.lock().unwrap().push(call);
    Answer { respond, stream: None }.perform(acts, faults).await
}

/// The message of a call, which is one.
async fn read(mut body: RecvStream) -> Result<Bytes, h2::Error> {
    let mut framed = BytesMut::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        framed.extend_from_slice(&part);
    }
    Ok(framed.split_off(PREFIX).freeze())
}

impl Script {
    /// A payment to nobody: it is stored and fails, unless something else was said.
    fn witness(&self, send: &SendPaymentRequest) -> Vec<Act> {
        let failed = Payment {
            payment_hash: hex::encode(&send.payment_hash),
            value_msat: send.amt_msat,
            status: PaymentStatus::Failed.into(),
            failure_reason: PaymentFailureReason::FailureReasonNoRoute.into(),
            creation_time_ns: 1,
            ..Payment::default()
        };
        self.witness.lock().unwrap().clone().unwrap_or_else(|| reply(&failed))
    }

    fn answer(&self, call: &Call) -> Vec<Act> {
        match call.method.as_str() {
            "GetInfo" => match *self.refuses_info.lock().unwrap() {
                Some((code, text)) => refuse(code, text),
                None => reply(&*self.info.lock().unwrap()),
            },
            "ListChannels" => {
                reply(&ListChannelsResponse { channels: self.channels.lock().unwrap().clone() })
            }
            "ListPayments" => next(&mut self.pages.lock().unwrap()).expect("no page to list"),
            "SendPaymentV2" if call.is_probe() => match *self.refuses_sends.lock().unwrap() {
                Some((code, text)) => refuse(code, text),
                None => refuse(Code::Unknown, "invalid vertex length of 0, want 33"),
            },
            "SendPaymentV2" => next(&mut self.sends.lock().unwrap()).expect("no answer to a send"),
            "TrackPaymentV2" if call.is_probe() => not_found(),
            "TrackPaymentV2" => {
                let sends = self.sent.lock().unwrap().len();
                let mut look_ups = self.look_ups.lock().unwrap();
                let queue = look_ups.range_mut(..=sends).next_back();
                queue.and_then(|(_, queue)| next(queue)).unwrap_or_else(not_found)
            }
            other => panic!("{other} is not known here"),
        }
    }
}

/// The front of a queue, whose last answer stays.
fn next(queue: &mut VecDeque<Vec<Act>>) -> Option<Vec<Act>> {
    if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() }
}

/// The server's half of a call.
struct Answer {
    respond: SendResponse<Bytes>,
    stream: Option<SendStream<Bytes>>,
}

impl Answer {
    async fn perform(
        mut self,
        acts: Vec<Act>,
        faults: &UnboundedSender<Fault>,
    ) -> Result<(), h2::Error> {
        for act in acts {
            match act {
                Act::Headers => drop(self.stream()?),
                // Whatever does not fit the window waits within h2.
                Act::Bytes(bytes) => self.stream()?.send_data(bytes, false)?,
                Act::End(code, text) => return self.end(code, text),
                Act::Break => return self.stream()?.send_data(Bytes::new(), true),
                Act::Http(status) => {
                    let head = Response::builder().status(status).body(()).unwrap();
                    return self.respond.send_response(head, true).map(drop);
                }
                Act::Reset(reason) => {
                    match &mut self.stream {
                        Some(stream) => stream.send_reset(reason),
                        None => self.respond.send_reset(reason),
                    }
                    return Ok(());
                }
                Act::GoAway(reason) => drop(faults.send(Fault::GoAway(reason))),
                Act::GoAwayGently => drop(faults.send(Fault::GoAwayGently)),
                Act::Cut => drop(faults.send(Fault::Cut)),
                Act::Wait(released) => drop(released.acquire().await),
            }
        }
        // Nothing more is said, and the call stays open.
        std::future::pending().await
    }

    fn stream(&mut self) -> Result<&mut SendStream<Bytes>, h2::Error> {
        if self.stream.is_none() {
            let head = Response::builder().header("content-type", "application/grpc");
            self.stream = Some(self.respond.send_response(head.body(()).unwrap(), false)?);
        }
        Ok(self.stream.as_mut().unwrap())
    }

    /// As grpc-go does: without a message there are trailers alone.
    fn end(mut self, code: Code, text: &'static str) -> Result<(), h2::Error> {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(code as i32));
        trailers.insert("grpc-message", HeaderValue::from_static(text));
        if let Some(mut stream) = self.stream {
            return stream.send_trailers(trailers);
        }
        let mut head = Response::builder().header("content-type", "application/grpc");
        head.headers_mut().unwrap().extend(trailers);
        self.respond.send_response(head.body(()).unwrap(), true).map(drop)
    }
}
