//! `instance`, `pause`, `resume`, `fence`, `acknowledge-restore` and `release`: what operators do to all
//! replicas at once.

use clap::Args;

use super::{printable, requests::Server};
use crate::client::{Instance, NodePayment, Operations, Pair, Signed, time_text, to_json};

#[derive(Debug, Args)]
pub(super) struct InstanceArgs {
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
struct By {
    /// Your name; it is recorded.
    #[arg(long)]
    operator: String,
    /// The reason; it is recorded.
    #[arg(long)]
    reason: String,
}

impl From<By> for Signed {
    fn from(by: By) -> Self {
        Self { operator: by.operator, reason: by.reason }
    }
}

#[derive(Debug, Args)]
pub(super) struct CommandArgs {
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(super) struct AcknowledgeArgs {
    /// A request, and the hash of the unknown payment that paid it. Repeat it for each pair.
    #[arg(long = "paid", value_name = "WITHDRAW=HASH")]
    paid: Vec<Pair>,
    /// You have listed all unknown payments, and keep the list. Needed to end the fence if there are more
    /// than 1,000.
    #[arg(long, requires = "operator")]
    all_were_listed: bool,
    /// Your name; it is recorded. Without it the command only lists the unknown payments and changes
    /// nothing.
    #[arg(long, requires = "reason")]
    operator: Option<String>,
    /// The reason; it is recorded.
    #[arg(long, requires = "operator")]
    reason: Option<String>,
    #[command(flatten)]
    server: Server,
}

#[derive(Debug, Args)]
pub(super) struct ReleaseArgs {
    /// The ids (wr_…) of one or more requests.
    #[arg(required_unless_present = "release_all", conflicts_with = "release_all")]
    ids: Vec<String>,
    /// Release every withheld request.
    #[arg(long)]
    release_all: bool,
    #[command(flatten)]
    by: By,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn instance(args: InstanceArgs) -> anyhow::Result<()> {
    let instance = Operations::connect(args.server.address()).await?.instance().await?;
    show(&instance, &args.server)
}

pub(super) async fn pause(args: CommandArgs) -> anyhow::Result<()> {
    let mut client = Operations::connect(args.server.address()).await?;
    let instance = client.pause(args.by.into()).await?;
    show(&instance, &args.server)
}

pub(super) async fn resume(args: CommandArgs) -> anyhow::Result<()> {
    let mut client = Operations::connect(args.server.address()).await?;
    let instance = client.resume(args.by.into()).await?;
    show(&instance, &args.server)
}

pub(super) async fn fence(args: CommandArgs) -> anyhow::Result<()> {
    let mut client = Operations::connect(args.server.address()).await?;
    let instance = client.fence(args.by.into()).await?;
    show(&instance, &args.server)
}

pub(super) async fn acknowledge(args: AcknowledgeArgs) -> anyhow::Result<()> {
    let mut client = Operations::connect(args.server.address()).await?;
    let (Some(operator), Some(reason)) = (args.operator, args.reason) else {
        if !args.paid.is_empty() {
            anyhow::bail!("--paid needs --operator and --reason");
        }
        let unknown = client.unknown().await?;
        if args.server.json() {
            say!("{}", to_json(&unknown)?);
        } else {
            list(&unknown.payments);
        }
        return Ok(());
    };
    let done =
        client.acknowledge(Signed { operator, reason }, args.paid, args.all_were_listed).await?;
    if args.server.json() {
        say!("{}", to_json(&done)?);
        return Ok(());
    }
    list(&done.unknown);
    if done.more {
        say!(
            "and others: these are the first {} of the list that you made before",
            done.unknown.len()
        );
    }
    say!("{} requests are withheld until you run `withdrawd release`", done.withheld);
    if let Some(instance) = &done.instance {
        show(instance, &args.server)?;
    }
    Ok(())
}

/// One line each, to compare with the logs of the time whose commits were lost.
fn list(payments: &[NodePayment]) {
    say!("the node has {} payments that the database does not know", payments.len());
    for payment in payments {
        say!(
            "  {}  {:<11}  {} msat  {}",
            payment.payment_hash,
            payment.state().as_str_name(),
            payment.amount_msat,
            time_text(payment.created)
        );
    }
    if payments.iter().any(NodePayment::is_result_lost) {
        say!(
            "RESULT_LOST: the payee may have been paid; release its request only if the payee denies it"
        );
    }
}

pub(super) async fn release(args: ReleaseArgs) -> anyhow::Result<()> {
    let mut client = Operations::connect(args.server.address()).await?;
    let released = client.release(args.by.into(), args.ids, args.release_all).await?;
    if args.server.json() {
        say!("{}", to_json(&released)?);
    } else {
        say!("{} requests were released", released.released);
    }
    Ok(())
}

fn show(instance: &Instance, server: &Server) -> anyhow::Result<()> {
    if server.json() {
        say!("{}", to_json(instance)?);
        return Ok(());
    }
    match instance.halt_name() {
        None => say!("accepts claims of up to {} sat", instance.max_withdrawable_sat),
        Some(halt) => say!("refuses new claims: {halt}"),
    }
    if let Some(act) = &instance.paused {
        say!("  paused by {}: {}", printable(&act.operator), printable(&act.reason));
    }
    if instance.fenced_at.is_some() {
        say!("  fenced: {}", instance.fence_reason().as_str_name());
    }
    if !instance.node_error.is_empty() {
        say!("  node error: {}", printable(&instance.node_error));
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
    Ok(())
}
