//! The real binary in front of a real lnd, on a store and a data directory of its own: what can be
//! killed with -9 and started again on the same data.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};
use withdrawd::{
    client::Operations,
    pb::{
        self, CreateWithdrawRequest, Halt, Withdraw, payment::State,
        payment_service_client::PaymentServiceClient,
        withdraw_service_client::WithdrawServiceClient,
    },
};

use crate::{
    bench::lab::{Lab, eventually},
    bench::{StoreKind, claim_at, new_postgres_database, store_kinds},
};

/// Shortened, so that what follows a silence is seen soon: a look at least once a second, and a
/// send is over 5.5 s after it was committed.
const PACE: [(&str, &str); 9] = [
    ("payments.send_life_ms", "3000"),
    ("payments.clock_skew_ms", "500"),
    ("payments.node_slack_ms", "2000"),
    ("payments.first_look_ms", "100"),
    ("payments.slowest_look_ms", "500"),
    ("payments.fresh_for_s", "1"),
    ("payments.lease_ms", "1500"),
    ("payments.slow_look_s", "1"),
    ("store.max_connections", "8"),
];

/// Nobody listens there: the address of what a process of other roles serves.
const NOT_SERVED: &str = "127.0.0.1:1";

/// Everything of a service that outlives its process.
pub struct Home {
    dir: Arc<TempDir>,
    settings: Vec<(String, String)>,
    started: AtomicUsize,
}

/// Runs a test on every store, while every node is up.
pub async fn on_every_store(settings: &[(&str, &str)], test: impl AsyncFn(&Lab, Home)) {
    let Some(lab) = Lab::open() else { return };
    let _up = lab.share().await;
    for kind in store_kinds() {
        eprintln!("on {kind:?}:");
        test(&lab, Home::new(kind, &lab).await.with(settings)).await;
    }
}

/// A home on each store, for tests that take a node down once for all of them.
pub async fn homes(lab: &Lab, settings: &[(&str, &str)]) -> Vec<Home> {
    let mut homes = Vec::new();
    for kind in store_kinds() {
        homes.push(Home::new(kind, lab).await.with(settings));
    }
    homes
}

impl Home {
    /// On a fresh store, with the payer's lnd for its node.
    pub async fn new(kind: StoreKind, lab: &Lab) -> Self {
        let database_url = match kind {
            StoreKind::Sqlite => String::new(),
            StoreKind::Postgres => new_postgres_database().await,
        };
        Self::empty()
            .with(&PACE)
            .with(&[
                ("store.database_url", &database_url),
                ("grpc.listen", "127.0.0.1:0"),
                ("lnurl.listen", "127.0.0.1:0"),
                ("admin.listen", "127.0.0.1:0"),
                ("node.backend", "lnd"),
                // Each test has a store of its own, and all of them one payer.
                ("node.shared", "true"),
            ])
            .paying_from(lab, "payer", "payer_macaroon")
    }

    fn empty() -> Self {
        Self {
            dir: Arc::new(tempfile::tempdir().unwrap()),
            settings: Vec::new(),
            started: AtomicUsize::new(0),
        }
    }

    /// With the same settings and so the same store, in a data directory of its own.
    pub fn replica(&self) -> Self {
        Self { settings: self.settings.clone(), ..Self::empty() }
    }

