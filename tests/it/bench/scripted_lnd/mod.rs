//! An lnd with answers from a script: the real protocol over real TLS and HTTP/2 on loopback, down
//! to frames that no honest server sends.

mod act;
pub mod proto;
mod server;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{net::TcpListener, task::JoinSet};
use tonic::Code;
use withdrawd::{
    domain::Network,
    node::lnd::{LndNode, LndOptions, Macaroon},
};

pub use self::act::{Act, end, not_found, refuse, reply, say, say_half};
use self::proto::{
    lnrpc::{Chain, Channel, GetInfoResponse, ListPaymentsRequest, ListPaymentsResponse, Payment},
    routerrpc::{SendPaymentRequest, TrackPaymentRequest},
};

pub const NODE: &str = "02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const OTHER_NODE: &str = "03bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
pub const MACAROON: &[u8] =
    b"0202026964000006200000000000000000000000000000000000000000000000000000000000000000";

/// One call that reached it.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub connection: u64,
    pub method: String,
    pub macaroon: String,
    pub send: Option<SendPaymentRequest>,
    pub list: Option<ListPaymentsRequest>,
    pub look_up: Option<TrackPaymentRequest>,
}

impl Call {
    /// Whether it asks to pay nothing, or about no payment, to see if that is permitted.
    fn is_probe(&self) -> bool {
        let no_payment = b"withdrawd asks if it may look up";
        self.send.as_ref().is_some_and(|send| send.payment_request.is_empty())
            || self.look_up.as_ref().is_some_and(|ask| ask.payment_hash == no_payment)
    }
}

/// It runs for as long as the test's runtime.
pub struct ScriptedLnd {
    address: SocketAddr,
    pub certificate_pem: String,
    script: Arc<Script>,
}

/// What it does next. The last answer of a queue is given again and again.
#[derive(Default)]
struct Script {
    info: Mutex<GetInfoResponse>,
    refuses_info: Mutex<Option<(Code, &'static str)>>,
    refuses_sends: Mutex<Option<(Code, &'static str)>>,
    channels: Mutex<Vec<Channel>>,
    pages: Mutex<VecDeque<Vec<Act>>>,
    sends: Mutex<VecDeque<Vec<Act>>>,
    witness: Mutex<Option<Vec<Act>>>,
    look_ups: Mutex<BTreeMap<usize, VecDeque<Vec<Act>>>>,
    calls: Mutex<Vec<Call>>,
    sent: Mutex<Vec<SendPaymentRequest>>,
    connections: Mutex<JoinSet<()>>,
}

impl ScriptedLnd {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (certificate_pem, acceptor) = server::certificate();
        let script = Arc::new(Script::default());
        tokio::spawn(server::accept(listener, acceptor, Arc::clone(&script)));
        let lnd = Self { address, certificate_pem, script };
        lnd.introduce_as(NODE, "regtest");
        lnd.report_health(true, vec![Channel { local_balance: 100_000_000, ..Channel::default() }]);
        lnd
    }

    pub fn introduce_as(&self, identity: &str, network: &str) {
        *self.script.info.lock().unwrap() = GetInfoResponse {
            identity_pubkey: identity.to_owned(),
            alias: "scripted".to_owned(),
            chains: vec![Chain { chain: "bitcoin".to_owned(), network: network.to_owned() }],
            synced_to_chain: true,
            ..GetInfoResponse::default()
        };
    }

    /// Introduces itself no more.
    pub fn refuse_info(&self, code: Code, text: &'static str) {
        *self.script.refuses_info.lock().unwrap() = Some((code, text));
    }

    /// Refuses all sends, those that ask for nothing included; or none any more.
    pub fn refuse_sends(&self, refusal: Option<(Code, &'static str)>) {
        *self.script.refuses_sends.lock().unwrap() = refusal;
    }

    /// Introduces itself again.
    pub fn accept_info(&self) {
        *self.script.refuses_info.lock().unwrap() = None;
    }

    /// Whether the wallet has followed the chain, and what is in the channels.
    pub fn report_health(&self, synced_to_chain: bool, channels: Vec<Channel>) {
        self.script.info.lock().unwrap().synced_to_chain = synced_to_chain;
        *self.script.channels.lock().unwrap() = channels;
    }

    /// The answers to sends.
    pub fn on_send(&self, answers: impl IntoIterator<Item = Vec<Act>>) {
        *self.script.sends.lock().unwrap() = answers.into_iter().collect();
    }

    /// The answer to each request for a write witness, or that it is stored and fails.
    pub fn on_witness(&self, answer: Option<Vec<Act>>) {
        *self.script.witness.lock().unwrap() = answer;
    }

    /// The answers to lookups once there were so many sends; payments are unknown unless something
    /// else was said for as many or fewer.
    pub fn on_look_up(&self, sends: usize, answers: impl IntoIterator<Item = Vec<Act>>) {
        let mut look_ups = self.script.look_ups.lock().unwrap();
        look_ups.insert(sends, answers.into_iter().collect());
    }

    /// The pages of its list of payments.
    pub fn lists(&self, pages: impl IntoIterator<Item = Vec<Payment>>) {
        let page = |payments| reply(&ListPaymentsResponse { payments });
        *self.script.pages.lock().unwrap() = pages.into_iter().map(page).collect();
    }

    /// It does not list its payments.
    pub fn refuse_list(&self, code: Code, text: &'static str) {
        *self.script.pages.lock().unwrap() = [refuse(code, text)].into();
    }

    /// Cuts all connections as a crash would.
    pub fn cut(&self) {
        self.script.connections.lock().unwrap().abort_all();
    }

    /// The calls since it was last asked.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.script.calls.lock().unwrap())
    }

    /// All sends that reached it.
    pub fn sends(&self) -> Vec<SendPaymentRequest> {
        self.script.sent.lock().unwrap().clone()
    }

    /// Patient, so that a busy machine is no hostile node.
    pub fn options(&self) -> LndOptions {
        LndOptions {
            endpoint: format!("https://{}", self.address),
            tls_cert_pem: Some(self.certificate_pem.clone().into_bytes()),
            macaroon: macaroon(),
            network: Network::Regtest,
            cltv_limit: 1_000,
            max_parts: 16,
            payment_timeout: Duration::from_mins(1),
            connect_timeout: Duration::from_secs(20),
            info_timeout: Duration::from_secs(20),
            call_timeout: Duration::from_secs(20),
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(20),
        }
    }

    pub fn client(&self) -> LndNode {
        LndNode::new(&self.options(), None).unwrap()
    }
}

pub fn macaroon() -> Macaroon {
    Macaroon::parse(MACAROON).unwrap()
}
