//! Runs histories: by seed, by a list of steps, many at once; and shortens those that fail.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{
    database::Database, generate, history::History, mutation::Mutation, recovery::RECOVERS,
    rng::Rng, step::Step,
};

/// How a history ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub seed: u64,
    /// The invariant that broke, and where.
    pub broken: Option<String>,
    /// Before the node healed.
    pub steps: Vec<Step>,
    pub calls: u64,
    /// Of them, before the node healed.
    pub calls_of_steps: u64,
    pub log: Vec<String>,
    /// What the attempts became.
    pub ends: BTreeMap<&'static str, u64>,
}

impl Outcome {
    /// The invariant alone.
    pub fn invariant(&self) -> Option<&str> {
        self.broken.as_deref().map(|broken| broken.split(" (").next().unwrap_or(broken))
    }
}

/// The history of a seed.
pub fn of_seed(
    database: &Arc<Database>,
    seed: u64,
    mutation: Option<Mutation>,
    logged: bool,
) -> Outcome {
    play(database, seed, mutation, logged, |history| {
        generate::run(history, &mut Rng::new(seed));
    })
}

/// The same seed with these steps instead of its own.
pub fn of_steps(
    database: &Arc<Database>,
    seed: u64,
    mutation: Option<Mutation>,
    logged: bool,
    steps: &[Step],
) -> Outcome {
    play(database, seed, mutation, logged, |history| {
        for step in steps {
            if !history.is_broken() {
                history.apply(*step);
            }
        }
    })
}

/// A history whose steps `steps` makes, and its end.
pub fn play(
    database: &Arc<Database>,
    seed: u64,
    mutation: Option<Mutation>,
    logged: bool,
    steps: impl FnOnce(&mut History),
) -> Outcome {
    let mut history = History::new(database, seed, mutation, logged);
    let (mut made, mut calls_of_steps) = (0, 0);
    let run = AssertUnwindSafe(|| {
        steps(&mut history);
        made = history.steps.len();
        calls_of_steps = history.world.lock().calls;
        if history.has_lost() {
            history.end_after_a_loss();
        } else if !history.is_broken() {
            history.recover(&mut Rng::new(seed ^ 0x4ea1));
        }
    });
    let panicked = catch_unwind(run).is_err();
    if panicked {
        // Its mutex is poisoned: the history is not asked any more.
        let steps = history.steps.clone();
        std::mem::forget(history);
        let broken = Some("nothing panics (see above)".to_owned());
        return Outcome { seed, broken, steps, ..Outcome::default() };
    }
    history.steps.truncate(made);
    let mut inner = history.world.lock();
    let mut ends = BTreeMap::new();
    for payment in inner.mirror.payments.values() {
        *ends.entry(payment.state.name()).or_default() += 1;
    }
    let outcome = Outcome {
        seed,
        broken: inner.broken.clone(),
        steps: std::mem::take(&mut history.steps),
        calls: inner.calls,
        calls_of_steps,
        log: inner.log.take().unwrap_or_default(),
        ends,
    };
    drop(inner);
    // Its actors end before anything that they refer to.
    history.actors.kill(&history.world, 0);
    history.actors.kill(&history.world, 1);
    outcome
}

/// Takes out steps as long as the same invariant still breaks.
pub fn shorten(database: &Arc<Database>, failed: &Outcome, mutation: Option<Mutation>) -> Outcome {
    let mut best = failed.clone();
    let mut size = best.steps.len().div_ceil(2);
    while size > 0 {
        let mut start = 0;
        while start < best.steps.len() {
            let mut fewer = best.steps.clone();
            fewer.drain(start..(start + size).min(fewer.len()));
            let tried = of_steps(database, failed.seed, mutation, false, &fewer);
            if tried.invariant() == failed.invariant() {
                best = tried;
            } else {
                start += size;
            }
        }
        size /= 2;
    }
    of_steps(database, failed.seed, mutation, true, &best.steps)
}

/// Of a long healing only its end is shown.
const LAST_LINES: usize = 30;

/// What a person needs to see of a history that failed.
pub fn report(database: &Arc<Database>, failed: &Outcome, mutation: Option<Mutation>) -> String {
    let shortest = shorten(database, failed, mutation);
    let (begin, end) = shortest.log.split_at(shortest.log.len().saturating_sub(LAST_LINES));
    let healing = begin.iter().position(|line| line == RECOVERS).unwrap_or(begin.len());
    let mutation = mutation.map_or_else(String::new, |name| format!(" --mutation {name:?}"));
    format!(
        "seed {}: {}\n{} steps, shortened from {}:\n{}\nreplay: cargo run --release --example soak \
         -- --seed {} --trace{mutation}",
        failed.seed,
        shortest.broken.as_deref().unwrap_or("does not fail again: it is not deterministic"),
        shortest.steps.len(),
        failed.steps.len(),
        [&begin[..healing], end].concat().join("\n"),
        failed.seed,
    )
}
