//! Every state that one withdraw request can reach is visited, and every decision on the way is one of
//! the real functions of `domain`. The larger sets are run by `examples/check.rs`.

#[path = "../../checker/mod.rs"]
mod checker;

use checker::{ASSUMPTIONS, FAULTS, Faults, Job, MUTATIONS, Report, SETS, differently_said};

/// Runs it and prints what it found: the number of states, and each counterexample.
fn run(job: &Job) -> Vec<Report> {
    let reports = job.run();
    let told: Vec<String> = reports.iter().map(ToString::to_string).collect();
    eprintln!("{} | {}", job.name, told.join("\n"));
    assert!(job.is_as_expected(&reports), "{}: {}", job.name, told.join("\n"));
    reports
}

/// And each thing that the table can say was said on the way.
#[test]
fn no_history_of_faults_breaks_an_invariant() {
    let reports: Vec<_> = SETS.iter().filter(|job| job.in_suite).flat_map(run).collect();
    assert_eq!(differently_said(&reports), Vec::<String>::new());
}

/// The proof can fail: what the code is made to do wrong is found, and shown by its shortest history.
#[test]
fn each_mutation_is_caught_with_its_shortest_counterexample() {
    assert_eq!(MUTATIONS.len(), 10, "one for each rule");
    for job in MUTATIONS {
        run(job);
    }
}

/// What cannot hold without an assumption is seen to break when the assumption does.
#[test]
fn a_broken_assumption_is_seen() {
    for job in ASSUMPTIONS {
        run(job);
    }
}

#[test]
fn every_fault_is_in_some_set() {
    for (name, fault) in FAULTS {
        let mut jobs = SETS.iter().chain(ASSUMPTIONS);
        assert!(jobs.any(|job| job.setting.faults.has(fault)), "{name}");
    }
    let own = Job::of_own(Faults::of(&[]), [1, 1]);
    run(&own);
}
