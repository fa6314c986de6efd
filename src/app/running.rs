//! A running process: from the first bind to the last flush.

use std::sync::Arc;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Parts, StartError, jobs,
    listeners::{Listeners, Listening},
    wiring::{self, Workers},
};
use crate::{
    admin,
    config::Settings,
    domain::Millis,
    grpc,
    health::Health,
    integrity::DatabaseVerifier,
    jobs::{Heartbeats, Job},
    lookup::LookupError,
    payer::Payer,
    report::chain,
    runtime::{Runtime, Task},
    service::Notifier,
    sidecar,
};

/// How long the start waits for the first answer of the node, so that the first wallet is not refused.
const FIRST_ANSWER: Millis = Millis::from_secs(3);
/// How long a shutdown waits for the store to close. A statement that still runs delays that; cutting it off
/// is safe, since the database commits its transaction or rolls it back without us.
const CLOSE: Millis = Millis::from_secs(2);

/// A running process.
pub struct Running {
    /// Where it listens.
    pub listening: Listening,
    parts: Parts,
    workers: Workers,
    health: Health,
    servers: Servers,
    jobs: jobs::Running,
    admin: Servers,
}

/// Servers that stop together.
#[derive(Debug)]
struct Servers {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Servers {
    fn new() -> Self {
        let tasks = TaskTracker::new();
        // `wait` returns only on a closed tracker, and a closed tracker still accepts tasks.
        tasks.close();
        Self { stop: CancellationToken::new(), tasks }
    }

    fn start(&self, runtime: &Runtime, server: Task) {
        runtime.spawner.spawn(Box::pin(self.tasks.track_future(server)));
    }

    async fn end(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

/// Binds, wires and starts everything that the roles ask for. The service accepts calls when this returns.
pub async fn start(settings: &Settings, parts: Parts) -> Result<Running, StartError> {
    let (listeners, listening) = Listeners::bind(settings)?;
    let Listeners { grpc, lnurl, admin: admin_listener, public_url } = listeners;
    let (health, [on_main, on_admin]) = Health::new().await;
    let runtime = &parts.runtime;
    // Started first: the first run below may wait seconds for the node, and probes must be answered
    // meanwhile.
    let admin = Servers::new();
    let routes =
        admin::Routes::new(health.clone(), on_admin, wiring::metrics_endpoint(settings, &parts));
    let serving = admin::serve(admin_listener, routes, runtime.clone(), admin.stop.clone());
    admin.start(runtime, Box::pin(serving));

    let workers = wiring::workers(settings, &parts);
    first_run(&parts, &workers).await;
    let (servers, claimed) = (Servers::new(), Notifier::default());
    if let (Some(listener), Some(public_url)) = (lnurl, &public_url) {
        let claims = wiring::claims(settings, &parts, public_url.clone(), claimed.clone());
        let serving = sidecar::serve(
            listener,
            claims,
            public_url.path().to_owned(),
            runtime.clone(),
            Arc::clone(&parts.metrics),
            settings.lnurl.options,
            servers.stop.clone(),
        );
        servers.start(runtime, Box::pin(serving));
    }
    if let (Some(listener), Some(public_url)) = (grpc, public_url) {
        let services = wiring::services(settings, &parts, &workers, public_url)
            .ok_or(StartError::NoKeyring)?;
        let (clock, metrics) = (runtime.clone(), Arc::clone(&parts.metrics));
        let options = settings.grpc.options;
        let serving =
            grpc::serve(listener, services, clock, metrics, options, on_main, servers.stop.clone());
        servers.start(runtime, Box::pin(serving));
    }
    let all = jobs::of_process(settings, &parts, &workers, &claimed, &health);
    let jobs = jobs::Running::start(all, runtime);
    health.started().await;
    Ok(Running { listening, parts, workers, health, servers, jobs, admin })
}

/// Verifies the database and stores a first heartbeat, so that the first wallet is not refused. A silent node
/// delays the start by at most [`FIRST_ANSWER`].
async fn first_run(parts: &Parts, workers: &Workers) {
    let first = async {
        workers.verifier.run_once().await?;
        match &workers.paying {
            Some(paying) => paying.heartbeats.beat().await,
            None => Ok::<_, LookupError>(()),
        }
    };
    if let Some(Err(error)) = parts.runtime.within(FIRST_ANSWER, first).await {
        tracing::warn!(error = %chain(&error), "the node has not answered yet");
    }
}

impl Running {
    /// The payer of this process, if it pays.
    pub fn payer(&self) -> Option<&Arc<Payer>> {
        self.workers.paying.as_ref().map(|paying| &paying.payer)
    }

    /// The job that writes the node's heartbeats, if this process pays.
    pub fn heartbeats(&self) -> Option<&Arc<Heartbeats>> {
        self.workers.paying.as_ref().map(|paying| &paying.heartbeats)
    }

    /// The job with this name, if its roles run it.
    pub fn job(&self, name: &str) -> Option<&Arc<dyn Job>> {
        self.jobs.named(name)
    }

    /// The verifier of its database.
    pub const fn verifier(&self) -> &Arc<DatabaseVerifier> {
        &self.workers.verifier
    }

    /// Resolves if a job ended although nobody stopped it: the process should be restarted.
    pub async fn broken(&self) {
        self.jobs.broken().await;
    }

    /// Shuts down in this order: reports to probes that the process is stopping; serves on for `wait`, until
    /// load balancers have noticed; stops accepting and drains requests, for at most half of `drain`; stops
    /// the jobs and the payer, for at most the other half; awaits `flush`; closes the store. Payments in
    /// flight are stored, and the next start follows them.
    pub async fn stop(self, wait: Millis, drain: Millis, flush: impl Future<Output = ()>) {
        let clock = &self.parts.runtime.clock;
        self.health.stopping().await;
        if wait > Millis::ZERO {
            clock.sleep(wait).await;
        }
        self.health.end_main_watches().await;
        let half = Millis::from_ms(drain.as_ms() / 2);
        tokio::select! {
            biased;
            () = self.servers.end() => {}
            () = clock.sleep(half) => tracing::warn!("stopping with calls under way"),
        }
        // The payer has started on the claims that were accepted until now; the others are stored.
        self.jobs.stop();
        let payer = self.payer();
        if let Some(payer) = payer {
            payer.halt();
        }
        let finished = async {
            self.jobs.ended().await;
            if let Some(payer) = payer {
                payer.ended().await;
            }
        };
        tokio::select! {
            biased;
            () = finished => {}
            () = clock.sleep(half) => tracing::warn!("stopping with payments under way"),
        }
        flush.await;
        if self.parts.runtime.within(CLOSE, self.parts.store.close()).await.is_none() {
            tracing::warn!("stopping with statements under way");
        }
        self.health.end_admin_watches().await;
        self.admin.end().await;
    }
}
