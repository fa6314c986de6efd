//! The simulation in the suite.

use crate::sim::{database::Database, run};

#[test]
fn sim_smoke() {
    let database = Database::sqlite();
    let began = std::time::Instant::now();
    let mut ends = std::collections::BTreeMap::<_, usize>::new();
    let (mut failed, mut calls) = (0, 0);
    for seed in 0..300 {
        let outcome = run::of_seed(&database, seed, None, false);
        calls += outcome.calls;
        for (name, n) in &outcome.ends {
            *ends.entry(*name).or_default() += n;
        }
        if outcome.broken.is_some() {
            failed += 1;
            eprintln!("{seed}: {:?}", outcome.broken);
            if failed < 2 {
                eprintln!("{}", run::report(&database, &outcome, None));
            }
        }
    }
    eprintln!("{:?} {ends:?} calls {calls}", began.elapsed());
    assert_eq!(failed, 0);
}
