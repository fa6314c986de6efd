//! Every state that one withdraw request can reach is visited, and every decision on the way is one of
//! the real functions of `domain`. The larger sets are run by `examples/check.rs`.

#[path = "../../checker/mod.rs"]
mod checker;

use checker::{ASSUMPTIONS, FAULTS, Faults, MUTATIONS, Report, SETS, Search, unexpected_decisions};

/// Runs it and prints what it found: the number of states, and each counterexample.
fn run(search: &Search) -> Vec<Report> {
    let reports = search.run();
    let told: Vec<String> = reports.iter().map(ToString::to_string).collect();
    eprintln!("{} | {}", search.name, told.join("\n"));
    assert!(search.is_as_expected(&reports), "{}: {}", search.name, told.join("\n"));
    reports
}

/// And each thing that the table can say was said on the way.
#[test]
fn no_history_of_faults_breaks_an_invariant() {
    let reports: Vec<_> = SETS.iter().filter(|search| search.in_suite).flat_map(run).collect();
    assert_eq!(unexpected_decisions(&reports), Vec::<String>::new());
}

/// The proof can fail: what the code is made to do wrong is found, and shown by its shortest history.
#[test]
fn each_mutation_is_caught_with_its_shortest_counterexample() {
    assert_eq!(MUTATIONS.len(), 10, "one for each rule");
    for search in MUTATIONS {
        run(search);
    }
}

/// What cannot hold without an assumption is seen to break when the assumption does.
#[test]
fn a_broken_assumption_is_seen() {
    for search in ASSUMPTIONS {
        run(search);
    }
}

#[test]
fn every_fault_is_in_some_set() {
    for (name, fault) in FAULTS {
        let mut searches = SETS.iter().chain(ASSUMPTIONS);
        assert!(searches.any(|search| search.setting.faults.has(fault)), "{name}");
    }
    let own = Search::of_own(Faults::of(&[]), [1, 1]);
    run(&own);
}
