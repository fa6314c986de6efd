//! The running service: everything in one process, from the first bind to the last flush.

use std::{net::SocketAddr, sync::Arc};

use serde::Serialize;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Parts, StartError,
    passes::{self, Alarm},
    wiring,
};
use crate::{
    admin,
    background::Heartbeats,
    config::Config,
    domain::Millis,
    grpc::{self, Services},
    health::{Health, HealthRpc, HealthServer},
    report::chain,
    runtime::{Runtime, Task},
    service::{Guard, Payer, Waker},
    sidecar,
};

/// Connections that wait to be accepted: the system resets those that do not fit, and the usual 128
/// are fewer than the wallets that scan one code at the same moment.
const BACKLOG: u32 = 4096;
/// How long serving waits for the node's first heartbeat.
const FIRST_HEARTBEAT: Millis = Millis::from_secs(3);

/// How long a stop waits for the store's connections: one that a statement holds comes back when the
/// statement ends, and what it writes is written whole or not at all without us.
const CLOSE: Millis = Millis::from_secs(2);

/// Where the service listens; also the content of `listen.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Listening {
    /// gRPC.
    pub grpc: SocketAddr,
    /// The public side.
    pub lnurl: SocketAddr,
    /// Probes and Prometheus.
    pub admin: SocketAddr,
    /// What LNURLs carry.
    pub public_url: String,
}

/// A running service.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub listening: Listening,
    parts: Parts,
    payer: Arc<Payer>,
    heartbeats: Arc<Heartbeats>,
    guard: Arc<Guard>,
    health: Health,
    closing: CancellationToken,
    halting: CancellationToken,
    broken: CancellationToken,
    servers: TaskTracker,
    passes: TaskTracker,
    admin: Admin,
}

/// The admin listener: it tells of all the others, and ends after them.
#[derive(Debug)]
struct Admin {
    stop: CancellationToken,
    task: TaskTracker,
}

impl Admin {
    fn start(listener: TcpListener, routes: admin::Routes, runtime: &Runtime) -> Self {
        let (stop, task) = (CancellationToken::new(), TaskTracker::new());
        let serving = admin::serve(listener, routes, runtime.clone(), stop.clone());
        runtime.spawner.spawn(Box::pin(task.track_future(serving)));
        task.close();
        Self { stop, task }
    }

    async fn end(&self) {
        self.stop.cancel();
        self.task.wait().await;
    }
}

/// Binds, wires and starts everything. It serves when this returns.
pub async fn start(config: &Config, parts: Parts) -> Result<Running, StartError> {
    let at = [config.grpc_listen()?, config.lnurl_listen()?, config.admin_listen()?];
    let grpc = bind("grpc.listen (--grpc-listen)", at[0])?;
    let lnurl = bind("lnurl.listen (--lnurl-listen)", at[1])?;
    let admin = bind("admin.listen (--admin-listen)", at[2])?;
    let address = |listener: &TcpListener, fallback| listener.local_addr().unwrap_or(fallback);
    let lnurl_address = address(&lnurl, at[1]);
    let public_url = config.public_url(lnurl_address)?;
    let listening = Listening {
        grpc: address(&grpc, at[0]),
        lnurl: lnurl_address,
        admin: address(&admin, at[2]),
        public_url: public_url.to_string(),
    };
    write_listening(config, &listening)?;
    let (health, [on_main, on_admin]) = Health::new().await;
    // Before the node is asked, which may take seconds: probes are answered meanwhile.
    let exposition = wiring::exposition(config, &parts)?;
    let routes = admin::Routes::new(health.clone(), on_admin, exposition);
    let admin = Admin::start(admin, routes, &parts.runtime);

    let waker = Waker::default();
    let trust = Arc::new(wiring::trust(config, &parts)?);
    let payer = Arc::new(wiring::payer(config, &parts, &trust)?);
    let heartbeats = Arc::new(wiring::heartbeats(config, &parts, &trust, &payer)?);
    let guard = Arc::new(wiring::guard(config, &parts, &trust)?);
    look_once(&parts, &guard, &heartbeats).await;
    let (closing, halting) = (CancellationToken::new(), CancellationToken::new());
    let broken = CancellationToken::new();
    let (servers, passes) = (TaskTracker::new(), TaskTracker::new());
    let spawner = &parts.runtime.spawner;

    let sidecar = sidecar::serve(
        lnurl,
        wiring::claims(config, &parts, &public_url, &waker)?,
        public_url.path().to_owned(),
        (parts.runtime.clone(), Arc::clone(&parts.metrics)),
        config.sidecar_options()?,
        closing.clone(),
    );
    spawner.spawn(Box::pin(servers.track_future(sidecar)));
    let services = wiring::services(config, &parts, public_url, &payer, &trust)?;
    let task = serve_grpc(config, &parts, grpc, services, on_main, closing.clone())?;
    spawner.spawn(Box::pin(servers.track_future(task)));
    let passes_of = (Arc::clone(&payer), Arc::clone(&heartbeats), Arc::clone(&guard));
    for pass in passes::all(config, &parts, passes_of, &waker, &health, &halting)? {
        let alarm = Alarm { halting: halting.clone(), broken: broken.clone() };
        spawner.spawn(Box::pin(passes.track_future(async move {
            let _alarm = alarm;
            pass.await;
        })));
    }
    servers.close();
    passes.close();
    health.started().await;
    Ok(Running {
        listening,
        parts,
        payer,
        heartbeats,
        guard,
        health,
        closing,
        halting,
        broken,
        servers,
        passes,
        admin,
    })
}

