//! The parts that the settings name: the store, the node and the keys.

use std::{path::Path, sync::Arc};

use super::{StartError, keys};
use crate::{
    config::{Backend, LndSettings, NodeSettings, Settings, StoreSettings},
    domain::Keyring,
    metrics::Metrics,
    node::{ObservedNode, lnd::LndNode, simulated::SimulatedNode},
    ports::{LightningNode, Store},
    runtime::Runtime,
    store::{PostgresStore, SqliteStore},
};

/// What a process is made of. Tests supply their own.
#[derive(Clone)]
pub struct Parts {
    /// Its database.
    pub store: Arc<dyn Store>,
    /// The node that pays. None in a process that does not pay.
    pub node: Option<Arc<dyn LightningNode>>,
    /// The keys that LNURLs derive from. None in a process that makes no LNURLs.
    pub keyring: Option<Keyring>,
    /// Time, randomness, tasks.
    pub runtime: Runtime,
    /// Its counters.
    pub metrics: Arc<Metrics>,
}

/// Opens what the settings name: a node and keys only if a role needs them.
pub async fn open(settings: &Settings, runtime: Runtime) -> Result<Parts, StartError> {
    make_dir(&settings.data_dir)?;
    let store = open_store(settings.store.clone(), &runtime).await?;
    let keyring = match &settings.keys {
        Some(keys) => Some(keys::keyring(keys, &*store, &runtime).await?),
        None => None,
    };
    let node = settings.node.as_ref().map(|node| open_node(node, settings, &runtime));
    Ok(Parts { store, node: node.transpose()?, keyring, runtime, metrics: Arc::default() })
}

/// Migrates the schema, and does nothing else.
pub async fn migrate(store: StoreSettings, runtime: Runtime) -> Result<(), StartError> {
    if let StoreSettings::Sqlite(options) = &store {
        make_dir(&options.data_dir)?;
    }
    open_store(store.migrating(true), &runtime).await?.close().await;
    Ok(())
}

async fn open_store(
    settings: StoreSettings,
    runtime: &Runtime,
) -> Result<Arc<dyn Store>, StartError> {
    Ok(match settings {
        StoreSettings::Postgres(options) => Arc::new(PostgresStore::open(*options).await?),
        StoreSettings::Sqlite(options) => {
            Arc::new(SqliteStore::open(&options, Arc::clone(&runtime.clock)).await?)
        }
    })
}

/// Connects to nothing: an unreachable node does not keep the service from starting.
fn open_node(
    node: &NodeSettings,
    settings: &Settings,
    runtime: &Runtime,
) -> Result<Arc<dyn LightningNode>, StartError> {
    let node: Arc<dyn LightningNode> = match &node.backend {
        Backend::Simulated => Arc::new(open_simulated(&settings.data_dir, runtime)?),
        Backend::Lnd(lnd) => {
            let LndSettings { options, files } = &**lnd;
            Arc::new(LndNode::new(options, Some(files.clone()))?)
        }
    };
    Ok(Arc::new(ObservedNode::new(node)))
}

fn open_simulated(data_dir: &Path, runtime: &Runtime) -> Result<SimulatedNode, StartError> {
    SimulatedNode::open(data_dir, Arc::clone(&runtime.clock)).map_err(|source| StartError::File {
        doing: "open the simulated node's ledger",
        path: data_dir.to_owned(),
        source,
    })
}

/// Makes a directory that only this user can read.
fn make_dir(path: &Path) -> Result<(), StartError> {
    use std::os::unix::fs::DirBuilderExt;

    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StartError::File {
        doing: "make the data directory",
        path: path.to_owned(),
        source,
    })
}
