//! The parts that the configuration names: which store, which node, which keys.

use std::{path::Path, sync::Arc};

use super::{StartError, keys};
use crate::{
    config::{BadOption, Config},
    domain::{Keyring, Network},
    metrics::Metrics,
    node::{
        ObservedNode,
        lnd::{CredentialFiles, LndNode, Macaroon},
        simulated::SimulatedNode,
    },
    ports::{LightningNode, Store},
    runtime::Runtime,
    store::{PostgresStore, SqliteStore},
};

/// What the service is made of. Tests put their own in.
#[derive(Clone)]
pub struct Parts {
    /// What it remembers.
    pub store: Arc<dyn Store>,
    /// Who pays.
    pub node: Arc<dyn LightningNode>,
    /// What LNURLs derive from.
    pub keyring: Keyring,
    /// Time, randomness, tasks.
    pub runtime: Runtime,
    /// What it counts.
    pub metrics: Arc<Metrics>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// Opens what the configuration names.
pub async fn open(config: &Config, runtime: Runtime) -> Result<Parts, StartError> {
    make_dir(&config.data_dir)?;
    let store = store(config, &runtime, config.store.migrate).await?;
    let keyring = keys::keyring(config, &*store, &runtime).await?;
    let node = node(config, &runtime)?;
    Ok(Parts { store, node, keyring, runtime, metrics: Arc::default() })
}

/// Brings the schema up to date, and nothing else.
pub async fn migrate(config: &Config, runtime: Runtime) -> Result<(), StartError> {
    if config.postgres(true)?.is_none() {
        make_dir(&config.data_dir)?;
    }
    store(config, &runtime, true).await?.close().await;
    Ok(())
}

async fn store(
    config: &Config,
    runtime: &Runtime,
    migrate: bool,
) -> Result<Arc<dyn Store>, StartError> {
    if let Some(options) = config.postgres(migrate)? {
        return Ok(Arc::new(PostgresStore::open(options).await?));
    }
    let clock = Arc::clone(&runtime.clock);
    Ok(Arc::new(SqliteStore::open(&config.sqlite(migrate), clock).await?))
}

fn node(config: &Config, runtime: &Runtime) -> Result<Arc<dyn LightningNode>, StartError> {
    let node = match config.node.backend.as_str() {
        "simulated" => simulated(config, runtime),
        "lnd" => lnd(config),
        _ => Err(BadOption::new("node.backend", "must be simulated or lnd").into()),
    };
    Ok(Arc::new(ObservedNode::new(node?)))
}

/// The key of one of the backend's options in the example file.
fn lnd_option(field: &'static str) -> &'static str {
    match field {
        "endpoint" => "lnd.endpoint",
        "tls_cert_pem" => "lnd.tls_cert",
        "payment_timeout" => "lnd.payment_timeout_s",
        "connect_timeout" => "lnd.connect_timeout_ms",
        "call_timeout" | "info_timeout" => "lnd.call_timeout_ms",
        "max_parts" => "lnd.max_parts",
        "cltv_limit" => "payments.cltv_limit",
        other => other,
    }
}

fn simulated(config: &Config, runtime: &Runtime) -> Result<Arc<dyn LightningNode>, StartError> {
    if config.network()? != Network::Regtest {
        let rule = "simulated moves no money and runs on regtest only; choose lnd";
        return Err(BadOption::new("node.backend", rule).into());
    }
    let node = SimulatedNode::open(&config.data_dir, Arc::clone(&runtime.clock));
    let node = node.map_err(|source| StartError::File {
        doing: "open the simulated node's ledger",
        path: config.data_dir.clone(),
        source,
    })?;
    Ok(Arc::new(node))
}

/// An unreachable node does not stop the service from starting: nothing is opened here.
fn lnd(config: &Config) -> Result<Arc<dyn LightningNode>, StartError> {
    let read = |option, path: &Path| {
        let file = std::fs::read(path);
        file.map_err(|error| BadOption::new(option, format!("{}: {error}", path.display())))
    };
    let options = &config.lnd;
    if options.macaroon.as_os_str().is_empty() {
        return Err(BadOption::new("lnd.macaroon (--lnd-macaroon)", "is required with lnd").into());
    }
    let macaroon = Macaroon::parse(&read("lnd.macaroon", &options.macaroon)?)
        .map_err(|fault| BadOption::new("lnd.macaroon", fault))?;
    let tls_cert_pem = match options.tls_cert.as_os_str() {
        path if path.is_empty() => None,
        _ => Some(read("lnd.tls_cert", &options.tls_cert)?),
    };
    let files = CredentialFiles {
        macaroon: options.macaroon.clone(),
        tls_cert: tls_cert_pem.is_some().then(|| options.tls_cert.clone()),
    };
    let node = LndNode::new(&config.lnd_options(macaroon, tls_cert_pem)?, Some(files))
        .map_err(|wrong| BadOption::new(lnd_option(wrong.option), wrong.fault))?;
    Ok(Arc::new(node))
}

/// Nobody else reads what is in it.
fn make_dir(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;

    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StartError::File {
        doing: "make the data directory",
        path: path.to_owned(),
        source,
    })
}
