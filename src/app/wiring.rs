//! Builds use cases and workers from the parts and the settings, by the roles of the process.

use std::sync::Arc;

use super::Parts;
use crate::{
    config::Settings,
    domain::PublicUrl,
    grpc::Services,
    integrity::DatabaseVerifier,
    jobs::Heartbeats,
    lookup::NodeAccess,
    metrics::{MetricsEndpoint, Setup},
    payer::Payer,
    ports::Recorder,
    service::{
        ClaimService, CommitDelays, InstanceService, Notifier, PaymentService, ReconcileService,
        RestoreService, WithdrawService,
    },
};

/// The workers, which run in addition to the use cases.
pub struct Workers {
    /// Verifies that the database lost no commits.
    pub verifier: Arc<DatabaseVerifier>,
    /// None in a process without a node.
    pub paying: Option<Paying>,
}

/// The workers of a process that pays.
pub struct Paying {
    /// Access to the node.
    pub access: NodeAccess,
    /// Follows attempts.
    pub payer: Arc<Payer>,
    /// Stores the node's heartbeats.
    pub heartbeats: Arc<Heartbeats>,
}

fn recorder(parts: &Parts) -> Arc<dyn Recorder> {
    Arc::clone(&parts.metrics) as _
}

/// The workers of this process.
pub fn workers(settings: &Settings, parts: &Parts) -> Workers {
    let (store, runtime) = (|| Arc::clone(&parts.store), || parts.runtime.clone());
    let paying = parts.node.as_ref().map(|node| {
        let expected = settings.node.as_ref().and_then(|node| node.expected.clone());
        let lookup = settings.payer.lookup;
        let access = NodeAccess::new(&parts.store, node, &parts.runtime, expected, lookup);
        let payer = Payer::new(store(), access.clone(), runtime(), settings.payer, recorder(parts));
        let heartbeats = Heartbeats::new(store(), access.clone(), settings.heartbeat, runtime());
        Paying { access, payer: Arc::new(payer), heartbeats: Arc::new(heartbeats) }
    });
    let access = paying.as_ref().map(|paying| paying.access.clone());
    let verifier = DatabaseVerifier::new(store(), access, runtime(), settings.verifier);
    Workers { verifier: Arc::new(verifier), paying }
}

/// The metrics for Prometheus.
pub fn metrics_endpoint(settings: &Settings, parts: &Parts) -> MetricsEndpoint {
    let (store, runtime) = (Arc::clone(&parts.store), parts.runtime.clone());
    let setup = Setup {
        store: settings.store.kind(),
        node: parts.node.as_ref().map_or("none", |node| node.traits().backend),
        network: settings.network.name(),
        started: runtime.clock.now(),
        // Only a process that takes claims enforces the limit.
        rolling_24h: settings.claims.paying.rolling_24h.filter(|_| settings.roles.lnurl),
    };
    let instance = InstanceService::new(Arc::clone(&store), settings.claims, runtime.clone());
    MetricsEndpoint::new(Arc::clone(&parts.metrics), instance, store, runtime, setup)
}

/// The use cases of the public side.
pub fn claims(
    settings: &Settings,
    parts: &Parts,
    public_url: PublicUrl,
    claimed: Notifier,
) -> ClaimService {
    let (store, runtime) = (Arc::clone(&parts.store), parts.runtime.clone());
    ClaimService::new(store, settings.claims, public_url, runtime, claimed, recorder(parts))
}

/// The use cases of the gRPC server. None without a keyring.
pub fn services(
    settings: &Settings,
    parts: &Parts,
    workers: &Workers,
    public_url: PublicUrl,
) -> Option<Services> {
    let (store, runtime) = (|| Arc::clone(&parts.store), || parts.runtime.clone());
    let node = || workers.paying.as_ref().map(|paying| paying.access.clone());
    let rules = settings.claims;
    let most = rules.paying.max_amount;
    let keyring = parts.keyring.clone()?;
    let delays = CommitDelays {
        commit_delay: settings.verifier.commit_delay,
        clock_skew: rules.paying.clock_skew,
    };
    Some(Services {
        withdraws: WithdrawService::new(store(), keyring, public_url, most, runtime()),
        payments: PaymentService::new(store(), node(), runtime(), recorder(parts)),
        instance: InstanceService::new(store(), rules, runtime()),
        reconcile: ReconcileService::new(store(), node(), runtime()),
        restore: RestoreService::new(store(), node(), delays, runtime()),
    })
}
