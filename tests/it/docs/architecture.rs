//! The modules of the crate, and that dependencies between them point down only.
//!
//! Money is safe here because decisions are made in one module and carried out in others. The compiler does
//! not keep modules apart within one crate; this reads every path that the source names.

#![expect(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

mod cycles;
mod examples;
mod literals;
mod scan;
mod source_tree;

use std::path::Path;

use scan::{crate_paths, foreign_paths, tokens};
use source_tree::{files_below, module_path, read, sources};

/// What each module may name. A new module does not pass until its dependencies are thought through.
const DEPENDENCIES: [(&str, &[&str]); 26] = [
    ("main", &["cli", "report"]),
    // lib.rs declares the modules and names none.
    ("lib", &[]),
    ("cli", &["app", "client", "config", "domain", "http", "runtime", "telemetry"]),
    // It alone knows every module; the wire's types are not one of them.
    (
        "app",
        &[
            "admin",
            "config",
            "domain",
            "grpc",
            "health",
            "integrity",
            "jobs",
            "lookup",
            "metrics",
            "node",
            "payer",
            "ports",
            "report",
            "runtime",
            "service",
            "sidecar",
            "store",
        ],
    ),
    // It makes the options of these modules, so that none of them knows the configuration.
    (
        "config",
        &[
            "domain",
            "grpc",
            "integrity",
            "jobs",
            "lookup",
            "node",
            "payer",
            "sidecar",
            "store",
            "telemetry",
        ],
    ),
    ("telemetry", &["trace"]),
    (
        "grpc",
        &["domain", "health", "http", "metrics", "pb", "report", "runtime", "service", "trace"],
    ),
    ("sidecar", &["domain", "http", "metrics", "report", "runtime", "service", "trace"]),
    ("admin", &["domain", "health", "http", "metrics", "runtime"]),
    ("http", &["domain", "runtime"]),
    ("health", &[]),
    ("metrics", &["domain", "ports", "report", "runtime", "service"]),
    ("client", &["pb", "report"]),
    ("pb", &[]),
    ("jobs", &["domain", "integrity", "lookup", "payer", "ports", "report", "runtime", "service"]),
    ("payer", &["domain", "lookup", "ports", "report", "runtime", "trace"]),
    ("integrity", &["domain", "lookup", "ports", "runtime"]),
    // No use case is built from a worker: what both need is in `lookup`.
    ("service", &["domain", "lookup", "ports", "report", "runtime", "trace"]),
    ("lookup", &["domain", "ports", "report", "runtime"]),
    ("store", &["domain", "ports", "runtime", "trace"]),
    ("node", &["domain", "ports", "runtime", "trace"]),
    ("ports", &["domain"]),
    ("runtime", &["domain"]),
    ("report", &["domain", "ports", "trace"]),
    ("trace", &["domain"]),
    (BOTTOM, &[]),
];
/// The bottom: it names no other module.
const BOTTOM: &str = "domain";

/// Dependencies that the table above does not have: a file, and the one thing that it may name.
const EXCEPTIONS: [(&str, &str); 1] = [
    // The test wallet makes invoices that fulfil the simulated node's published rule.
    ("src/cli/wallet.rs", "node::simulated"),
];

/// Crates that only some places may name, and those places: a folder or a file each.
const CRATES: [(&[&str], &[&str]); 5] = [
    (
        &[
            "tonic",
            "tonic_health",
            "tonic_prost",
            "tonic_reflection",
            "tonic_types",
            "prost",
            "prost_reflect",
            "prost_types",
        ],
        &["src/admin/", "src/client/", "src/grpc/", "src/health.rs", "src/node/lnd/", "src/pb.rs"],
    ),
    (&["sqlx"], &["src/store/"]),
    (
        &["opentelemetry", "opentelemetry_otlp", "opentelemetry_sdk", "tracing_opentelemetry"],
        &["src/telemetry/", "src/trace.rs"],
    ),
    (
        &["hyper", "hyper_util", "http_body_util"],
        &["src/admin/", "src/grpc/", "src/http/", "src/node/lnd/", "src/sidecar/"],
    ),
    (
        &["tokio", "tokio_util", "tokio_stream", "tokio_rustls", "rustls"],
        &[
            "src/main.rs",
            "src/admin/",
            "src/app/",
            "src/cli/",
            "src/grpc/",
            "src/health.rs",
            "src/http/",
            "src/integrity/",
            "src/jobs/",
            "src/lookup/",
            "src/metrics/",
            "src/node/",
            "src/payer/",
            "src/runtime.rs",
            "src/service/",
            "src/sidecar/",
            "src/store/",
            "src/client/",
            "src/telemetry/",
        ],
    ),
];

