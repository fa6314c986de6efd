//! Runs the model checker of `tests/checker`: visits every state that one withdraw request can reach, with
//! the real decisions of `withdrawd::domain`, and reports whether every invariant holds.
//!
//!     cargo run --release --example check -- --faults all          every set, the largest included
//!     cargo run --release --example check -- --faults suite        what the tests run
//!     cargo run --release --example check -- --faults crash,loss   a set of one's own
//!     cargo run --release --example check -- --mutations           the shortest counterexamples

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a tool that prints, takes its own time, and stops at the unexpected"
)]

#[path = "../tests/checker/mod.rs"]
mod checker;

use std::{process::ExitCode, time::Instant};

use checker::{ASSUMPTIONS, FAULTS, Faults, MUTATIONS, Report, SETS, Search, unexpected_decisions};
use clap::Parser;

#[derive(Debug, Parser)]
struct Args {
    /// `all`, `suite`, or names with commas between them (see --list).
    #[arg(long, default_value = "suite")]
    faults: String,
    /// The most sends of each attempt, for a set of one's own.
    #[arg(long, value_delimiter = ',', default_values_t = [3, 1])]
    sends: Vec<u8>,
    /// Print what each mutation and each broken assumption leads to.
    #[arg(long)]
    mutations: bool,
    /// Print the names of the faults.
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        for (name, _) in FAULTS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    }
    let mut good = true;
    let mut all: Vec<Report> = Vec::new();
    for search in searches(&args) {
        let begun = Instant::now();
        let reports = search.run();
        let seconds = begun.elapsed().as_secs_f32();
        for report in &reports {
            println!("{} | {report}", search.name);
        }
        println!("    {seconds:.1} s, {} MB at most so far", peak_mb());
        good &= search.is_as_expected(&reports);
        all.extend(reports);
    }
    println!("the table never said, or said unexpectedly: {:?}", unexpected_decisions(&all));
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn searches(args: &Args) -> Vec<Search> {
    if args.mutations {
        return MUTATIONS.iter().chain(ASSUMPTIONS).copied().collect();
    }
    match args.faults.as_str() {
        "all" => SETS.to_vec(),
        "suite" => SETS.iter().filter(|search| search.in_suite).copied().collect(),
        names => vec![Search::of_own(own(names), [args.sends[0], args.sends[1]])],
    }
}

fn own(names: &str) -> Faults {
    names.split(',').fold(Faults::of(&[]), |set, wanted| {
        let found = FAULTS.iter().find(|(name, _)| *name == wanted);
        let (_, fault) = found.unwrap_or_else(|| panic!("no fault is called {wanted}; see --list"));
        set.and(&[*fault])
    })
}

/// The most memory that this process ever held.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    kb.map_or(0, |kb| kb.parse::<u64>().unwrap() / 1024)
}
