//! The simulation in the suite: random histories, a crash at every call, and mutations that it must
//! catch. `cargo run --release --example soak` runs as many more as wanted.

use std::sync::Mutex;

use crate::{
    bench::{new_postgres_database, postgres_url},
    sim::{
        database::Database,
        many::{self, Progress},
        mutation::Mutation,
        run, scenarios,
    },
};

const SEEDS: u64 = 2000;
const SEEDS_ON_POSTGRES: u64 = 200;
const THREADS: usize = 2;

#[test]
fn random_histories_keep_every_invariant() {
    let progress = Progress::default();
    let failed = many::run(Database::sqlite, 0..SEEDS, THREADS, None, &progress);
    if let Some((_, report)) = failed {
        panic!("{report}");
    }
    let (histories, calls, paid) = progress.so_far();
    eprintln!("{histories} histories, {calls} calls, {paid} paid");
    assert_eq!(histories, SEEDS);
    // A simulation in which little is paid finds little.
    assert!(paid > SEEDS * 2 / 5, "{paid} paid");
}

/// The same seed is the same history, call by call: else no seed could be replayed.
#[test]
fn a_seed_is_replayed_to_the_letter() {
    let database = Database::sqlite();
    for seed in 0..30 {
        let [first, second] = [(); 2].map(|()| run::of_seed(&database, seed, None, true));
        assert!(first.log.len() > 100, "seed {seed}: {:?}", first.log);
        assert_eq!(first.log, second.log, "seed {seed}");
    }
}

#[test]
fn every_scenario_survives_a_crash_before_and_after_every_call() {
    let scenarios = Mutex::new(scenarios::all());
    let work = || {
        let database = Database::sqlite();
        let mut crashes = 0;
        while let Some(scenario) = { scenarios.lock().unwrap().pop() } {
            let points =
                scenario.with_every_crash(&database).unwrap_or_else(|broken| panic!("{broken}"));
            eprintln!("{}: {points} crash points", scenario.name);
            crashes += points;
        }
        crashes
    };
    let crashes: usize = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    eprintln!("{crashes} crash points");
    assert!(crashes > 400, "{crashes}");
}

/// The proof can fail: each rule, taken back, is found out within the suite's seeds.
#[test]
fn every_mutation_is_caught() {
    let mutations = Mutex::new(Mutation::ALL.to_vec());
    let work = || {
        while let Some(mutation) = { mutations.lock().unwrap().pop() } {
            // By its name it is replayed.
            assert_eq!(Mutation::parse(&format!("{mutation:?}")), Some(mutation));
            let progress = Progress::default();
            let caught = many::run(Database::sqlite, 0..SEEDS, 1, Some(mutation), &progress);
            let (histories, ..) = progress.so_far();
            let (outcome, report) = caught.unwrap_or_else(|| panic!("{mutation:?} is not caught"));
            let broken = outcome.broken.as_deref().unwrap();
            assert!(report.contains(outcome.invariant().unwrap()), "{report}");
            eprintln!("{mutation:?}: seed {} of {histories} histories: {broken}", outcome.seed);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
}

#[test]
fn the_same_scenarios_and_seeds_hold_on_postgres() {
    if postgres_url().is_none() {
        return eprintln!("SKIPPED: WITHDRAWD_TEST_POSTGRES_URL is not set (see tests/run)");
    }
    let tokio = tokio::runtime::Runtime::new().unwrap();
    let open = || Database::postgres(&tokio.block_on(new_postgres_database()));
    let database = open();
    for scenario in scenarios::all() {
        let outcome = scenario.play(&database);
        assert_eq!(outcome.broken, None, "{}", scenario.name);
    }
    let progress = Progress::default();
    let failed = many::run(open, 0..SEEDS_ON_POSTGRES, THREADS, None, &progress);
    if let Some((_, report)) = failed {
        panic!("{report}");
    }
    assert_eq!(progress.so_far().0, SEEDS_ON_POSTGRES);
}