/// What the places above do not cover, each to the letter.
const CRATE_EXCEPTIONS: [(&str, &str); 1] = [
    // A database URL is read where all options are, so that a mistake in it names its option.
    ("src/config/database_url.rs", "sqlx::postgres::PgConnectOptions"),
];

const MAX_LINES: usize = 400;

/// `src/node/lnd/mod.rs` is of the module `node`, `src/pb.rs` of `pb`.
fn module_of(file: &str) -> &str {
    let below = file.strip_prefix("src/").unwrap();
    let first = below.split('/').next().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

fn dependencies_of(module: &str) -> Option<&'static [&'static str]> {
    let found = DEPENDENCIES.into_iter().find(|(from, _)| *from == module);
    found.map(|(_, to)| to)
}

/// Whether `path` is `exception` or lies below it.
fn is_below(path: &[String], exception: &str) -> bool {
    let exception: Vec<&str> = exception.split("::").collect();
    path.len() >= exception.len() && path.iter().zip(&exception).all(|(a, b)| a == b)
}

/// What a file names and should not, as lines to read.
fn wrong_dependencies(file: &str, source: &str) -> Vec<String> {
    let module = module_of(file);
    let Some(allowed) = dependencies_of(module) else {
        return vec![format!("{file}: no dependencies are known of the module {module}")];
    };
    let from_outside = if module == "main" { "withdrawd" } else { "crate" };
    let mut wrong = Vec::new();
    for path in crate_paths(&tokens(source), from_outside, &module_path(file)) {
        let to = path.segments.first().map_or("", String::as_str);
        let is_module = dependencies_of(to).is_some();
        let excepted =
            EXCEPTIONS.iter().any(|(of, what)| *of == file && is_below(&path.segments, what));
        if is_module && to != module && !allowed.contains(&to) && !excepted {
            let path_text = path.segments.join("::");
            wrong.push(format!("{file}:{}: {module} names crate::{path_text}", path.line));
        }
        if !is_module && matches!(to, "" | "*" | "self") {
            wrong.push(format!("{file}:{}: names the whole crate", path.line));
        }
    }
    wrong
}

/// The crates that a file names and should not.
fn crates_out_of_place(file: &str, source: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for path in foreign_paths(&tokens(source)) {
        let name = path.segments.first().map_or("", String::as_str);
        let excepted =
            CRATE_EXCEPTIONS.iter().any(|(of, what)| *of == file && is_below(&path.segments, what));
        for (names, places) in CRATES {
            let in_place = places.iter().any(|place| file.starts_with(place));
            if names.contains(&name) && !in_place && !excepted {
                let path_text = path.segments.join("::");
                wrong.push(format!("{file}:{}: names {path_text}", path.line));
            }
        }
    }
    wrong
}

#[test]
fn dependencies_point_down() {
    let sources = sources();
    assert!(sources.len() > 60, "only {} files were found", sources.len());
    let wrong: Vec<String> =
        sources.iter().flat_map(|(file, source)| wrong_dependencies(file, source)).collect();
    assert!(wrong.is_empty(), "dependencies that point up:\n{}", wrong.join("\n"));
}

/// Each module is built from those below it alone.
#[test]
fn modules_make_no_cycle() {
    let mut placed: Vec<&str> = Vec::new();
    while placed.len() < DEPENDENCIES.len() {
        let is_next = |(from, to): &&(&str, &[&str])| {
            !placed.contains(from) && to.iter().all(|below| placed.contains(below))
        };
        let next = DEPENDENCIES.iter().find(is_next);
        placed.push(next.unwrap_or_else(|| panic!("a cycle above {placed:?}")).0);
    }
}

