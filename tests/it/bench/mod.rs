//! The test bench: the app inside the test process, on real sockets and a real database, with an
//! injected clock, a model node, and faults at every call of both ports.
//!
//! The app lives in a tokio runtime of its own, so that a crash is the end of that runtime: every
//! task is dropped where it is, and a new process begins on the same database.

mod calls;
mod stores;
mod work;

pub mod binary;
pub mod clock;
pub mod clusters;
pub mod collector;
pub mod daemon;
pub mod documents;
pub mod faults;
pub mod http;
pub mod invoices;
pub mod lab;
pub mod logs;
pub mod node;
pub mod pgbouncer;
pub mod scrape;
pub mod scripted_lnd;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use secrecy::ExposeSecret;
use tempfile::TempDir;
use tonic::transport::Channel;
use withdrawd::{
    app::{self, Parts, Running},
    config::{Config, Settings},
    domain::{Keyring, MasterKey},
    node::lnd::{LndNode, LndOptions},
    pb::{
        operations_service_client::OperationsServiceClient,
        payment_service_client::PaymentServiceClient,
        withdraw_service_client::WithdrawServiceClient,
    },
    ports::{LightningNode, Store},
    runtime::{Clock, Runtime, SystemEntropy, TokioSpawner},
};

use clock::TestClock;
use faults::{Faults, FaultyNode, FaultyStore};
use node::ModelNode;
use stores::open_store;

pub use calls::{claim_at, reason};
pub use stores::{
    StoreKind, new_database_at, new_postgres_database, on_every_store, postgres_options,
    postgres_url, sqlite_options, store_kinds,
};

pub struct Bench {
    pub kind: StoreKind,
    pub clock: Arc<TestClock>,
    pub node: Arc<ModelNode>,
    pub faults: Arc<Faults>,
    pub config: Config,
    /// Instead of the model node.
    lnd: Option<LndOptions>,
    process: Option<Process>,
    data_dir: TempDir,
}

/// The app from a start to a crash.
struct Process {
    running: Running,
    store: Arc<dyn Store>,
    tokio: tokio::runtime::Runtime,
    channel: Channel,
}

impl Bench {
    pub async fn new(kind: StoreKind) -> Self {
        Self::with(kind, &[]).await
    }

    /// With settings of its own.
    pub async fn with(kind: StoreKind, settings: &[(&'static str, &str)]) -> Self {
        Self::made(kind, settings, None).await
    }

    /// Over SQLite, paying from an lnd that is reached over the wire.
    pub async fn on_lnd(options: LndOptions) -> Self {
        // What it lists does not matter to these tests.
        Self::made(StoreKind::Sqlite, &[("node.shared", "true")], Some(options)).await
    }

    async fn made(
        kind: StoreKind,
        settings: &[(&'static str, &str)],
        lnd: Option<LndOptions>,
    ) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let database_url = match kind {
            StoreKind::Sqlite => String::new(),
            StoreKind::Postgres => new_postgres_database().await,
        };
        let mut overrides = vec![
            ("data_dir", data_dir.path().to_str().unwrap().to_owned()),
            ("store.database_url", database_url),
            ("grpc.listen", "127.0.0.1:0".to_owned()),
            ("lnurl.listen", "127.0.0.1:0".to_owned()),
            ("admin.listen", "127.0.0.1:0".to_owned()),
            // Hours pass in a moment here: tests of silence set it themselves.
            ("node.heartbeat_stale_ms", "31536000000".to_owned()),
        ];
        overrides.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let config = Config::defaults(&overrides).unwrap();
        let clock = Arc::new(TestClock::new());
        let node = Arc::new(ModelNode::new(Arc::clone(&clock) as Arc<dyn Clock>));
        let faults = Arc::new(Faults::default());
        let mut bench = Self { kind, clock, node, faults, config, lnd, process: None, data_dir };
        bench.start().await;
        bench
    }

    /// Starts the app.
    pub async fn start(&mut self) {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let runtime = self.runtime();
        let faults = Arc::clone(&self.faults);
        let node: Arc<dyn LightningNode> = match &self.lnd {
            None => Arc::clone(&self.node) as _,
            Some(options) => Arc::new(LndNode::new(options, None).unwrap()),
        };
        let config = self.config.clone();
        let settings = self.settings();
        let started = tokio.spawn(async move {
            let inner = open_store(&config, &clock).await;
            let store: Arc<dyn Store> = Arc::new(FaultyStore {
                inner: Arc::clone(&inner),
                faults: Arc::clone(&faults),
                clock,
            });
            let parts = Parts {
                store,
                node: Some(Arc::new(FaultyNode { inner: node, faults })),
                keyring: Some(Keyring::new(MasterKey::from_bytes([7; 32]), [])),
                runtime,
                metrics: Arc::default(),
            };
            (app::start(&settings, parts).await.unwrap(), inner)
        });
        let (running, store) = started.await.unwrap();
        let server = format!("http://{}", running.listening.grpc.unwrap());
        // By the first call: a connection without one is cut off once the clock has moved on.
        let channel = Channel::from_shared(server).unwrap().connect_lazy();
        self.process = Some(Process { running, store, tokio, channel });
    }

    /// Ends the app, wherever its tasks are.
    pub fn crash(&mut self) {
        let Process { running, store, tokio, channel } = self.process.take().unwrap();
        // Its tasks are dropped before anything else of it: nothing has an effect any more.
        std::thread::spawn(move || {
            tokio.shutdown_timeout(Duration::from_secs(10));
            drop((running, store, channel));
        })
        .join()
        .unwrap();
    }

    /// A crash and a restart on the same database.
    pub async fn crash_and_restart(&mut self) {
        self.crash();
        self.faults.reset();
        self.start().await;
    }

    /// The URL of its database; empty for SQLite.
    pub fn database_url(&self) -> &str {
        self.config.store.database_url.expose_secret()
    }

    /// What is configured, checked.
    pub fn settings(&self) -> Settings {
        self.config.check().unwrap()
    }

    /// The app's, on the test's clock.
    fn runtime(&self) -> Runtime {
        Runtime {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SystemEntropy),
            spawner: Arc::new(TokioSpawner),
        }
    }

    fn process(&self) -> &Process {
        self.process.as_ref().unwrap()
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.process().store)
    }

    pub fn client(&self) -> WithdrawServiceClient<Channel> {
        WithdrawServiceClient::new(self.process().channel.clone())
    }

    /// What operators call.
    pub fn payments(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(self.process().channel.clone())
    }

    pub fn lnurl(&self) -> SocketAddr {
        self.process().running.listening.lnurl.unwrap()
    }

    pub fn grpc(&self) -> SocketAddr {
        self.process().running.listening.grpc.unwrap()
    }

    pub fn admin(&self) -> SocketAddr {
        self.process().running.listening.admin
    }

    pub fn data_dir(&self) -> &std::path::Path {
        self.data_dir.path()
    }

    /// Runs work inside the app's runtime.
    pub async fn inside<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.process().tokio.spawn(work).await.unwrap()
    }

    pub fn operations(&self) -> OperationsServiceClient<Channel> {
        OperationsServiceClient::new(self.process().channel.clone())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.crash();
        }
    }
}
