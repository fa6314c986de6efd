//! The test bench: the app inside the test process, on real sockets and a real database, with an
//! injected clock, a model node, and faults at every call of both ports.
//!
//! The app lives in a tokio runtime of its own, so that a crash is the end of that runtime: every
//! task is dropped where it stands, and a new life begins on the same database.

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
pub mod node;
pub mod node_calls;
pub mod pgbouncer;
pub mod scripted_lnd;

use std::{
    net::SocketAddr,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use secrecy::ExposeSecret;
use serde_json::Value;
use sqlx::{
    Connection, PgConnection, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use tempfile::TempDir;
use tonic::transport::Channel;
use withdrawd::{
    app::{self, Parts, Running},
    config::{Config, Settings, StoreSettings},
    domain::{Event, Keyring, MasterKey, Millis, WithdrawId},
    jobs::Expiry,
    node::lnd::{LndNode, LndOptions},
    pb::{
        self, CreateWithdrawRequest, Withdraw, operations_service_client::OperationsServiceClient,
        payment_service_client::PaymentServiceClient,
        withdraw_service_client::WithdrawServiceClient,
    },
    ports::{LightningNode, Store},
    runtime::{Clock, Runtime, SystemEntropy, TokioSpawner},
    store::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore},
};

use crate::{
    bench::clock::TestClock,
    bench::faults::{Faults, FaultyNode, FaultyStore},
    bench::invoices::Wanted,
    bench::node::ModelNode,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

/// Both, or SQLite alone (and loudly so) where no Postgres was started for the tests.
pub fn kinds() -> Vec<Kind> {
    if postgres_url().is_some() {
        return vec![Kind::Sqlite, Kind::Postgres];
    }
    eprintln!("SKIPPED on Postgres: WITHDRAWD_TEST_POSTGRES_URL is not set (see tests/run)");
    vec![Kind::Sqlite]
}

pub fn postgres_url() -> Option<String> {
    std::env::var("WITHDRAWD_TEST_POSTGRES_URL").ok()
}

/// Runs a story on every store.
pub async fn on_every_store(story: impl AsyncFn(Bench)) {
    for kind in kinds() {
        eprintln!("on {kind:?}:");
        story(Bench::new(kind).await).await;
    }
}

pub struct Bench {
    pub kind: Kind,
    pub clock: Arc<TestClock>,
    pub node: Arc<ModelNode>,
    pub faults: Arc<Faults>,
    pub config: Config,
    /// Instead of the model node.
    lnd: Option<LndOptions>,
    life: Option<Life>,
    data_dir: TempDir,
}

/// One life of the app.
struct Life {
    running: Running,
    store: Arc<dyn Store>,
    tokio: tokio::runtime::Runtime,
    channel: Channel,
}

/// A fresh database of this test on the tests' Postgres.
pub async fn new_postgres_database() -> String {
    new_database_at(&postgres_url().unwrap()).await
}

/// A fresh database on this Postgres.
pub async fn new_database_at(admin: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("t{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    let options = PgConnectOptions::from_str(admin).unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let create = sqlx::AssertSqlSafe(format!("create database {name}"));
    sqlx::query(create).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    admin.replacen("/postgres?", &format!("/{name}?"), 1)
}

impl Bench {
    pub async fn new(kind: Kind) -> Self {
        Self::with(kind, &[]).await
    }

    /// With settings of its own.
    pub async fn with(kind: Kind, settings: &[(&'static str, &str)]) -> Self {
        Self::made(kind, settings, None).await
    }

    /// Over SQLite, paying from an lnd that is reached in earnest.
    pub async fn on_lnd(options: LndOptions) -> Self {
        // What it lists is no matter of these stories.
        Self::made(Kind::Sqlite, &[("node.shared", "true")], Some(options)).await
    }

    async fn made(kind: Kind, settings: &[(&'static str, &str)], lnd: Option<LndOptions>) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let database_url = match kind {
            Kind::Sqlite => String::new(),
            Kind::Postgres => new_postgres_database().await,
        };
        let mut overrides = vec![
            ("data_dir", data_dir.path().to_str().unwrap().to_owned()),
            ("store.database_url", database_url),
            ("grpc.listen", "127.0.0.1:0".to_owned()),
            ("lnurl.listen", "127.0.0.1:0".to_owned()),
            ("admin.listen", "127.0.0.1:0".to_owned()),
            // Hours pass in a moment here: stories about silence set it themselves.
            ("node.heartbeat_stale_ms", "31536000000".to_owned()),
        ];
        overrides.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
        let config = Config::defaults(&overrides).unwrap();
        let clock = Arc::new(TestClock::new());
        let node = Arc::new(ModelNode::new(Arc::clone(&clock) as Arc<dyn Clock>));
        let faults = Arc::new(Faults::default());
        let mut bench = Self { kind, clock, node, faults, config, lnd, life: None, data_dir };
        bench.start().await;
        bench
    }

    /// Begins a life.
    pub async fn start(&mut self) {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let runtime = Runtime {
            clock: Arc::clone(&clock),
            entropy: Arc::new(SystemEntropy),
            spawner: Arc::new(TokioSpawner),
        };
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
        let channel = Channel::from_shared(server).unwrap().connect().await.unwrap();
        self.life = Some(Life { running, store, tokio, channel });
    }

    /// The end of a life, wherever its tasks stand.
    pub fn die(&mut self) {
        let Life { running, store, tokio, channel } = self.life.take().unwrap();
        // Its tasks are dropped before anything else of it: nothing has an effect any more.
        std::thread::spawn(move || {
            tokio.shutdown_timeout(Duration::from_secs(10));
            drop((running, store, channel));
        })
        .join()
        .unwrap();
    }

    /// A crash and a new life on the same database.
    pub async fn die_and_live_again(&mut self) {
        self.die();
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

    fn life(&self) -> &Life {
        self.life.as_ref().unwrap()
    }

    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.life().store)
    }

    pub fn client(&self) -> WithdrawServiceClient<Channel> {
        WithdrawServiceClient::new(self.life().channel.clone())
    }

    /// What operators call.
    pub fn payments(&self) -> PaymentServiceClient<Channel> {
        PaymentServiceClient::new(self.life().channel.clone())
    }

    pub fn lnurl(&self) -> SocketAddr {
        self.life().running.listening.lnurl.unwrap()
    }

    pub fn grpc(&self) -> SocketAddr {
        self.life().running.listening.grpc.unwrap()
    }

    pub fn admin(&self) -> SocketAddr {
        self.life().running.listening.admin
    }

    pub fn data_dir(&self) -> &std::path::Path {
        self.data_dir.path()
    }

    /// Runs work inside the app's runtime.
    pub async fn inside<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> T {
        self.life().tokio.spawn(work).await.unwrap()
    }

    /// The payer does all that is due now, to the end.
    pub async fn work(&self) {
        let payer = Arc::clone(self.life().running.payer().unwrap());
        self.inside(async move {
            // A place may have been taken while a pass looked: until nothing is due, or the node
            // is silent.
            while payer.run_once().await.is_ok_and(|taken| taken > 0) {
                payer.idle().await;
            }
            payer.idle().await;
            while payer.run_once().await.is_ok_and(|taken| taken > 0) {
                payer.idle().await;
            }
        })
        .await;
    }

    /// The payer takes what is due, without being waited for (a held payment keeps it busy).
    pub async fn begin_work(&self) {
        let payer = Arc::clone(self.life().running.payer().unwrap());
        self.inside(async move { payer.run_once().await.unwrap_or(0) }).await;
    }

    /// The payer begins with what is due; waits until the payment of `id` is in `state`.
    pub async fn work_until(&self, id: &str, state: pb::payment::State) {
        self.begin_work().await;
        self.until(id, |withdraw| {
            withdraw.payment.as_ref().is_some_and(|payment| payment.state() == state)
        })
        .await;
    }

    /// Asks until it is so; gives up loudly.
    pub async fn until(&self, id: &str, so: impl Fn(&Withdraw) -> bool) -> Withdraw {
        let patience = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let withdraw = self.get(id).await;
            if so(&withdraw) {
                return withdraw;
            }
            assert!(std::time::Instant::now() < patience, "never so: {withdraw:?}");
            tokio::task::yield_now().await;
        }
    }

    /// The node is asked how it is.
    pub async fn beat(&self) {
        let heartbeats = Arc::clone(self.life().running.heartbeats().unwrap());
        // A node that is silent leaves its last word.
        let _ = self.inside(async move { heartbeats.beat().await }).await;
    }

    /// The database is made sure of, if another server answers.
    pub async fn verify_database(&self) {
        let verifier = Arc::clone(self.life().running.verifier());
        self.inside(async move { verifier.run_once().await.unwrap() }).await;
    }

    /// The same, of a database that may not answer: whether the server is verified now.
    pub async fn guarded(&self) -> bool {
        let (verifier, store) = (Arc::clone(self.life().running.verifier()), self.store());
        let looked = async move {
            let looked = verifier.run_once().await.is_ok();
            looked && store.server().await.is_ok_and(|seen| seen.verified)
        };
        self.inside(looked).await
    }

    /// As after a restart of the database: a server answers that nobody has looked at.
    pub async fn another_server(&self) {
        self.sql("update instance set verified_server = -1").await;
        let store = self.store();
        assert!(!self.inside(async move { store.server().await.unwrap() }).await.verified);
    }

    /// A hand with psql.
    pub async fn sql(&self, statement: &'static str) {
        match self.kind {
            Kind::Sqlite => {
                let file = self.data_dir().join("withdrawd.sqlite");
                let options = SqliteConnectOptions::new().filename(file);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
            Kind::Postgres => {
                let url = self.database_url();
                let options = PgConnectOptions::from_str(url).unwrap();
                let mut connection = PgConnection::connect_with(&options).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
        }
    }

    pub fn operations(&self) -> OperationsServiceClient<Channel> {
        OperationsServiceClient::new(self.life().channel.clone())
    }

    /// Marks what has expired.
    pub async fn expire(&self) -> usize {
        let runtime = Runtime {
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            entropy: Arc::new(SystemEntropy),
            spawner: Arc::new(TokioSpawner),
        };
        let expiry = Expiry::new(self.store(), runtime, self.settings().expiry);
        self.inside(async move { expiry.mark_due().await.unwrap() }).await
    }

    /// Lets time pass, and everything that is due then happen.
    pub async fn pass(&self, span: Millis) {
        self.clock.advance(span);
        self.work().await;
    }

    pub async fn create(&self, min_sat: i64, max_sat: i64) -> Withdraw {
        let request = CreateWithdrawRequest {
            min_amount: min_sat.to_string(),
            max_amount: max_sat.to_string(),
            ..CreateWithdrawRequest::default()
        };
        self.client().create_withdraw(request).await.unwrap().into_inner()
    }

    pub async fn get(&self, id: &str) -> Withdraw {
        let request = pb::GetWithdrawRequest { id: id.to_owned() };
        self.client().get_withdraw(request).await.unwrap().into_inner()
    }

    pub async fn deactivate(&self, id: &str) -> Result<Withdraw, tonic::Status> {
        let request = pb::DeactivateWithdrawRequest { id: id.to_owned() };
        self.client().deactivate_withdraw(request).await.map(tonic::Response::into_inner)
    }

    /// All that happened to a request, in order.
    pub async fn history_of(&self, id: &str) -> Vec<Event> {
        let store = self.store();
        let id = WithdrawId::parse(id).unwrap();
        self.inside(async move { store.events_of(id).await.unwrap() }).await
    }

    /// The names of it.
    pub async fn events_of(&self, id: &str) -> Vec<&'static str> {
        let events = self.history_of(id).await;
        events.iter().map(|event| event.kind.name()).collect()
    }

    /// An invoice that can be paid.
    pub fn invoice(&self, sat: u64) -> String {
        self.wanted(sat).build()
    }

    pub fn wanted(&self, sat: u64) -> Wanted {
        Wanted::new(sat * 1000, self.clock.now())
    }

    /// The first GET.
    pub async fn offer(&self, withdraw: &Withdraw) -> Value {
        http::get(self.lnurl(), &format!("/w/{}", withdraw.ott)).await.json()
    }

    /// The callback.
    pub async fn claim(&self, withdraw: &Withdraw, invoice: &str) -> Value {
        claim_at(self.lnurl(), &withdraw.ott, invoice).await
    }

    /// The callback, which must be OK.
    pub async fn claim_ok(&self, withdraw: &Withdraw, invoice: &str) {
        let answer = self.claim(withdraw, invoice).await;
        assert_eq!(answer, serde_json::json!({ "status": "OK" }));
    }
}

pub async fn claim_at(lnurl: SocketAddr, k1: &str, invoice: &str) -> Value {
    let answer = http::get(lnurl, &format!("/cb?k1={k1}&pr={invoice}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The reason of an ERROR.
pub fn reason(answer: &Value) -> &str {
    assert_eq!(answer["status"], "ERROR", "{answer}");
    answer["reason"].as_str().unwrap()
}

async fn open_store(config: &Config, clock: &Arc<dyn Clock>) -> Arc<dyn Store> {
    if let StoreSettings::Postgres(options) = config.check_store().unwrap() {
        Arc::new(PostgresStore::open(*options).await.unwrap())
    } else {
        let options = sqlite_options(config, true);
        let patience = std::time::Instant::now() + Duration::from_secs(10);
        loop {
            match SqliteStore::open(&options, Arc::clone(clock)).await {
                Ok(store) => return Arc::new(store),
                // A program that another test starts at this moment holds copies of all that is open here,
                // the lock of the life before included, until it runs.
                Err(error)
                    if withdrawd::report::chain(&error).contains("another withdrawd uses") =>
                {
                    assert!(std::time::Instant::now() < patience, "{error:?}");
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.life.is_some() {
            self.die();
        }
    }
}

/// The Postgres that is configured.
pub fn postgres_options(config: &Config, migrate: bool) -> PostgresOptions {
    match config.check_store().unwrap().migrating(migrate) {
        StoreSettings::Postgres(options) => *options,
        StoreSettings::Sqlite(_) => panic!("no Postgres is configured"),
    }
}

/// SQLite, as it is configured.
pub fn sqlite_options(config: &Config, migrate: bool) -> SqliteOptions {
    match config.check_store().unwrap().migrating(migrate) {
        StoreSettings::Sqlite(options) => options,
        StoreSettings::Postgres(_) => panic!("Postgres is configured"),
    }
}
