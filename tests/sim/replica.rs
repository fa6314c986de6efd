//! One simulated process: the real services over gated ports. They are put together here, and only
//! here, as `app` does it.

use std::sync::{Arc, LazyLock, Mutex};

use withdrawd::{
    config::{Config, Settings},
    domain::{Keyring, MasterKey, PublicUrl},
    integrity::DatabaseVerifier,
    jobs::{Expiry, Heartbeats},
    lookup::NodeAccess,
    payer::Payer,
    ports::{LightningNode, NoRecorder, Store},
    service::{ClaimService, Notifier, WithdrawService},
};

use super::{
    clock,
    database::Database,
    mutation::Mutation,
    node_port::GatedNode,
    store::{Deferred, GatedStore},
    world::World,
};

/// The defaults, but that a node is not down so soon: time passes in leaps here.
static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    let stale = ("node.heartbeat_stale_ms", "100000000".to_owned());
    Config::defaults(&[stale]).unwrap().check().unwrap()
});

/// How long a verifier waits for another process.
pub fn patience_ms() -> i64 {
    SETTINGS.verifier.patience.as_ms()
}

/// The use cases and jobs of a process.
pub struct Replica {
    pub withdraws: WithdrawService,
    pub claims: ClaimService,
    pub payer: Arc<Payer>,
    pub expiry: Arc<Expiry>,
    pub heartbeats: Arc<Heartbeats>,
    pub verifier: Arc<DatabaseVerifier>,
    /// For what operators do.
    pub store: Arc<dyn Store>,
}

impl Replica {
    pub fn start(
        world: &Arc<World>,
        database: &Arc<Database>,
        mutation: Option<Mutation>,
        replica: usize,
    ) -> Self {
        let runtime = clock::runtime(world, replica);
        let incarnation = world.lock().start_process(replica);
        let deferred =
            Deferred { database: Arc::clone(database), late: Arc::new(Mutex::default()) };
        let store: Arc<dyn Store> = Arc::new(GatedStore {
            world: Arc::clone(world),
            database: Arc::clone(database),
            mutation,
            deferred: deferred.clone(),
            store: database.process(),
            forgetful: database.process(),
            incarnation,
        });
        let node: Arc<dyn LightningNode> =
            Arc::new(GatedNode { world: Arc::clone(world), mutation, deferred });
        let url = PublicUrl::parse("http://127.0.0.1:8080").unwrap();
        let keyring = Keyring::new(MasterKey::from_bytes([7; 32]), []);
        let options = Mutation::options(mutation, SETTINGS.payer);
        let rules = SETTINGS.claims;
        let (stores, runtimes) = (|| Arc::clone(&store), || runtime.clone());
        let recorder = || Arc::new(NoRecorder);
        let access = NodeAccess::new(&store, &node, &runtime, None, options.lookup);
        let payer = Payer::new(stores(), access.clone(), runtimes(), options, recorder());
        let heartbeats = Heartbeats::new(stores(), access.clone(), SETTINGS.heartbeat, runtimes());
        let verifier = DatabaseVerifier::new(stores(), Some(access), runtimes(), SETTINGS.verifier);
        let most = rules.paying.max_amount;
        Self {
            withdraws: WithdrawService::new(stores(), keyring, url.clone(), most, runtimes()),
            claims: ClaimService::new(
                stores(),
                rules,
                url,
                runtimes(),
                Notifier::default(),
                recorder(),
            ),
            payer: Arc::new(payer),
            expiry: Arc::new(Expiry::new(stores(), runtimes(), SETTINGS.expiry)),
            heartbeats: Arc::new(heartbeats),
            verifier: Arc::new(verifier),
            store,
        }
    }
}
