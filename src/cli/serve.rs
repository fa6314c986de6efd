//! `withdrawd serve` and `withdrawd migrate`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use secrecy::{ExposeSecret, SecretString};

use super::start::Start;
use crate::{
    app::{self, Listening},
    config::{Config, Override},
    runtime::Runtime,
    telemetry,
};

/// How long a stop waits for a collector of traces that does not answer.
const FLUSH: Duration = Duration::from_secs(3);

/// Flags win over the environment, which wins over the file.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration file (TOML); withdrawd.example.toml lists every option.
    #[arg(long, env = "WITHDRAWD_CONFIG")]
    config: Option<PathBuf>,
    /// What this process does: all, or some of grpc, lnurl and payer, separated by commas.
    #[arg(long)]
    roles: Option<String>,
    /// The directory of SQLite, the master key and listen.json.
    #[arg(long)]
    data_dir: Option<String>,
    /// <postgres://user@host/database> instead of SQLite.
    #[arg(long)]
    database_url: Option<SecretString>,
    /// The gRPC listener, HOST:PORT; port 0: any free port.
    #[arg(long)]
    grpc_listen: Option<String>,
    /// The listener of the LNURL endpoints, HOST:PORT; port 0: any free port.
    #[arg(long)]
    lnurl_listen: Option<String>,
    /// The admin listener (probes and Prometheus), HOST:PORT; port 0: any free port.
    #[arg(long)]
    admin_listen: Option<String>,
    /// The URL at which wallets reach the LNURL endpoints.
    #[arg(long)]
    public_url: Option<String>,
    /// bitcoin (or mainnet), testnet, signet or regtest.
    #[arg(long)]
    network: Option<String>,
    /// The Lightning node: simulated or lnd.
    #[arg(long)]
    node: Option<String>,
    /// lnd's gRPC address, https://HOST:PORT.
    #[arg(long)]
    lnd_endpoint: Option<String>,
    /// The path of lnd's tls.cert.
    #[arg(long)]
    lnd_tls_cert: Option<String>,
    /// The path of a macaroon; withdrawd.example.toml lists the permissions that it needs.
    #[arg(long)]
    lnd_macaroon: Option<String>,
}

impl ServeArgs {
    fn load(self) -> anyhow::Result<Config> {
        let flags = [
            ("roles", self.roles),
            ("data_dir", self.data_dir),
            ("store.database_url", self.database_url.map(|url| url.expose_secret().to_owned())),
            ("grpc.listen", self.grpc_listen),
            ("lnurl.listen", self.lnurl_listen),
            ("admin.listen", self.admin_listen),
            ("public_url", self.public_url),
            ("network", self.network),
            ("node.backend", self.node),
            ("lnd.endpoint", self.lnd_endpoint),
            ("lnd.tls_cert", self.lnd_tls_cert),
            ("lnd.macaroon", self.lnd_macaroon),
        ];
        let given = flags.into_iter().filter_map(|(key, value)| value.map(|value| (key, value)));
        let overrides: Vec<Override> = given.collect();
        Ok(Config::load(self.config.as_deref(), &overrides)?)
    }
}

/// Runs the service until SIGTERM or Ctrl-C.
pub async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let settings = args.load()?.check()?;
    let telemetry = telemetry::init(&settings.log)?;
    // Registered before anything is opened, so that a signal during the start is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let start = Start::of(&settings);
    let parts = app::open(&settings, Runtime::system()).await?;
    let simulated = parts.node.as_ref().map(|node| node.traits().simulated);
    let running = app::start(&settings, parts).await?;
    start.log();
    banner(&start, &running.listening, simulated);

    let mut broken = false;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = running.broken() => broken = true,
    }
    tracing::info!("stopping");
    let shutdown = settings.shutdown;
    let again = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::select! {
        () = running.stop(shutdown.wait, shutdown.drain, telemetry.flush(FLUSH)) => tracing::info!("stopped"),
        () = again => tracing::warn!("stopping at once"),
    }
    anyhow::ensure!(!broken, "a task of the service ended unexpectedly; the log says why");
    Ok(())
}

/// Brings the schema up to date.
pub async fn migrate(args: ServeArgs) -> anyhow::Result<()> {
    app::migrate(args.load()?.check_store()?, Runtime::system()).await?;
    say!("the schema is up to date");
    Ok(())
}

/// `simulated` is none where another process pays.
fn banner(start: &Start, listening: &Listening, simulated: Option<bool>) {
    let Listening { grpc, lnurl, admin, public_url } = listening;
    let network = start.network;
    say!("withdrawd {} on {network}", env!("CARGO_PKG_VERSION"));
    match simulated {
        Some(true) => {
            say!("  money   SIMULATED: no real payment is ever made (--node lnd for a real node)");
        }
        Some(false) => say!("  money   REAL on {network}: paid by lnd"),
        None => say!("  money   paid by another process, which has the role payer"),
    }
    if start.roles.is_partial() {
        say!("  roles   {}", start.roles);
    }
    say!("  store   {}", start.store);
    say!("  limits  {}", start.limits);
    say!("  config  {}", start.config);
    if let Some(grpc) = grpc {
        say!("  gRPC    {grpc}");
    }
    if let (Some(lnurl), Some(public_url)) = (lnurl, public_url) {
        say!("  LNURL   {lnurl}, public as {public_url}");
    }
    say!("  admin   {admin}");
    let Some(grpc) = grpc else { return };
    let server =
        if grpc.port() == 50051 { String::new() } else { format!(" --server http://{grpc}") };
    let program = std::env::args().next().unwrap_or_else(|| "withdrawd".to_owned());
    say!("  next    {program} create --max-amount 1000{server}");
}
