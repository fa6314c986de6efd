//! That the files of a module do not use each other in a circle.
//!
//! That a child uses items of its parent does not count, nor that a parent names its children. A name that
//! a parent re-exports is its child's: whoever uses it uses the child.
//!
//! Tests do not count: they may use whatever they need.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{
    scan::{Token, crate_paths, re_exports, tokens},
    source_tree::{module_path, sources},
};

type Module = Vec<String>;

/// From a file's module to those that it uses, with a place of each use, as `file:line`.
type Uses = BTreeMap<Module, BTreeMap<Module, String>>;

/// All files by their modules, and what these re-export.
struct Modules {
    files: BTreeSet<Module>,
    re_exports: BTreeMap<(Module, String), Module>,
}

impl Modules {
    fn of(sources: &BTreeMap<String, String>) -> Self {
        let files = sources.keys().map(|file| module_path(file)).collect();
        let mut names = BTreeMap::new();
        for (file, source) in sources {
            let module = module_path(file);
            for (name, path) in re_exports(&tokens(source), &module) {
                names.insert((module.clone(), name), path);
            }
        }
        Self { files, re_exports: names }
    }

    /// The file that a path leads to, through the names that modules on the way re-export.
    fn target(&self, path: &[String]) -> Module {
        let mut module = Module::new();
        let mut rest: Vec<String> = path.to_vec();
        // A module could re-export a name that leads back to itself.
        for _ in 0..100 {
            let Some(next) = rest.first().cloned() else { break };
            let child = [module.as_slice(), std::slice::from_ref(&next)].concat();
            if self.files.contains(&child) {
                module = child;
                rest.remove(0);
            } else if let Some(path) = self.re_exports.get(&(module.clone(), next))
                && path[..] != rest[..]
            {
                rest = path.iter().cloned().chain(rest.into_iter().skip(1)).collect();
                module.clear();
            } else {
                break;
            }
        }
        module
    }
}

/// Whether a file belongs to the tests.
fn is_test(file: &str) -> bool {
    let parts = || file.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
    parts().any(|part| part.ends_with("_test") || part == "tests")
}

/// The tokens without items that are compiled for tests only.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let marker = ["#", "[", "cfg", "(", "test", ")", "]"];
    let is_marked = |at: usize| {
        marker
            .iter()
            .enumerate()
            .all(|(i, word)| tokens.get(at + i).is_some_and(|token| token.text == *word))
    };
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !is_marked(at) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        // To the end of the item: its semicolon, or the brace that closes it.
        let mut braces = 0;
        while at < tokens.len() {
            let text = tokens[at].text.as_str();
            at += 1;
            match text {
                "{" => braces += 1,
                "}" if braces == 1 => break,
                "}" => braces -= 1,
                ";" if braces == 0 => break,
                _ => {}
            }
        }
    }
    kept
}

/// Whether the use of one file by another counts: both are below the same top-level module, and neither
/// holds the other.
fn counts(from: &[String], to: &[String]) -> bool {
    from.first() == to.first() && !from.starts_with(to) && !to.starts_with(from)
}

fn uses(sources: &BTreeMap<String, String>) -> Uses {
    let modules = Modules::of(sources);
    let mut uses = Uses::new();
    for (file, source) in sources.iter().filter(|(file, _)| !is_test(file)) {
        let from = module_path(file);
        for path in crate_paths(&without_tests(&tokens(source)), "", &from) {
            let target = modules.target(&path.segments);
            if counts(&from, &target) {
                let place = format!("{file}:{}", path.line);
                uses.entry(from.clone()).or_default().entry(target).or_insert(place);
            }
        }
    }
    uses
}

/// The shortest cycle of each group of modules that all reach each other: who uses whom, and where.
pub fn cycles(sources: &BTreeMap<String, String>) -> Vec<String> {
    let uses = uses(sources);
    let mut found = Vec::new();
    let mut reported = BTreeSet::new();
    for start in uses.keys() {
        let all = cycles_through(&uses, start);
        if let Some(cycle) = all.first()
            && !reported.contains(start)
        {
            let lines = cycle.iter().zip(cycle.iter().cycle().skip(1)).map(|(from, to)| {
                let place = &uses[from][to];
                format!("{} uses {} ({place})", from.join("::"), to.join("::"))
            });
            found.push(lines.collect::<Vec<_>>().join("\n"));
        }
        reported.extend(all.into_iter().flatten());
    }
    found
}

/// Ways from `start` back to it, the shortest first: one for each module that closes a cycle.
fn cycles_through(uses: &Uses, start: &Module) -> Vec<Vec<Module>> {
    let mut ways = VecDeque::from([vec![start.clone()]]);
    let mut seen = BTreeSet::new();
    let mut cycles = Vec::new();
    while let Some(way) = ways.pop_front() {
        for to in way.last().and_then(|last| uses.get(last)).into_iter().flat_map(BTreeMap::keys) {
            if to == start {
                cycles.push(way.clone());
            } else if seen.insert(to.clone()) {
                ways.push_back([way.as_slice(), std::slice::from_ref(to)].concat());
            }
        }
    }
    cycles
}

#[test]
fn files_of_a_module_make_no_cycle() {
    let found = cycles(&sources());
    assert!(found.is_empty(), "{} cycles:\n\n{}", found.len(), found.join("\n\n"));
}
