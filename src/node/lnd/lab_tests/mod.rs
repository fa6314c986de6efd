//! The backend with real lnds: the network of `tests/lab`. `WITHDRAWD_TEST_LAB` is the path of its
//! `lab.json`; without it these tests are skipped, with a message.
//!
//! All tests use one network at the same time, so none stops a node.

#![expect(clippy::disallowed_methods, reason = "lnd has a clock of its own")]

mod deadlines;
mod invoices;
mod payments;
mod permissions;
mod queries;

use std::{
    fs,
    process::{Command, Output},
    time::{Duration, SystemTime},
};

use futures_util::StreamExt;
use serde_json::Value;

use super::{LndNode, LndOptions, Macaroon};
use crate::{
    domain::{Millis, Msat, Network, NodeId, PaymentHash, Timestamp, payment::RecordState},
    ports::{Connection, LightningNode, SendOrder, SendUpdate},
};

struct Lab(Value);

impl Lab {
    fn open() -> Option<Self> {
        let Ok(path) = std::env::var("WITHDRAWD_TEST_LAB") else {
            let required = std::env::var("WITHDRAWD_REQUIRE_ALL").is_ok_and(|all| all == "1");
            assert!(!required, "WITHDRAWD_TEST_LAB is not set (see tests/run)");
            eprintln!("SKIPPED: WITHDRAWD_TEST_LAB is not set (see tests/run)");
            return None;
        };
        Some(Self(serde_json::from_slice(&fs::read(path).unwrap()).unwrap()))
    }

    fn text(&self, node: &str, key: &str) -> &str {
        self.0["nodes"][node][key].as_str().unwrap()
    }

    fn options(&self) -> LndOptions {
        let macaroon = fs::read(self.text("payer", "payer_macaroon")).unwrap();
        LndOptions {
            endpoint: format!("https://{}", self.text("payer", "rpc")),
            tls_cert_pem: Some(fs::read(self.text("payer", "tls_cert")).unwrap()),
            macaroon: Macaroon::parse(&macaroon).unwrap(),
            network: Network::Regtest,
            cltv_limit: 1_000,
            max_parts: 16,
            payment_timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(5),
            info_timeout: Duration::from_secs(5),
            call_timeout: Duration::from_secs(20),
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(10),
        }
    }

    fn lncli(&self, node: &str, args: &[&str]) -> Value {
        let done = self.try_lncli(node, args);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// A client of the payer whose macaroon permits only these `calls`.
    fn permitted(&self, calls: &[&str]) -> LndNode {
        let calls: Vec<_> = calls.iter().map(|call| format!("uri:/{call}")).collect();
        let mut args = vec!["bakemacaroon"];
        args.extend(calls.iter().map(String::as_str));
        let baked = self.try_lncli("payer", &args);
        assert!(baked.status.success(), "{}", String::from_utf8_lossy(&baked.stderr));
        let macaroon = Macaroon::parse(&baked.stdout).unwrap();
        LndNode::new(&LndOptions { macaroon, ..self.options() }, None).unwrap()
    }

    fn try_lncli(&self, node: &str, args: &[&str]) -> Output {
        let command: Vec<&str> = self.0["nodes"][node]["lncli"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        Command::new(command[0]).args(&command[1..]).args(args).output().unwrap()
    }

    /// An order for a new invoice of 21 sat. lnd accepts it for `life_ms` from now.
    fn order(&self, payee: &str, life_ms: i64) -> SendOrder {
        let invoice = self.lncli(payee, &["addinvoice", "--amt", "21"]);
        let mut hash = [0; 32];
        hex::decode_to_slice(invoice["r_hash"].as_str().unwrap(), &mut hash).unwrap();
        SendOrder {
            node: NodeId::parse(self.text("payer", "pubkey")).unwrap(),
            connection: Connection(1),
            invoice: invoice["payment_request"].as_str().unwrap().to_owned(),
            payment_hash: PaymentHash::from_bytes(hash),
            amount: Msat::new(21_000).unwrap(),
            fee_limit: Msat::new(5_000).unwrap(),
            send_deadline: now().plus(Millis::from_ms(life_ms)),
        }
    }
}

fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_ms(i64::try_from(since_epoch.as_millis()).unwrap())
}

async fn send(node: &LndNode, order: &SendOrder) -> Vec<SendUpdate> {
    let updates: Vec<_> = node.send(order.clone()).await.collect().await;
    eprintln!("{updates:#?}");
    updates
}

fn last(updates: &[SendUpdate]) -> RecordState {
    match updates.last() {
        Some(SendUpdate::Record(record)) => record.state,
        other => panic!("{other:?}"),
    }
}
