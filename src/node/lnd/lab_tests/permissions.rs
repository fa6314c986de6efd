//! Credentials and permissions.

use std::fs;

use super::{
    super::{LndNode, LndOptions, Macaroon},
    Lab,
};
use crate::{
    domain::{Network, TroubleKind},
    ports::{LightningNode, NodeError},
};

#[tokio::test]
async fn wrong_credentials_are_refused() {
    let Some(lab) = Lab::open() else { return };
    let mut options = lab.options();
    options.tls_cert_pem = Some(fs::read(lab.text("payee", "tls_cert")).unwrap());
    let refused = LndNode::new(&options, None).unwrap().introduce().await;
    let trouble = refused.unwrap_err().trouble();
    assert_eq!(trouble.kind, TroubleKind::OtherCertificate);

    let mut options = lab.options();
    let strange = fs::read(lab.text("payee", "admin_macaroon")).unwrap();
    options.macaroon = Macaroon::parse(&strange).unwrap();
    let refused = LndNode::new(&options, None).unwrap().introduce().await;
    assert_eq!(refused.unwrap_err().trouble().kind, TroubleKind::MacaroonRefused);

    let mut options = lab.options();
    options.network = Network::Bitcoin;
    let refused = LndNode::new(&options, None).unwrap().introduce().await;
    assert!(matches!(refused, Err(NodeError::WrongNetwork { .. })), "{refused:?}");
}

/// Missing permissions are found by calls that lnd refuses anyway.
#[tokio::test]
async fn permissions_are_checked_without_a_payment() {
    let Some(lab) = Lab::open() else { return };
    let needed = ["lnrpc.Lightning/GetInfo", "lnrpc.Lightning/ListChannels"];
    let [send, track] = ["routerrpc.Router/SendPaymentV2", "routerrpc.Router/TrackPaymentV2"];
    let lacking = |more: &[&str]| lab.permitted(&[&needed, more].concat());
    let refused = lacking(&[track]).try_permissions().await;
    assert!(matches!(refused, Err(NodeError::NotPermitted("SendPaymentV2"))), "{refused:?}");
    let refused = lacking(&[send]).try_permissions().await;
    assert!(matches!(refused, Err(NodeError::NotPermitted("TrackPaymentV2"))), "{refused:?}");
    let refused = lab.permitted(&["lnrpc.Lightning/GetInfo"]).health().await;
    assert!(matches!(refused, Err(NodeError::NotPermitted("ListChannels"))), "{refused:?}");

    let node = lacking(&[send, track]);
    node.try_permissions().await.unwrap();
    node.try_permissions().await.unwrap();
    // lnd's default is 2016.
    let above = LndOptions { cltv_limit: 2_017, ..lab.options() };
    let refused = LndNode::new(&above, None).unwrap().try_permissions().await.unwrap_err();
    assert_eq!(refused.trouble(), TroubleKind::CltvLimit.into());
    // A stored payment without a payee would be listed.
    let listed = lab.lncli("payer", &["listpayments", "--include_incomplete"]);
    let listed = listed["payments"].as_array().unwrap();
    assert!(listed.iter().all(|payment| payment["value_msat"] != "0"), "{listed:?}");
}
