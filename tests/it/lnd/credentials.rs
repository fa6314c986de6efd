//! What keeps lnd from us: how it is reported, that nothing is paid to find it out, and that a new
//! certificate or macaroon at the same path is used without a restart.

use std::{fs, path::PathBuf};

use tokio::net::TcpListener;
use tonic::Code;
use withdrawd::{
    domain::{NodeTrouble, TroubleKind},
    node::lnd::{CredentialFiles, LndNode},
    ports::{LightningNode, NodeError},
};

use crate::bench::scripted_lnd::{MACAROON, ScriptedLnd};

async fn barred(node: &LndNode) -> NodeTrouble {
    match node.introduce().await {
        Err(NodeError::Barred(trouble)) => trouble,
        other => panic!("{other:?}"),
    }
}

/// lnd v0.21 says all of this with the code UNKNOWN.
#[tokio::test]
async fn the_reasons_of_lnds_refusals_are_distinguished() {
    let lnd = ScriptedLnd::start().await;
    let cases = [
        (
            "verification failed: signature mismatch after caveat verification",
            TroubleKind::MacaroonRefused,
        ),
        (
            "cannot retrieve macaroon: cannot get macaroon: root key with id 7 doesn't exist",
            TroubleKind::MacaroonRefused,
        ),
        (
            "caveat \"time-before 2026-11-28T07:06:44Z\" not satisfied: macaroon has expired",
            TroubleKind::MacaroonExpired,
        ),
        (
            "caveat \"ipaddr 10.0.0.1\" not satisfied: macaroon locked to different IP address",
            TroubleKind::MacaroonRefused,
        ),
        ("wallet locked, unlock it to enable full RPC access", TroubleKind::WalletLocked),
        ("wallet not created, create one to enable full RPC access", TroubleKind::WalletLocked),
        (
            "the RPC server is in the process of starting up, but not yet ready to accept calls",
            TroubleKind::Starting,
        ),
        ("waiting to start, RPC services not available", TroubleKind::Starting),
    ];
    for (words, kind) in cases {
        lnd.refuse_info(Code::Unknown, words);
        assert_eq!(barred(&lnd.client()).await, kind.into(), "{words}");
    }
    lnd.refuse_info(Code::Unknown, "permission denied");
    let refused = lnd.client().introduce().await.unwrap_err();
    assert!(matches!(refused, NodeError::NotPermitted("GetInfo")), "{refused:?}");
    lnd.refuse_info(Code::Internal, "wallet locked");
    let refused = lnd.client().introduce().await.unwrap_err();
    assert!(matches!(refused, NodeError::Refused(_)), "{refused:?}");
}

/// Asked by a send of nothing, once per connection as soon as it is permitted.
#[tokio::test]
async fn a_macaroon_that_may_not_pay_is_found_out_without_a_payment() {
    let lnd = ScriptedLnd::start().await;
    let node = lnd.client();
    lnd.refuse_sends(Some((Code::Unknown, "permission denied")));
    for _ in 0..2 {
        let missing_permission = node.try_permissions().await.unwrap_err();
        assert!(
            matches!(missing_permission, NodeError::NotPermitted("SendPaymentV2")),
            "{missing_permission:?}"
        );
    }
    lnd.refuse_sends(None);
    node.try_permissions().await.unwrap();
    let probes = lnd.calls().into_iter().filter_map(|call| call.send);
    assert_eq!(probes.filter(|send| send.payment_request.is_empty()).count(), 3);
    node.try_permissions().await.unwrap();
    assert!(lnd.calls().is_empty(), "it was found to be permitted on this connection");
    assert!(lnd.sends().is_empty());
}

/// Files of a test, as an operator's lnd writes them.
struct Files {
    _dir: tempfile::TempDir,
    macaroon: PathBuf,
    tls_cert: PathBuf,
}

impl Files {
    fn new(tls_cert: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (macaroon, path) = (dir.path().join("payer.macaroon"), dir.path().join("tls.cert"));
        fs::write(&macaroon, MACAROON).unwrap();
        fs::write(&path, tls_cert).unwrap();
        Self { _dir: dir, macaroon, tls_cert: path }
    }

    fn test_variable(&self) -> CredentialFiles {
        CredentialFiles { macaroon: self.macaroon.clone(), tls_cert: Some(self.tls_cert.clone()) }
    }
}

#[tokio::test]
async fn a_new_certificate_at_the_same_path_is_used_without_a_restart() {
    let (lnd, before) = (ScriptedLnd::start().await, ScriptedLnd::start().await);
    let files = Files::new(&before.certificate_pem);
    let mut options = lnd.options();
    options.tls_cert_pem = Some(before.certificate_pem.clone().into_bytes());
    let node = LndNode::new(&options, Some(files.test_variable())).unwrap();

    let trouble = barred(&node).await;
    assert_eq!(
        trouble.to_string(),
        "lnd's certificate is not the one in lnd.tls_cert: if lnd renewed it, copy it there"
    );
    fs::write(&files.tls_cert, &lnd.certificate_pem).unwrap();
    node.introduce().await.unwrap();
}

/// By a macaroon that permits more, and by one in the place of one that is not known any more.
#[tokio::test]
async fn a_new_macaroon_at_the_same_path_is_used_without_a_restart() {
    let lnd = ScriptedLnd::start().await;
    let files = Files::new(&lnd.certificate_pem);
    let node = LndNode::new(&lnd.options(), Some(files.test_variable())).unwrap();
    lnd.refuse_sends(Some((Code::Unknown, "permission denied")));
    let first = node.introduce().await.unwrap().connection;
    node.try_permissions().await.unwrap_err();
    assert_eq!(node.introduce().await.unwrap().connection, first, "nothing new is there");

    let newer = String::from_utf8(MACAROON.to_vec()).unwrap().replace("6964", "6965");
    fs::write(&files.macaroon, &newer).unwrap();
    node.try_permissions().await.unwrap_err();
    lnd.refuse_sends(None);
    lnd.calls();
    node.try_permissions().await.unwrap();
    assert!(lnd.calls().iter().all(|call| call.macaroon == newer));

    // While a connection stands lnd forgets the macaroon.
    lnd.refuse_info(Code::Unknown, "verification failed: signature mismatch");
    let refused = node.health().await.unwrap_err();
    assert_eq!(refused.trouble(), TroubleKind::MacaroonRefused.into());
    fs::write(&files.macaroon, MACAROON).unwrap();
    lnd.accept_info();
    lnd.calls();
    node.health().await.unwrap();
    assert!(lnd.calls().iter().all(|call| call.macaroon.as_bytes() == MACAROON));
}

#[tokio::test]
async fn a_server_that_is_no_lnd_is_distinguished() {
    let lnd = ScriptedLnd::start().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = free.local_addr().unwrap().to_string();
    drop(free);
    // Speaks plain HTTP, as lnd's REST port behind a proxy may.
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = plain.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = plain.accept().await {
            let _sent = tcp.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let cases = [
        (nobody, TroubleKind::NobodyListens),
        (http, TroubleKind::NoTls),
        ("nobody.invalid:10009".to_owned(), TroubleKind::UnknownHost),
    ];
    for (address, kind) in cases {
        let mut options = lnd.options();
        options.endpoint = format!("https://{address}");
        let node = LndNode::new(&options, None).unwrap();
        assert_eq!(barred(&node).await, NodeTrouble::with(kind, address));
    }
    let mut options = lnd.options();
    options.tls_cert_pem = None;
    let trouble = barred(&LndNode::new(&options, None).unwrap()).await;
    assert_eq!(trouble.kind, TroubleKind::UntrustedCertificate);
}
