//! `withdrawd serve` and `withdrawd migrate`.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{Hidden, start::Start};
use crate::{
    app::{self, Listening, StartError},
    config::{BadOption, Config, Override},
    runtime::Runtime,
    telemetry,
};

/// How long a stop waits for a collector of traces that does not answer.
const FLUSH: Duration = Duration::from_secs(3);

/// Flags win over the environment, which wins over the file.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// A TOML file; withdrawd.example.toml shows every option.
    #[arg(long, env = "WITHDRAWD_CONFIG")]
    config: Option<PathBuf>,
    /// Where SQLite, the master key and listen.json live.
    #[arg(long)]
    data_dir: Option<String>,
    /// <postgres://user@host/database> instead of SQLite.
    #[arg(long)]
    database_url: Option<Hidden>,
    /// Where gRPC listens, HOST:PORT; port 0 takes a free one.
    #[arg(long)]
    grpc_listen: Option<String>,
    /// Where the LNURL side listens, HOST:PORT; port 0 takes a free one.
    #[arg(long)]
    lnurl_listen: Option<String>,
    /// Where probes and Prometheus ask, HOST:PORT; port 0 takes a free one.
    #[arg(long)]
    admin_listen: Option<String>,
    /// Where wallets reach the LNURL side.
    #[arg(long)]
    public_url: Option<String>,
    /// bitcoin (mainnet is taken for it), testnet, signet or regtest.
    #[arg(long)]
    network: Option<String>,
    /// simulated or lnd.
    #[arg(long)]
    node: Option<String>,
    /// https://HOST:PORT of lnd's gRPC.
    #[arg(long)]
    lnd_endpoint: Option<String>,
    /// lnd's tls.cert.
    #[arg(long)]
    lnd_tls_cert: Option<String>,
    /// A macaroon file; withdrawd.example.toml names its permissions.
    #[arg(long)]
    lnd_macaroon: Option<String>,
}

impl ServeArgs {
    fn load(self) -> anyhow::Result<Config> {
        let flags = [
            ("data_dir", self.data_dir),
            ("store.database_url", self.database_url.map(|url| url.0)),
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
    let config = args.load()?;
    run(&config).await.map_err(|error| placed(&config, error))
}

async fn run(config: &Config) -> anyhow::Result<()> {
    let telemetry = telemetry::init(&config.log)?;
    // Before anything is opened: a signal during the start is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (wait, drain) = config.shutdown()?;
    let start = Start::of(config)?;
    let parts = app::open(config, Runtime::system()).await?;
    let simulated = parts.node.traits().simulated;
    let running = app::start(config, parts).await?;
    start.log();
    banner(config, &start, &running.listening, simulated);

    let mut broken = false;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = running.broken() => broken = true,
    }
    tracing::info!("stopping");
    let again = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::select! {
        () = running.stop(wait, drain, telemetry.flush(FLUSH)) => tracing::info!("stopped"),
        () = again => tracing::warn!("stopping at once"),
    }
    anyhow::ensure!(!broken, "a part of the service ended by itself; the log says why");
    Ok(())
}

/// Brings the schema up to date.
pub async fn migrate(args: ServeArgs) -> anyhow::Result<()> {
    let config = args.load()?;
    let migrated = app::migrate(&config, Runtime::system()).await;
    migrated.map_err(|error| placed(&config, error.into()))?;
    say!("the schema is up to date");
    Ok(())
}

/// A mistake in the configuration, told with the place where the option was set.
fn placed(config: &Config, error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<StartError>() {
        Ok(StartError::Option(wrong)) => config.placed(wrong).into(),
        Ok(other) => other.into(),
        Err(error) => match error.downcast::<BadOption>() {
            Ok(wrong) => config.placed(wrong).into(),
            Err(error) => error,
        },
    }
}

fn banner(config: &Config, start: &Start, listening: &Listening, simulated: bool) {
    let Listening { grpc, lnurl, admin, public_url } = listening;
    let network = start.network;
    say!("withdrawd {} on {network}", env!("CARGO_PKG_VERSION"));
    if simulated {
        say!("  money   SIMULATED: no real payment is ever made (--node lnd for a real node)");
    } else {
        say!("  money   REAL on {network}: paid by {}", config.node.backend);
    }
    say!("  store   {}", start.store);
    say!("  limits  {}", start.limits);
    say!("  config  {}", start.config);
    say!("  gRPC    {grpc}");
    say!("  LNURL   {lnurl}, public as {public_url}");
    say!("  admin   {admin}");
    let server =
        if grpc.port() == 50051 { String::new() } else { format!(" --server http://{grpc}") };
    let program = std::env::args().next().unwrap_or_else(|| "withdrawd".to_owned());
    say!("  next    {program} create --max-amount 1000{server}");
}
