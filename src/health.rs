//! What probes are told: one standing, and every surface shows it. gRPC health on the main port and on
//! the admin port, `/healthz`, `/readyz` and `/startupz`.
//!
//! * Live: the process answers. No database is asked, or its outage would kill all replicas.
//! * Ready: the database answers and takes writes, its schema is this program's, and this process holds the
//!   master key that requests derive from; until SIGTERM.
//! * Started: everything was wired once; until SIGTERM.

use std::{fmt, sync::Arc};

use tokio::sync::Mutex;
use tonic_health::{ServingStatus, server::HealthReporter};

/// The gRPC service that tells it.
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
    /// It is being wired.
    Starting,
    /// The database does not answer.
    DatabaseSilent,
    /// The database takes no writes.
    StoreReadOnly,
    /// The store derives from a master key that this process does not hold.
    KeyMissing,
    /// The database waits for `withdrawd migrate`.
    SchemaOlder,
    /// The database was migrated by a newer program, which may mean other things by the same columns.
    SchemaNewer,
    /// SIGTERM came.
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

/// The standing, and those who tell it over gRPC.
#[derive(Clone)]
pub struct Health {
    standing: Arc<Mutex<Standing>>,
    main: HealthReporter,
    admin: HealthReporter,
}

#[derive(Clone, Copy)]
struct Standing {
    started: bool,
    ready: Result<(), NotReady>,
}

impl Health {
    /// Live, and nothing more so far; with the services that tell it on the main port and on the admin
    /// port.
    pub async fn new() -> (Self, [HealthServer<impl HealthRpc>; 2]) {
        let (main, on_main) = tonic_health::server::health_reporter();
        let (admin, on_admin) = tonic_health::server::health_reporter();
        let standing = Standing { started: false, ready: Err(NotReady::Starting) };
        let health = Self { standing: Arc::new(Mutex::new(standing)), main, admin };
        // tonic-health says SERVING by itself.
        health.tell(STARTUP, false).await;
        health.tell(READINESS, false).await;
        health.tell(LIVENESS, true).await;
        (health, [on_main, on_admin].map(|rpc| rpc.max_decoding_message_size(MAX_MESSAGE_BYTES)))
    }

    /// Everything is wired, over a database that was just opened.
    pub async fn started(&self) {
        let mut standing = self.standing.lock().await;
        *standing = Standing { started: true, ready: Ok(()) };
        self.tell(STARTUP, true).await;
        self.tell(READINESS, true).await;
    }

    /// Whether the database can be worked with. Who is stopping does not become ready again: a load
    /// balancer would send calls to a process that is about to end.
    pub async fn ready(&self, ready: Result<(), NotReady>) {
        let mut standing = self.standing.lock().await;
        if standing.ready != Err(NotReady::Stopping) {
            standing.ready = ready;
            self.tell(READINESS, ready.is_ok()).await;
        }
    }

    /// SIGTERM came.
    pub async fn stopping(&self) {
        let mut standing = self.standing.lock().await;
        *standing = Standing { started: false, ready: Err(NotReady::Stopping) };
        self.tell(STARTUP, false).await;
        self.tell(READINESS, false).await;
    }

    /// Ends the streams of those who watch on the main port, which would keep it from draining.
    pub async fn end_main_watches(&self) {
        end_watches(self.main.clone()).await;
    }

    /// The same on the admin port, at the very end.
    pub async fn end_admin_watches(&self) {
        end_watches(self.admin.clone()).await;
    }

    /// The probe of readiness.
    pub async fn is_ready(&self) -> Result<(), NotReady> {
        self.standing.lock().await.ready
    }

    /// The probe of startup.
    pub async fn is_started(&self) -> Result<(), NotReady> {
        let Standing { started, ready } = *self.standing.lock().await;
        if started { Ok(()) } else { ready }
    }

    async fn tell(&self, name: &str, serving: bool) {
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
