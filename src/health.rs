//! The health of the process. All probes show the same state: gRPC health on the main port and on the admin
//! port, `/healthz`, `/readyz` and `/startupz`.
//!
//! * Live: the process answers. The database is not asked, or its outage would kill all replicas.
//! * Ready: the database answers and takes writes, its schema is this program's, and this process holds the
//!   master key that requests derive from. Ends at SIGTERM.
//! * Started: everything has been wired. Ends at SIGTERM.

use std::{fmt, sync::Arc};

use tokio::sync::Mutex;
use tonic_health::{ServingStatus, server::HealthReporter};

/// The gRPC health service.
pub use tonic_health::pb::health_server::{Health as HealthRpc, HealthServer};

/// The health service name of readiness.
pub const READINESS: &str = "withdraw.v1.WithdrawService";
/// The health service name of liveness.
pub const LIVENESS: &str = "withdrawd.liveness";
/// The health service name of startup: gRPC's own for a whole server.
const STARTUP: &str = "";

/// A probe asks for a name of a few bytes.
const MAX_MESSAGE_BYTES: usize = 4 * 1024;

/// Why the service is not ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// Startup has not finished.
    Starting,
    /// The database does not answer.
    DatabaseSilent,
    /// The database takes no writes.
    StoreReadOnly,
    /// The store derives from a master key that this process does not hold.
    KeyMissing,
    /// The database waits for `withdrawd migrate`.
    SchemaOlder,
    /// A newer program has migrated the database; the same columns may mean something else now.
    SchemaNewer,
    /// SIGTERM was received.
    Stopping,
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "the service is starting",
            Self::DatabaseSilent => "the database does not answer",
            Self::StoreReadOnly => "the database takes no writes",
            Self::KeyMissing => "withdraw requests derive from a master key that is not here",
            Self::SchemaOlder => "the database's schema is older than this program's",
            Self::SchemaNewer => "the database's schema is newer than this program's",
            Self::Stopping => "the service is stopping",
        })
    }
}

/// The state of the process, and the reporters that publish it over gRPC.
#[derive(Clone)]
pub struct Health {
    state: Arc<Mutex<State>>,
    main: HealthReporter,
    admin: HealthReporter,
}

#[derive(Clone, Copy)]
struct State {
    started: bool,
    ready: Result<(), NotReady>,
}

impl Health {
    /// Live, and nothing more so far. Also returns the services that publish it, for the main port and the
    /// admin port.
    pub async fn new() -> (Self, [HealthServer<impl HealthRpc>; 2]) {
        let (main, on_main) = tonic_health::server::health_reporter();
        let (admin, on_admin) = tonic_health::server::health_reporter();
        let state = State { started: false, ready: Err(NotReady::Starting) };
        let health = Self { state: Arc::new(Mutex::new(state)), main, admin };
        // tonic-health starts with SERVING.
        health.publish(STARTUP, false).await;
        health.publish(READINESS, false).await;
        health.publish(LIVENESS, true).await;
        (health, [on_main, on_admin].map(|rpc| rpc.max_decoding_message_size(MAX_MESSAGE_BYTES)))
    }

    /// Startup has finished: everything is wired, over a database that was just opened.
    pub async fn started(&self) {
        let mut state = self.state.lock().await;
        *state = State { started: true, ready: Ok(()) };
        self.publish(STARTUP, true).await;
        self.publish(READINESS, true).await;
    }

    /// Sets whether the database can be used. A process that is stopping does not become ready again: a
    /// load balancer would send calls to a process that is about to end.
    pub async fn ready(&self, ready: Result<(), NotReady>) {
        let mut state = self.state.lock().await;
        if state.ready != Err(NotReady::Stopping) {
            state.ready = ready;
            self.publish(READINESS, ready.is_ok()).await;
        }
    }

    /// SIGTERM was received.
    pub async fn stopping(&self) {
        let mut state = self.state.lock().await;
        *state = State { started: false, ready: Err(NotReady::Stopping) };
        self.publish(STARTUP, false).await;
        self.publish(READINESS, false).await;
    }

    /// Ends the health watches on the main port: their open streams would keep the server from draining.
    pub async fn end_main_watches(&self) {
        end_watches(self.main.clone()).await;
    }

    /// Ends the health watches on the admin port, at the very end.
    pub async fn end_admin_watches(&self) {
        end_watches(self.admin.clone()).await;
    }

    /// The readiness probe.
    pub async fn is_ready(&self) -> Result<(), NotReady> {
        self.state.lock().await.ready
    }

    /// The startup probe.
    pub async fn is_started(&self) -> Result<(), NotReady> {
        let State { started, ready } = *self.state.lock().await;
        if started { Ok(()) } else { ready }
    }

    async fn publish(&self, name: &str, serving: bool) {
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.main.set_service_status(name, status).await;
        self.admin.set_service_status(name, status).await;
    }
}

async fn end_watches(mut reporter: HealthReporter) {
    for name in [STARTUP, LIVENESS, READINESS] {
        reporter.clear_service_status(name).await;
    }
}
