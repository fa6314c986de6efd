//! `reconcile`: compares the node's payments with ours, as a table, CSV or JSON.

use std::collections::BTreeMap;

use clap::Args;

use super::requests::Server;
use crate::client::{HEADER, Instant, Operations, ReconcileLine, to_json};

#[derive(Debug, Args)]
pub(super) struct ReconcileArgs {
    /// Start of the period (inclusive), such as 2026-11-21T00:00:00Z.
    #[arg(long)]
    from: Instant,
    /// End of the period (exclusive). Default: now.
    #[arg(long)]
    to: Option<Instant>,
    /// Leave out payments that match and payments that have not ended.
    #[arg(long)]
    only_differences: bool,
    /// Print CSV.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn reconcile(args: ReconcileArgs) -> anyhow::Result<()> {
    let mut client = Operations::connect(args.server.address()).await?;
    let found = client.reconcile(args.from, args.to, args.only_differences).await?;
    if args.server.json() {
        say!("{}", to_json(&found)?);
    } else if args.csv {
        // Cells are ids, names and numbers, which need no quoting.
        say!("{}", HEADER.join(","));
        for line in &found.lines {
            say!("{}", line.cells().join(","));
        }
    } else {
        table(&found.lines, args.only_differences);
    }
    Ok(())
}

fn table(lines: &[ReconcileLine], only_differences: bool) {
    if lines.is_empty() {
        return say!("{}", if only_differences { "no differences" } else { "no payments" });
    }
    let mut counts = BTreeMap::new();
    for line in lines {
        *counts.entry(line.verdict().as_str_name()).or_insert(0) += 1;
        let [hash, verdict, payment, withdraw, here, there, _, msat, _, at] = line.cells();
        say!("{verdict:<21}  {hash}");
        if line.is_difference() {
            say!("  here: {} {payment} {withdraw}", or_none(&here));
            let amount = if msat.is_empty() { msat } else { format!(" {msat} msat {at}") };
            say!("  node: {}{amount}", or_none(&there));
            say!("  {}", line.explanation);
        }
    }
    let counts: Vec<_> =
        counts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
    say!("{} payments: {}", lines.len(), counts.join(", "));
}

fn or_none(state: &str) -> &str {
    if state.is_empty() { "nothing" } else { state }
}
