//! One simulated process: the real services over gated ports. They are put together here, and only
//! here, as `app` does it.

use std::sync::{Arc, LazyLock, Mutex};

use withdrawd::{
    background::Expiry,
    config::Config,
    domain::{Keyring, MasterKey, PublicUrl},
    ports::{LightningNode, Store},
    service::{ClaimService, NodeTrust, Payer, Waker, WithdrawService},
};

use super::{
    clock,
    database::Database,
    mutation::Mutation,
    node_port::GatedNode,
    store::{Deferred, GatedStore},
    world::World,
};

static CONFIG: LazyLock<Config> = LazyLock::new(|| Config::defaults(&[]).unwrap());

/// The use cases and passes of one life of a process.
pub struct Replica {
    pub withdraws: WithdrawService,
    pub claims: ClaimService,
    pub payer: Arc<Payer>,
    pub expiry: Arc<Expiry>,
}

impl Replica {
    pub fn start(
        world: &Arc<World>,
        database: &Arc<Database>,
        mutation: Option<Mutation>,
        replica: usize,
    ) -> Self {
        let runtime = clock::runtime(world, replica);
        let deferred =
            Deferred { database: Arc::clone(database), late: Arc::new(Mutex::default()) };
        let store: Arc<dyn Store> = Arc::new(GatedStore {
            world: Arc::clone(world),
            database: Arc::clone(database),
            mutation,
            deferred: deferred.clone(),
        });
        let node: Arc<dyn LightningNode> =
            Arc::new(GatedNode { world: Arc::clone(world), mutation, deferred });
        let url = PublicUrl::parse("http://127.0.0.1:8080").unwrap();
        let keyring = Keyring::new(MasterKey::from_bytes([7; 32]), []);
        let clock = Arc::clone(&runtime.clock);
        let trust = NodeTrust::new(Arc::clone(&store), Arc::clone(&node), clock, None);
        let options = Mutation::options(mutation, CONFIG.payer_options().unwrap());
        let payer = Payer::new(Arc::clone(&store), node, runtime.clone(), trust, options);
        let reach = CONFIG.schedule().unwrap().reach;
        Self {
            withdraws: WithdrawService::new(
                Arc::clone(&store),
                keyring,
                url.clone(),
                runtime.clone(),
            ),
            claims: ClaimService::new(
                Arc::clone(&store),
                CONFIG.claim_rules().unwrap(),
                url,
                runtime.clone(),
                Waker::default(),
            ),
            payer: Arc::new(payer),
            expiry: Arc::new(Expiry::new(store, runtime, reach)),
        }
    }
}
