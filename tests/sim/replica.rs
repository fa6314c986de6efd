//! One simulated process: the real services over gated ports. They are put together here, and only
//! here, as `app` does it.

use std::sync::{Arc, LazyLock, Mutex};

use withdrawd::{
    background::{Expiry, Heartbeats},
    config::Config,
    domain::{Keyring, MasterKey, PublicUrl},
    ports::{LightningNode, NoMeter, Store},
    service::{ClaimService, Guard, NodeTrust, Payer, Waker, WithdrawService},
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
static CONFIG: LazyLock<Config> = LazyLock::new(|| {
    Config::defaults(&[("node.heartbeat_stale_ms", "100000000".to_owned())]).unwrap()
});

/// How long a guard waits for another process.
pub fn patience_ms() -> i64 {
    CONFIG.guard_options().unwrap().patience.as_ms()
}

/// The use cases and passes of one life of a process.
pub struct Replica {
    pub withdraws: WithdrawService,
    pub claims: ClaimService,
    pub payer: Arc<Payer>,
    pub expiry: Arc<Expiry>,
    pub heartbeats: Arc<Heartbeats>,
    pub guard: Arc<Guard>,
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
        let life = world.lock().be_born(replica);
        let deferred =
            Deferred { database: Arc::clone(database), late: Arc::new(Mutex::default()) };
        let store: Arc<dyn Store> = Arc::new(GatedStore {
            world: Arc::clone(world),
            database: Arc::clone(database),
            mutation,
            deferred: deferred.clone(),
            store: database.process(),
            forgetful: database.process(),
            life,
        });
        let node: Arc<dyn LightningNode> =
            Arc::new(GatedNode { world: Arc::clone(world), mutation, deferred });
        let url = PublicUrl::parse("http://127.0.0.1:8080").unwrap();
        let keyring = Keyring::new(MasterKey::from_bytes([7; 32]), []);
        let clock = Arc::clone(&runtime.clock);
        let trust = NodeTrust::new(Arc::clone(&store), Arc::clone(&node), clock, None);
        let trust = Arc::new(trust);
        let options = Mutation::options(mutation, CONFIG.payer_options().unwrap());
        let rules = CONFIG.claim_rules().unwrap();
        let (stores, nodes) = (|| Arc::clone(&store), || Arc::clone(&node));
        let (trusts, runtimes) = (|| Arc::clone(&trust), || runtime.clone());
        let meter = || Arc::new(NoMeter);
        let payer = Payer::new(stores(), nodes(), runtimes(), trusts(), options, meter());
        let limits = (rules.paying, rules.fees);
        let witness = (trusts(), payer.write_witness());
        let overdue = options.answer_overdue;
        let heartbeats = Heartbeats::new(stores(), nodes(), witness, limits, overdue, runtimes());
        let guard_options = CONFIG.guard_options().unwrap();
        let guard = Guard::new(stores(), nodes(), trusts(), runtimes(), guard_options);
        let reach = CONFIG.schedule().unwrap().reach;
        let most = rules.paying.max_amount;
        Self {
            withdraws: WithdrawService::new(stores(), keyring, url.clone(), most, runtimes()),
            claims: ClaimService::new(stores(), rules, url, runtimes(), Waker::default(), meter()),
            payer: Arc::new(payer),
            expiry: Arc::new(Expiry::new(stores(), runtimes(), reach)),
            heartbeats: Arc::new(heartbeats),
            guard: Arc::new(guard),
            store,
        }
    }
}
