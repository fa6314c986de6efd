//! Gauges. They are built for each scrape, so that none keeps an old value.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge, info::Info},
    registry::{Registry, Unit},
};

use strum::VariantArray;

use super::{
    counted::seconds,
    labels::{Build, HaltedBy, InState},
    setup::Setup,
};
use crate::{
    domain::{HaltReason, Heartbeat, InstanceStatus, Timestamp},
    ports::{Connections, OpenPayments},
    service::InstanceView,
};

type Seconds = Gauge<f64, AtomicU64>;

/// What the database says about the whole instance.
#[derive(Debug)]
pub struct View {
    pub instance: InstanceView,
    pub open: Vec<OpenPayments>,
    /// When it was asked.
    pub now: Timestamp,
}

fn add(registry: &mut Registry, name: &str, help: &str, value: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

fn add_msat(registry: &mut Registry, name: &str, help: &str, msat: i64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(msat);
    registry.register_with_unit(name, help, Unit::Other("msat".to_owned()), gauge);
}

fn add_seconds(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = Seconds::default();
    gauge.set(value);
    registry.register_with_unit(name, help, Unit::Seconds, gauge);
}

/// The process, and its connections to the database.
pub fn process(registry: &mut Registry, setup: &Setup, connections: Connections) {
    let build = Build {
        version: env!("CARGO_PKG_VERSION"),
        store: setup.store,
        node: setup.node,
        network: setup.network,
    };
    registry.register("withdrawd_build", "Version, database, node and network", Info::new(build));
    let started = seconds(setup.started.since(Timestamp::from_ms(0)));
    let help = "When the process started, since the epoch";
    add_seconds(registry, "process_start_time", help, started);

    let by_state = Family::<InState, Gauge>::default();
    for (state, number) in [("idle", connections.idle), ("used", connections.used)] {
        by_state.get_or_create(&InState { state }).set(number.into());
    }
    let help = "Connections to the database";
    registry.register("withdrawd_store_connections", help, by_state);
    let help = "The most connections to the database";
    add(registry, "withdrawd_store_connections_max", help, connections.max.into());
}

/// Whether the database answered this scrape in time.
pub fn store_up(registry: &mut Registry, up: bool) {
    let help = "Whether the database answered; if not, metrics of the instance are missing";
    add(registry, "withdrawd_store_up", help, up.into());
}

/// The whole instance: the same in every replica.
pub fn instance(registry: &mut Registry, view: &View, setup: &Setup) {
    let status = &view.instance.status;
    open_payments(registry, view);
    switches(registry, &view.instance);
    if let Some(beat) = &status.heartbeat {
        node(registry, beat, view.now);
    }
    if let Some(limit) = setup.rolling_24h {
        let help = "Accepted within 24 hours, failed payments not counted";
        let spent = status.spent_24h.get();
        add_msat(registry, "withdrawd_rolling_24h_accepted", help, spent);
        let help = "The limit on what is accepted within 24 hours";
        add_msat(registry, "withdrawd_rolling_24h_limit", help, limit.to_msat().get());
    }
}

fn open_payments(registry: &mut Registry, view: &View) {
    let number = Family::<InState, Gauge>::default();
    let oldest = Family::<InState, Seconds>::default();
    for open in &view.open {
        let label = InState { state: open.state.name() };
        number.get_or_create(&label).set(open.number);
        let age = open.oldest.map_or(0.0, |at| seconds(view.now.since(at)));
        oldest.get_or_create(&label).set(age);
    }
    registry.register("withdrawd_open_payments", "Payments that have not ended", number);
    let help = "Age of the oldest open payment, since its claim; 0 if there is none";
    registry.register_with_unit("withdrawd_oldest_open_payment_age", help, Unit::Seconds, oldest);
}

fn switches(registry: &mut Registry, instance: &InstanceView) {
    let InstanceStatus { paused, fenced, verified, .. } = &instance.status;
    let help = "Whether an operator paused the instance";
    add(registry, "withdrawd_paused", help, paused.is_some().into());
    add(registry, "withdrawd_fenced", "Whether the instance is fenced", fenced.is_some().into());
    let help = "Whether this process has verified that its database lost no commits";
    add(registry, "withdrawd_verified", help, (*verified).into());
    let halted = Family::<HaltedBy, Gauge>::default();
    for halt in HaltReason::VARIANTS.iter().copied() {
        let is_it = instance.halt() == Some(halt);
        halted.get_or_create(&HaltedBy { halt: halt.name() }).set(is_it.into());
    }
    registry.register("withdrawd_halted", "Whether claims are refused, by reason", halted);
    let help = "The most that one claim can get now";
    let most_msat = instance.most().saturating_mul(1000);
    add_msat(registry, "withdrawd_claimable", help, most_msat);
}

fn node(registry: &mut Registry, beat: &Heartbeat, now: Timestamp) {
    let age = seconds(now.since(beat.at));
    let help = "Time since the node last answered";
    add_seconds(registry, "withdrawd_node_heartbeat_age", help, age);
    let help = "Whether the node reports that it is synced to the chain";
    add(registry, "withdrawd_node_synced", help, beat.synced.into());
    let help = "What the node reports that its channels can send";
    add_msat(registry, "withdrawd_node_can_send", help, beat.can_send.get());
    let help = "The node's channels whose peer is online";
    add(registry, "withdrawd_node_active_channels", help, beat.active_channels);
}
