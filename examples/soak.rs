//! The simulation of `tests/sim`, for as many seeds as wanted, on all cores.
//!
//! ```text
//! cargo run --release --example soak -- --seeds 100000 [--from 0] [--threads 2]
//! cargo run --release --example soak -- --scenarios                a crash at every call
//! cargo run --release --example soak -- --seed 42 --trace          one history, step by step
//! cargo run --release --example soak -- --seeds 1000 --postgres postgres://user@host/an_empty_database
//! cargo run --release --example soak -- --seeds 1000 --mutation NoLookUp
//! ```
//!
//! A history that breaks an invariant is printed with its seed and its steps, shortened, and ends the
//! run with exit code 1. The same seed is the same history on every machine; a database's rows are
//! emptied before each history, so give it none that somebody needs.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for developers, made of test code"
)]

#[path = "../tests/it/bench/invoices.rs"]
mod invoices;
#[path = "../tests/sim/mod.rs"]
mod sim;

use std::{
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Parser;
use sim::{
    database::Database,
    many::{self, Progress},
    mutation::Mutation,
    run, scenarios,
};

/// How often progress is printed.
const EVERY: Duration = Duration::from_secs(10);

#[derive(Parser)]
struct Options {
    /// How many histories.
    #[arg(long, default_value_t = 2000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// This history alone.
    #[arg(long)]
    seed: Option<u64>,
    /// Prints each step and each call.
    #[arg(long)]
    trace: bool,
    /// An empty Postgres database; one thread. Else SQLite, in memory.
    #[arg(long)]
    postgres: Option<String>,
    /// A mutation: a safety rule that is taken out. The run must then fail.
    #[arg(long, value_parser = |name: &str| Mutation::parse(name).ok_or("no such mutation"))]
    mutation: Option<Mutation>,
    /// A crash before and after every call of each scenario, instead of random histories.
    #[arg(long)]
    scenarios: bool,
    /// As many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(seed) = options.seed {
        return one(&options, seed);
    }
    if options.scenarios {
        return crashes(&options);
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads =
        if options.postgres.is_some() { 1 } else { options.threads.unwrap_or(cores).max(1) };
    let (began, progress) = (Instant::now(), Progress::default());
    let seeds = options.from..options.from + options.seeds;
    let failed = std::thread::scope(|scope| {
        scope.spawn(|| watch(&progress, began, threads));
        many::run(|| open(&options), seeds, threads, options.mutation, &progress)
    });
    print_progress(&progress, began, threads);
    match failed {
        None => ExitCode::SUCCESS,
        Some((_, report)) => {
            println!("{report}");
            ExitCode::FAILURE
        }
    }
}

fn watch(progress: &Progress, began: Instant, threads: usize) {
    let mut printed_at = Instant::now();
    while !progress.is_over() {
        std::thread::park_timeout(Duration::from_millis(100));
        if printed_at.elapsed() >= EVERY {
            printed_at = Instant::now();
            print_progress(progress, began, threads);
        }
    }
}

fn print_progress(progress: &Progress, began: Instant, threads: usize) {
    let (done, calls, paid) = progress.so_far();
    let per_s = u128::from(done) * 1000 / began.elapsed().as_millis().max(1);
    let took = began.elapsed().as_secs();
    println!(
        "{done} histories, {calls} calls, {paid} paid, in {took} s: {per_s}/s on {threads} threads"
    );
}

fn open(options: &Options) -> Arc<Database> {
    options.postgres.as_deref().map_or_else(Database::sqlite, Database::postgres)
}

/// The enumerated crash points.
fn crashes(options: &Options) -> ExitCode {
    let database = open(options);
    for scenario in scenarios::all() {
        match scenario.with_every_crash(&database) {
            Ok(points) => println!("{}: {points} crash points", scenario.name),
            Err(broken) => {
                println!("{broken}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn one(options: &Options, seed: u64) -> ExitCode {
    let database = open(options);
    if let Some(mutation) = options.mutation {
        mutation.prepare(&database);
    }
    let outcome = run::of_seed(&database, seed, options.mutation, true);
    if options.trace {
        println!("{}\n", outcome.log.join("\n"));
    }
    if outcome.broken.is_none() {
        println!("seed {seed}: nothing broke; {} calls; {:?}", outcome.calls, outcome.ends);
        return ExitCode::SUCCESS;
    }
    println!("{}", run::report(&database, &outcome, options.mutation));
    ExitCode::FAILURE
}
