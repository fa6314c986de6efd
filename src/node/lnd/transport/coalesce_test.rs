//! What leaves over TLS, record by record.

use std::io::{ErrorKind, Read};

use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ServerConfig, ServerConnection,
    crypto::ring,
    pki_types::{PrivateKeyDer, ServerName},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;

use super::{
    super::{
        frames_test::{Tally, call, tally},
        tls,
    },
    *,
};

const RECORD_HEADER_BYTES: usize = 5;
const CALLS: usize = 300;

/// The server's end of TLS, and its certificate.
fn server() -> (ServerConnection, String) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["lnd".to_owned()]).unwrap().self_signed(&key).unwrap();
    let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .unwrap();
    config.alpn_protocols = vec![tls::H2.to_vec()];
    (ServerConnection::new(Arc::new(config)).unwrap(), certificate.pem())
}

/// Reads record by record, slowly, and checks that each holds whole calls. Returns how many there were.
async fn read_records(mut server: ServerConnection, mut io: DuplexStream) -> usize {
    let mut calls = 0;
    while calls < CALLS {
        let mut record = vec![0; RECORD_HEADER_BYTES];
        io.read_exact(&mut record).await.unwrap();
        let length = u16::from_be_bytes([record[3], record[4]]);
        record.resize(RECORD_HEADER_BYTES + usize::from(length), 0);
        io.read_exact(&mut record[RECORD_HEADER_BYTES..]).await.unwrap();
        let mut rest = &record[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().unwrap();
        }
        let mut plain = Vec::new();
        if let Err(error) = server.reader().read_to_end(&mut plain) {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
        }
        let Tally { calls: whole, split } = tally(&[plain]);
        assert_eq!(split, 0);
        calls += whole;
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).unwrap();
        }
        io.write_all(&answer).await.unwrap();
    }
    calls
}

/// The pipe takes less than a record at a time, so TLS always has a backlog.
#[tokio::test]
async fn every_record_holds_whole_calls() {
    let (near, far) = tokio::io::duplex(1_000);
    let (server, pem) = server();
    let client = async {
        let connector =
            TlsConnector::from(Arc::new(tls::client_config(Some(pem.as_bytes())).unwrap()));
        let name = ServerName::try_from("lnd").unwrap();
        let mut io = CoalescedIo::new(connector.connect(name, near).await.unwrap());
        let calls: Vec<u8> =
            (0..CALLS).flat_map(|n| call(2 * u32::try_from(n).unwrap() + 1, 700 + n)).collect();
        // In small pieces, as hyper might write them, with a release now and then.
        for pieces in calls.chunks(20_011) {
            for piece in pieces.chunks(1_234) {
                io.write_all(piece).await.unwrap();
            }
            std::future::poll_fn(|cx| io.poll_release(cx)).await.unwrap();
        }
        io
    };
    let (_open, calls) = tokio::join!(client, read_records(server, far));
    assert_eq!(calls, CALLS);
}

/// Closing the connection does not release an incomplete call.
#[tokio::test]
async fn an_incomplete_call_does_not_leave_at_shutdown() {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    let mut io = CoalescedIo::new(near);
    let (complete, incomplete) = (call(1, 700), call(3, 700));
    io.write_all(&complete).await.unwrap();
    io.write_all(&incomplete[..incomplete.len() - 1]).await.unwrap();
    io.shutdown().await.unwrap();
    drop(io);
    let mut left = Vec::new();
    far.read_to_end(&mut left).await.unwrap();
    assert_eq!(left, complete);
}
