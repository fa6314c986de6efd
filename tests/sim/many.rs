//! Many histories, on as many threads, each with a database of its own.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use super::{
    database::Database,
    mutation::Mutation,
    run::{self, Outcome},
};

/// What all threads share, and what may be watched meanwhile.
#[derive(Default)]
pub struct Progress {
    taken: AtomicU64,
    done: AtomicU64,
    calls: AtomicU64,
    paid: AtomicU64,
    over: AtomicBool,
    failed: Mutex<Option<(Outcome, String)>>,
}

impl Progress {
    /// Histories, calls, and attempts that ended as PAID, so far.
    pub fn so_far(&self) -> (u64, u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        (read(&self.done), read(&self.calls), read(&self.paid))
    }

    /// Nothing more is begun.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

/// Runs the histories of `seeds` until one fails: that one, and what a person needs to see of it.
pub fn run(
    open: impl Fn() -> Arc<Database> + Sync,
    seeds: Range<u64>,
    threads: usize,
    mutation: Option<Mutation>,
    progress: &Progress,
) -> Option<(Outcome, String)> {
    let work = || {
        let database = open();
        if let Some(mutation) = mutation {
            mutation.prepare(&database);
        }
        while !progress.is_over() {
            let seed = seeds.start + progress.taken.fetch_add(1, Ordering::SeqCst);
            if seed >= seeds.end {
                break;
            }
            let outcome = run::of_seed(&database, seed, mutation, false);
            let paid = outcome.ends.get("PAID").copied().unwrap_or_default();
            progress.paid.fetch_add(paid, Ordering::SeqCst);
            progress.calls.fetch_add(outcome.calls, Ordering::SeqCst);
            progress.done.fetch_add(1, Ordering::SeqCst);
            if outcome.broken.is_some() && !progress.over.swap(true, Ordering::SeqCst) {
                let report = run::report(&database, &outcome, mutation);
                *progress.failed.lock().unwrap() = Some((outcome, report));
            }
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().unwrap();
        }
    });
    progress.over.store(true, Ordering::SeqCst);
    progress.failed.lock().unwrap().take()
}