    /// Later settings win.
    pub fn with(mut self, settings: &[(&str, &str)]) -> Self {
        let settings = settings.iter();
        self.settings.extend(settings.map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        self
    }

    /// Points it at another lnd.
    pub fn paying_from(self, lab: &Lab, node: &str, macaroon: &str) -> Self {
        self.with(&[
            ("lnd.endpoint", &format!("https://{}", lab.fact(node, "rpc"))),
            ("lnd.tls_cert", lab.fact(node, "tls_cert")),
            ("lnd.macaroon", lab.fact(node, macaroon)),
        ])
    }

    /// Starts the binary, and waits until it accepts claims.
    pub async fn start(&self) -> Daemon {
        let daemon = self.start_without_node().await;
        daemon.wait_until_accepting().await;
        daemon
    }

    /// Starts the binary, and waits until it serves.
    pub async fn start_without_node(&self) -> Daemon {
        self.try_start().await.unwrap_or_else(|ended| panic!("{ended}"))
    }

    /// Starts the binary, and waits until it serves, or ends with what it logged.
    pub async fn try_start(&self) -> Result<Daemon, String> {
        let process = self.started.fetch_add(1, Ordering::SeqCst) + 1;
        let log = self.path().join(format!("log.{process}"));
        let data_dir = self.path().join("data");
        let listen = data_dir.join("listen.json");
        let _ = fs::remove_file(&listen);
        let environment = self.settings.iter().map(|(key, value)| {
            // OpenTelemetry's variables keep their names.
            if key.starts_with("OTEL_") {
                return (key.clone(), value);
            }
            let key = key.replace('.', "__").to_uppercase();
            (format!("WITHDRAWD__{key}"), value)
        });
        let mut child = Command::new(env!("CARGO_BIN_EXE_withdrawd"))
            .args(["serve", "--data-dir"])
            .arg(&data_dir)
            .env_clear()
            .envs(environment)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let listening = eventually("it listens", async || {
            if let Some(ended) = child.try_wait().unwrap() {
                return Some(Err(format!("{ended}: {}", fs::read_to_string(&log).unwrap())));
            }
            let listening: Value = serde_json::from_slice(&fs::read(&listen).ok()?).ok()?;
            Some(Ok(listening))
        });
        let listening = listening.await?;
        let address = |key: &str| listening[key].as_str().unwrap_or(NOT_SERVED).to_owned();
        let server = format!("http://{}", address("grpc"));
        // Connected by the first call, since it may be killed before that.
        let channel = Endpoint::from_shared(server.clone()).unwrap().connect_lazy();
        Ok(Daemon {
            child,
            log,
            _dir: Arc::clone(&self.dir),
            lnurl: address("lnurl").parse().unwrap(),
            client: WithdrawServiceClient::new(channel.clone()),
            payments: PaymentServiceClient::new(channel),
            server,
            admin: address("admin").parse().unwrap(),
        })
    }

    /// Where its data and the logs of its processes are.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// A process of the binary; dropping it is a kill -9.
pub struct Daemon {
    child: Child,
    log: PathBuf,
    _dir: Arc<TempDir>,
    pub lnurl: SocketAddr,
    pub client: WithdrawServiceClient<Channel>,
    pub payments: PaymentServiceClient<Channel>,
    server: String,
    pub admin: SocketAddr,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

impl Daemon {
    /// What this process has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits for a line in its log.
    pub async fn wait_for_log(&self, text: &str) {
        eventually(text, async || self.log().contains(text).then_some(())).await;
    }

    /// How often it has asked its node to pay.
    pub fn sends(&self) -> usize {
        self.log().matches(r#""message":"sending""#).count()
    }

    /// Where gRPC listens.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What the command line calls for operators.
    pub async fn operations(&self) -> Operations {
        Operations::connect(&self.server).await.unwrap()
    }

    /// Waits until it accepts claims.
    pub async fn wait_until_accepting(&self) {
        self.wait_until_halted(Halt::Unspecified).await;
    }

    /// Waits until it says that it accepts nothing, for this reason.
    pub async fn wait_until_halted(&self, halt: Halt) {
        let mut operations = self.operations().await;
        eventually("it says so", async || {
            let instance = operations.instance().await.ok()?;
            (instance.halt() == halt).then_some(())
        })
        .await;
    }

    /// How often a payment was sent, as its database has it. (A send is logged before it is
    /// committed, and a worker that lost a race does not commit it.)
    pub async fn sends_of(&self, payment: &pb::Payment) -> usize {
        let request = pb::GetPaymentRequest { id: payment.id.clone() };
        self.payments.clone().get_payment(request).await.unwrap().into_inner().sends.len()
    }

    pub async fn create(&self, sat: u64) -> Withdraw {
        let request = CreateWithdrawRequest {
            max_amount: sat.to_string(),
            ..CreateWithdrawRequest::default()
        };
        let made = self.client.clone().create_withdraw(request).await;
        made.unwrap().into_inner()
    }

    pub async fn get(&self, withdraw: &Withdraw) -> Withdraw {
        let id = withdraw.id.clone();
        let request = pb::GetWithdrawRequest { id };
        let found = self.client.clone().get_withdraw(request).await;
        found.unwrap().into_inner()
    }

    pub async fn deactivate(&self, withdraw: &Withdraw) -> Result<Withdraw, tonic::Status> {
        let id = withdraw.id.clone();
        let request = pb::DeactivateWithdrawRequest { id };
        let ended = self.client.clone().deactivate_withdraw(request).await;
        ended.map(tonic::Response::into_inner)
    }

    /// The callback.
    pub async fn claim(&self, withdraw: &Withdraw, invoice: &str) -> Value {
        claim_at(self.lnurl, &withdraw.ott, invoice).await
    }

    /// The callback, which must be OK.
    pub async fn claim_ok(&self, withdraw: &Withdraw, invoice: &str) {
        let answer = self.claim(withdraw, invoice).await;
        assert_eq!(answer, json!({ "status": "OK" }));
    }

    /// Waits until the payment of a request is in `state`.
    pub async fn until(&self, withdraw: &Withdraw, state: State) -> pb::Payment {
        eventually(state.as_str_name(), async || {
            let payment = self.get(withdraw).await.payment?;
            let so = payment.state() == state;
            assert!(so || payment.finished.is_none(), "it ended: {payment:?}");
            so.then_some(payment)
        })
        .await
    }
}
