//! The simulation of `tests/sim`, for as many seeds as wanted, on all cores.
//!
//! ```text
//! cargo run --release --example soak -- --seeds 100000 [--from 0] [--threads 2]
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

#[path = "../tests/it/invoices.rs"]
mod invoices;
#[path = "../tests/sim/mod.rs"]
mod sim;

use std::{
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use sim::{database::Database, mutation::Mutation, run};

/// How often progress is told.
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
    /// A rule that is taken back; the run must then fail.
    #[arg(long, value_parser = |name: &str| Mutation::parse(name).ok_or("no such mutation"))]
    mutation: Option<Mutation>,
    /// As many as there are cores.
    #[arg(long)]
    threads: Option<usize>,
}

/// What all threads share.
struct Progress {
    next: AtomicU64,
    done: AtomicU64,
    calls: AtomicU64,
    failed: AtomicBool,
    report: Mutex<String>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(seed) = options.seed {
        return one(&options, seed);
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads =
        if options.postgres.is_some() { 1 } else { options.threads.unwrap_or(cores).max(1) };
    let progress = Progress {
        next: AtomicU64::new(options.from),
        done: AtomicU64::new(0),
        calls: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        report: Mutex::default(),
    };
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| many(&options, &progress));
        }
        let mut told = Instant::now();
        while progress.done.load(Ordering::SeqCst) < options.seeds
            && !progress.failed.load(Ordering::SeqCst)
        {
            std::thread::park_timeout(Duration::from_millis(100));
            if told.elapsed() >= EVERY {
                told = Instant::now();
                tell(&progress, began, threads);
            }
        }
    });
    tell(&progress, began, threads);
    if progress.failed.load(Ordering::SeqCst) {
        println!("{}", progress.report.lock().unwrap());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn tell(progress: &Progress, began: Instant, threads: usize) {
    let (done, calls) =
        (progress.done.load(Ordering::SeqCst), progress.calls.load(Ordering::SeqCst));
    let per_s = u128::from(done) * 1000 / began.elapsed().as_millis().max(1);
    let took = began.elapsed().as_secs();
    println!("{done} histories, {calls} calls in {took} s: {per_s}/s on {threads} threads");
}

fn open(options: &Options) -> Arc<Database> {
    let database = options.postgres.as_deref().map_or_else(Database::sqlite, Database::postgres);
    if let Some(mutation) = options.mutation {
        mutation.prepare(&database);
    }
    database
}

fn one(options: &Options, seed: u64) -> ExitCode {
    let database = open(options);
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

fn many(options: &Options, progress: &Progress) {
    let database = open(options);
    while !progress.failed.load(Ordering::SeqCst) {
        let seed = progress.next.fetch_add(1, Ordering::SeqCst);
        if seed >= options.from + options.seeds {
            return;
        }
        let outcome = run::of_seed(&database, seed, options.mutation, false);
        progress.calls.fetch_add(outcome.calls as u64, Ordering::SeqCst);
        progress.done.fetch_add(1, Ordering::SeqCst);
        if outcome.broken.is_some() && !progress.failed.swap(true, Ordering::SeqCst) {
            *progress.report.lock().unwrap() = run::report(&database, &outcome, options.mutation);
        }
    }
}
