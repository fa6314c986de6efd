//! The service of a round: the real binary, once on SQLite or twice on one Postgres, started again
//! whenever it is killed.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};
use tonic::transport::Channel;
use withdrawd::pb::withdraw_service_client::WithdrawServiceClient;

use super::{environment::Environment, plan::Stage};
use crate::{
    bench::daemon::{Daemon, Home},
    bench::lab::let_pass,
    bench::{StoreKind, new_database_at},
};

/// A service that does not start for so long, while its database is up, never will.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(50);

/// Where a running replica is reached.
#[derive(Clone)]
pub struct Addresses {
    pub lnurl: SocketAddr,
    pub client: WithdrawServiceClient<Channel>,
}

/// One replica, through all its restarts.
pub struct Replica {
    home: Home,
    process: tokio::sync::Mutex<Option<Daemon>>,
    addresses: Mutex<Option<Addresses>>,
}

/// Its replicas on a fresh store; empty is SQLite's URL.
pub async fn replicas(environment: &Arc<Environment>, stage: Stage) -> (Vec<Replica>, String) {
    replicas_with(environment, stage, &[]).await
}

/// The same, with these settings.
pub async fn replicas_with(
    environment: &Arc<Environment>,
    stage: Stage,
    settings: &[(&str, &str)],
) -> (Vec<Replica>, String) {
    let database_url = match stage {
        Stage::OneOnSqlite => String::new(),
        Stage::TwoOnPostgres => new_database_at(&environment.postgres_url()).await,
    };
    let master = hex::encode(rand::random::<[u8; 32]>());
    let home = Home::new(StoreKind::Sqlite, &environment.lab).await.with(&[
        ("store.database_url", &database_url),
        ("keys.master", &master),
        // Long enough to be killed while it listens to the node.
        ("payments.fresh_for_s", "3"),
        ("payments.lease_ms", "3500"),
        // A send that comes too late is refused, and costs a repeat.
        ("payments.send_life_ms", "1000"),
        // lnd takes milliseconds for this; a stalled machine may take a thousand times longer.
        ("payments.node_slack_ms", "3000"),
        // So that a process that was killed is waited for only so long on another server.
        ("store.acquire_timeout_ms", "2000"),
        ("store.statement_timeout_ms", "2000"),
        ("log.level", "info,withdrawd=debug"),
    ]);
    let mut homes = vec![home.with(settings)];
    while homes.len() < stage.replicas() {
        homes.push(homes[0].replica());
    }
    (homes.into_iter().map(Replica::of).collect(), database_url)
}

/// Thousands of rounds would fill the disk.
pub async fn drop_database(environment: &Environment, database_url: &str) {
    let Some((path, _)) = database_url.split_once('?') else { return };
    let (_, name) = path.rsplit_once('/').unwrap();
    let mut connection = PgConnection::connect(&environment.postgres_url()).await.unwrap();
    let statement = sqlx::AssertSqlSafe(format!("drop database {name} with (force)"));
    sqlx::query(statement).execute(&mut connection).await.unwrap();
}

impl Replica {
    fn of(home: Home) -> Self {
        Self { home, process: tokio::sync::Mutex::default(), addresses: Mutex::default() }
    }

    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// None while it is down.
    pub fn addresses(&self) -> Option<Addresses> {
        self.addresses.lock().unwrap().clone()
    }

    /// How often the running process has asked its node to pay; 0 while it is down.
    pub fn sends(&self) -> usize {
        let process = self.process.try_lock();
        process.ok().and_then(|process| process.as_ref().map(Daemon::sends)).unwrap_or(0)
    }

    /// As a supervisor does: without its database it ends, and is started again.
    pub async fn start(&self) {
        let mut process = self.process.lock().await;
        self.begin(&mut process).await;
    }

    /// kill -9, and a restart after a while. A kill that comes meanwhile waits for that restart.
    pub async fn crash_and_restart(&self, down: Duration) {
        let mut process = self.process.lock().await;
        *self.addresses.lock().unwrap() = None;
        drop(process.take());
        let_pass(down).await;
        self.begin(&mut process).await;
    }

    async fn begin(&self, process: &mut Option<Daemon>) {
        let patience = Instant::now() + PATIENCE;
        let daemon = loop {
            match self.home.try_start().await {
                Ok(daemon) => break daemon,
                Err(ended) => assert!(Instant::now() < patience, "it does not start: {ended}"),
            }
            let_pass(PAUSE).await;
        };
        let addresses = Addresses { lnurl: daemon.lnurl, client: daemon.client.clone() };
        *self.addresses.lock().unwrap() = Some(addresses);
        *process = Some(daemon);
    }
}
