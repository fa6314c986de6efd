//! `instance`, `pause` and `resume`: what operators do to all replicas at once.

use clap::Args;

use super::{printable, requests::Server};
use crate::client::{InstanceShown, Operations, Signed, instance_to_json};

#[derive(Debug, Args)]
pub(super) struct InstanceArgs {
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(super) struct TurnArgs {
    /// Your name: it is kept with what you do.
    #[arg(long)]
    operator: String,
    /// Why, in your words: kept as well.
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn instance(args: InstanceArgs) -> anyhow::Result<()> {
    let instance = Operations::connect(args.server.address()).await?.instance().await?;
    show(&instance, &args.server);
    Ok(())
}

pub(super) async fn pause(args: TurnArgs) -> anyhow::Result<()> {
    let by = Signed { operator: args.operator, reason: args.reason };
    let instance = Operations::connect(args.server.address()).await?.pause(by).await?;
    show(&instance, &args.server);
    Ok(())
}

pub(super) async fn resume(args: TurnArgs) -> anyhow::Result<()> {
    let by = Signed { operator: args.operator, reason: args.reason };
    let instance = Operations::connect(args.server.address()).await?.resume(by).await?;
    show(&instance, &args.server);
    Ok(())
}

fn show(instance: &InstanceShown, server: &Server) {
    if server.json() {
        say!("{}", instance_to_json(instance));
        return;
    }
    match instance.halt_name() {
        None => say!("accepts claims of up to {} sat", instance.max_withdrawable_sat),
        Some(halt) => say!("accepts nothing new: {halt}"),
    }
    if let Some(act) = &instance.paused {
        say!("  paused by {}: {}", printable(&act.operator), printable(&act.reason));
    }
    if let Some(node) = &instance.node {
        let synced = if node.synced { "synced" } else { "not synced" };
        say!("  node {}  {}  {}", node.identity, printable(&node.alias), synced);
        say!(
            "  can send {} msat over {} channels, {} HTLCs on the busiest",
            node.can_send_msat,
            node.active_channels,
            node.busiest_channel_htlcs
        );
    }
    say!("  {} payments in flight", instance.in_flight);
}