/// So that the first wallet is not turned away. A node that is silent keeps nobody waiting.
async fn look_once(parts: &Parts, guard: &Guard, heartbeats: &Heartbeats) {
    let first = async {
        guard.run_once().await?;
        heartbeats.run_once().await
    };
    if let Some(Err(error)) = parts.runtime.within(FIRST_HEARTBEAT, first).await {
        tracing::warn!(error = %chain(&error), "the node has not been heard of yet");
    }
}

fn bind(option: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart must not wait for the connections of the life before.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|source| StartError::Listen { option, address, source })
}

/// For whoever starts it with port 0: written whole or not at all.
fn write_listening(config: &Config, listening: &Listening) -> Result<(), StartError> {
    let path = config.data_dir.join("listen.json");
    let temporary = config.data_dir.join("listen.json.new");
    let text = serde_json::to_string(listening).map_err(std::io::Error::from);
    let written = text
        .and_then(|text| std::fs::write(&temporary, text))
        .and_then(|()| std::fs::rename(&temporary, &path));
    written.map_err(|source| StartError::File { doing: "write the addresses", path, source })
}

/// The gRPC server's task.
fn serve_grpc(
    config: &Config,
    parts: &Parts,
    listener: TcpListener,
    services: Services,
    health: HealthServer<impl HealthRpc>,
    stop: CancellationToken,
) -> Result<Task, StartError> {
    let (runtime, metrics) = (parts.runtime.clone(), Arc::clone(&parts.metrics));
    let options = config.grpc_options()?;
    Ok(Box::pin(async move {
        let around = (runtime, metrics);
        let served = grpc::serve(listener, services, around, options, health, stop).await;
        if let Err(error) = served {
            tracing::error!(error = %chain(&error), "the gRPC server ended");
        }
    }))
}

impl Running {
    /// The payer of this process.
    pub const fn payer(&self) -> &Arc<Payer> {
        &self.payer
    }

    /// Its heartbeat pass.
    pub const fn heartbeats(&self) -> &Arc<Heartbeats> {
        &self.heartbeats
    }

    /// Its guard.
    pub const fn guard(&self) -> &Arc<Guard> {
        &self.guard
    }

    /// Resolves if a part of the service ended that must not: the process is better started anew.
    pub async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Tells probes, waits for load balancers, stops accepting, drains within a limit, lets the
    /// payer come to a stop between two effects, waits for `flush`, and closes the store within a limit.
    /// What is still on its way is stored, and the next start follows it.
    pub async fn stop(self, wait: Millis, drain: Millis, flush: impl Future<Output = ()>) {
        let clock = &self.parts.runtime.clock;
        self.health.stopping().await;
        if wait > Millis::ZERO {
            clock.sleep(wait).await;
        }
        self.health.end_main_watches().await;
        self.closing.cancel();
        let half = Millis::from_ms(drain.as_ms() / 2);
        tokio::select! {
            biased;
            () = self.servers.wait() => {}
            () = clock.sleep(half) => tracing::warn!("stopping with calls under way"),
        }
        // What was accepted until now was begun to be paid; the rest is stored.
        self.halting.cancel();
        self.payer.halt();
        let finished = async {
            self.passes.wait().await;
            self.payer.ended().await;
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