#[test]
fn drivers_and_wires_stay_in_their_modules() {
    let wrong: Vec<String> =
        sources().iter().flat_map(|(file, source)| crates_out_of_place(file, source)).collect();
    assert!(wrong.is_empty(), "crates out of place:\n{}", wrong.join("\n"));
}

/// What follows from a node's answer is decided by the table (`domain/payment/table.rs`) and, where it
/// leaves a doubt, by `domain/payment/resolve.rs`: elsewhere nobody makes a decision, or reads one but to
/// send, to ask for a witness, or to stay.
#[test]
fn no_other_module_maps_a_nodes_answer_to_a_state() {
    const DECISIONS: [&str; 6] = ["Note", "InFlight", "Pay", "Fail", "Doubt", "LateSuccess"];
    // What a decision makes of an attempt, and of its request.
    const STEPS: [&str; 4] = ["reopen", "doubt", "pay", "note_late_success"];
    let mut wrong = Vec::new();
    for (file, source) in sources() {
        let of_domain = file.starts_with("src/domain/");
        let words = tokens(&source);
        for at in 2..words.len() {
            let [first, second, third] =
                [at - 2, at - 1, at].map(|index| words[index].text.as_str());
            let decides = (first, second) == ("Next", "::") && DECISIONS.contains(&third);
            // A node pays invoices, not requests.
            let steps = second == "." && STEPS.contains(&third) && !file.starts_with("src/node/");
            // An operator gives up what was never sent, beside a payment that was put back.
            let by_an_operator = file == "src/service/instance/restore.rs" && third == "Fail";
            if !of_domain && !by_an_operator && (decides || steps) {
                wrong.push(format!("{file}:{}: {first}{second}{third}", words[at].line));
            }
        }
    }
    assert!(wrong.is_empty(), "decisions outside of the table:\n{}", wrong.join("\n"));
    // It can fail: the payer names what it may.
    let payer = &sources()["src/payer/look.rs"];
    let named =
        tokens(payer).windows(3).any(|words| words[0].text == "Next" && words[2].text == "Witness");
    assert!(named, "the payer no longer reads decisions by these names");
}

/// An exception that nothing needs any more is a dependency that points up in waiting.
#[test]
fn every_exception_is_needed() {
    let sources = sources();
    for (file, what) in EXCEPTIONS {
        let named = crate_paths(&tokens(&sources[file]), "crate", &module_path(file));
        let needed = named.iter().any(|path| is_below(&path.segments, what));
        assert!(needed, "{file} no longer names {what}");
    }
    for (file, what) in CRATE_EXCEPTIONS {
        let named = foreign_paths(&tokens(&sources[file]));
        let needed = named.iter().any(|path| is_below(&path.segments, what));
        assert!(needed, "{file} no longer names {what}");
    }
}

/// Scripts have no suffix here; they are known by their first line.
fn is_written_by_hand(file: &str) -> bool {
    let suffix = Path::new(file).extension().and_then(|suffix| suffix.to_str());
    let by_suffix = matches!(suffix, Some("rs" | "proto" | "sql" | "py" | "sh"));
    by_suffix || read(file).starts_with("#!")
}

#[test]
fn no_file_is_longer_than_a_person_reads() {
    let mut files = vec!["build.rs".to_owned()];
    for folder in ["src", "tests", "proto", ".ci"] {
        files.extend(files_below(folder));
    }
    let mut too_long = Vec::new();
    for file in files.iter().filter(|file| is_written_by_hand(file)) {
        let lines = read(file).lines().count();
        if lines > MAX_LINES {
            too_long.push(format!("{file}: {lines} lines"));
        }
    }
    assert!(too_long.is_empty(), "split:\n{}", too_long.join("\n"));
}

/// The value of `key` in a section of a TOML text, as it stands there.
fn setting<'t>(toml: &'t str, section: &str, key: &str) -> Option<&'t str> {
    let lines = toml.lines().skip_while(|line| line.trim() != section).skip(1);
    let mut within = lines.take_while(|line| !line.starts_with('['));
    within.find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim())
    })
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = read("Cargo.toml");
    let level = setting(&manifest, "[lints.rust]", "unsafe_code");
    assert_eq!(level, Some("\"forbid\""));
}
