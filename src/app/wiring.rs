//! The use cases and passes, put together from the parts and the configuration.

use std::sync::Arc;

use super::{Parts, StartError};
use crate::{
    background::Heartbeats,
    config::Config,
    domain::PublicUrl,
    grpc::Services,
    metrics::{Exposition, Setup},
    ports::Meter,
    service::{
        ClaimService, Guard, NodeTrust, OperationsService, Payer, PaymentService, ReconcileService,
        RestoreService, Waker, WithdrawService,
    },
};

fn meter(parts: &Parts) -> Arc<dyn Meter> {
    Arc::clone(&parts.metrics) as _
}

/// What Prometheus is told.
pub fn exposition(config: &Config, parts: &Parts) -> Result<Exposition, StartError> {
    let (store, runtime) = (Arc::clone(&parts.store), parts.runtime.clone());
    let rules = config.claim_rules()?;
    let setup = Setup {
        store: if config.postgres(false)?.is_some() { "postgres" } else { "sqlite" },
        node: parts.node.traits().backend,
        network: rules.invoice.network.name(),
        started: runtime.clock.now(),
        rolling_24h: rules.paying.rolling_24h,
    };
    let operations = OperationsService::new(Arc::clone(&store), rules, runtime.clone());
    Ok(Exposition::new(Arc::clone(&parts.metrics), operations, store, runtime, setup))
}

pub fn trust(config: &Config, parts: &Parts) -> Result<NodeTrust, StartError> {
    Ok(NodeTrust::new(
        Arc::clone(&parts.store),
        Arc::clone(&parts.node),
        Arc::clone(&parts.runtime.clock),
        config.expected_identity()?,
    ))
}

pub fn payer(config: &Config, parts: &Parts, trust: &Arc<NodeTrust>) -> Result<Payer, StartError> {
    let (store, node) = (Arc::clone(&parts.store), Arc::clone(&parts.node));
    let (runtime, options) = (parts.runtime.clone(), config.payer_options()?);
    Ok(Payer::new(store, node, runtime, Arc::clone(trust), options, meter(parts)))
}

pub fn guard(config: &Config, parts: &Parts, trust: &Arc<NodeTrust>) -> Result<Guard, StartError> {
    let (store, node) = (Arc::clone(&parts.store), Arc::clone(&parts.node));
    let (runtime, options) = (parts.runtime.clone(), config.guard_options()?);
    Ok(Guard::new(store, node, Arc::clone(trust), runtime, options))
}

pub fn heartbeats(
    config: &Config,
    parts: &Parts,
    trust: &Arc<NodeTrust>,
    payer: &Payer,
) -> Result<Heartbeats, StartError> {
    let (store, node) = (Arc::clone(&parts.store), Arc::clone(&parts.node));
    let rules = config.claim_rules()?;
    let limits = (rules.paying, rules.fees);
    let overdue = config.payer_options()?.answer_overdue;
    let trust = (Arc::clone(trust), payer.write_witness());
    Ok(Heartbeats::new(store, node, trust, limits, overdue, parts.runtime.clone()))
}

pub fn claims(
    config: &Config,
    parts: &Parts,
    public_url: &PublicUrl,
    waker: &Waker,
) -> Result<ClaimService, StartError> {
    let store = Arc::clone(&parts.store);
    let runtime = parts.runtime.clone();
    let (rules, waker) = (config.claim_rules()?, waker.clone());
    Ok(ClaimService::new(store, rules, public_url.clone(), runtime, waker, meter(parts)))
}

/// What the gRPC server serves.
pub fn services(
    config: &Config,
    parts: &Parts,
    public_url: PublicUrl,
    payer: &Payer,
    trust: &Arc<NodeTrust>,
) -> Result<Services, StartError> {
    let (store, runtime) = (|| Arc::clone(&parts.store), || parts.runtime.clone());
    let (node, trust) = (Arc::clone(&parts.node), Arc::clone(trust));
    let rules = config.claim_rules()?;
    let most = rules.paying.max_amount;
    let keyring = parts.keyring.clone();
    let clock_skew = rules.paying.clock_skew;
    let inquiry = || (payer.inquiry(), payer.write_witness());
    let delays = [config.guard_options()?.commit_delay, clock_skew];
    Ok(Services {
        withdraws: WithdrawService::new(store(), keyring, public_url, most, runtime()),
        payments: PaymentService::new(store(), inquiry(), runtime(), meter(parts)),
        operations: OperationsService::new(store(), rules, runtime()),
        reconcile: ReconcileService::new(store(), Arc::clone(&node), Arc::clone(&trust), runtime()),
        restore: RestoreService::new(store(), node, trust, inquiry(), delays, runtime()),
    })
}
