//! That the tests of the architecture can fail: texts that break a rule, and texts that seem to.

use std::collections::BTreeMap;

use super::{crates_out_of_place, cycles::cycles, wrong_dependencies};

/// Each line breaks the rule once, in one of the ways that Rust has for it.
#[test]
fn a_dependency_that_points_up_is_found_however_it_is_spelled() {
    for (file, source) in [
        ("src/domain/money.rs", "use crate::store::SqliteStore;"),
        ("src/domain/money.rs", "use crate::{domain::Sat, ports::{Store, StoreError}};"),
        ("src/domain/money.rs", "fn f() -> crate::runtime::Runtime { todo!() }"),
        ("src/domain/money.rs", "let x = <crate::service::Payer>::new();"),
        ("src/domain/money.rs", "pub use super::super::ports as harmless;"),
        ("src/domain/mod.rs", "use super::{runtime::Clock};"),
        ("src/domain/payment/table.rs", "super::super::super::node::lnd::LndNode"),
        ("src/ports/store.rs", "use crate::{\n    domain,\n    service::chain,\n};"),
        ("src/store/sql/rows.rs", "use crate::node as domain;"),
        ("src/service/claim.rs", "use crate :: /* why */ grpc :: Status;"),
        ("src/sidecar/routes.rs", "use crate::ports::*;"),
        ("src/cli/serve.rs", "use crate::node::simulated;"),
        ("src/cli/wallet.rs", "use crate::node::{lnd::LndNode, simulated};"),
        ("src/app/parts.rs", "use crate::pb;"),
        ("src/runtime.rs", "macro_rules! m { () => { $crate::store::driver } }"),
        ("src/main.rs", "withdrawd::app::start()"),
        ("src/domain/money.rs", "use crate::*;"),
        ("src/domain/money.rs", "use crate::{self as everything};"),
        ("src/newmodule/mod.rs", ""),
    ] {
        assert!(!wrong_dependencies(file, source).is_empty(), "{file}: {source}");
    }
}

#[test]
fn what_only_looks_like_a_dependency_is_none() {
    for (file, source) in [
        (
            "src/domain/money.rs",
            "//! See [`crate::store`].\n/* crate::store /* nested */ crate::app */",
        ),
        ("src/domain/money.rs", "const A: &str = \"crate::store \\\" crate::app\";"),
        ("src/domain/money.rs", "const A: &str = r#\"crate::store \" crate::app\"#;"),
        (
            "src/domain/money.rs",
            "pub(crate) fn f<'a>(store: &'a str, q: char) { '\"'; '\\''; 'x' }",
        ),
        ("src/domain/money.rs", "use crate::domain::{Sat, payment::{State, Sends}};"),
        ("src/domain/payment/table.rs", "use super::super::Msat; use super::store;"),
        ("src/store/sql/rows.rs", "use super::super::driver; use crate::{domain::{a, b}, ports};"),
        ("src/cli/wallet.rs", "use crate::{domain::Sat, node::simulated::{self, preimage_of}};"),
        ("src/main.rs", "use withdrawd::cli::Cli;"),
        ("src/grpc/convert.rs", "use crate::pb::{self, Withdraw};"),
    ] {
        assert_eq!(wrong_dependencies(file, source), Vec::<String>::new(), "{file}: {source}");
    }
}

#[test]
fn a_crate_out_of_place_is_found() {
    for (file, source) in [
        ("src/service/claim.rs", "fn f() -> Result<(), tonic::Status> {}"),
        ("src/service/claim.rs", "use tonic::{Code, Status};"),
        ("src/ports/node.rs", "use tonic as t;"),
        ("src/service/claim.rs", "use sqlx::query;"),
        ("src/config/database_url.rs", "use sqlx::postgres::PgPool;"),
        ("src/cli/serve.rs", "hyper::server::conn()"),
        ("src/domain/claim.rs", "tokio::spawn(f)"),
        ("src/ports/node.rs", "use ::tokio::sync::Mutex;"),
        ("src/domain/claim.rs", "#[tokio::test]\nfn f() {}"),
    ] {
        let found = crates_out_of_place(file, source);
        assert!(!found.is_empty(), "{file}: {source}");
    }
    for (file, source) in [
        ("src/grpc/status.rs", "use tonic::{Code, Status};"),
        ("src/config/database_url.rs", "use sqlx::postgres::PgConnectOptions;"),
        ("src/domain/claim.rs", "/// Not tokio::spawn.\nlet tokio = 1; other::sqlx::f(tokio);"),
    ] {
        assert_eq!(crates_out_of_place(file, source), Vec::<String>::new());
    }
}

#[test]
fn lines_are_counted_through_comments_and_strings() {
    let source = "/* one\n two */\nlet text = \"\n\";\nuse crate::store::Sql;\n";
    let found = wrong_dependencies("src/domain/money.rs", source);
    assert_eq!(found, ["src/domain/money.rs:5: domain names crate::store::Sql"]);
}

fn sources(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(file, source)| ((*file).to_owned(), (*source).to_owned())).collect()
}

/// However one file names another: by a path, by `super`, through what their parent re-exports, through a
/// folder, and over a third.
#[test]
fn a_cycle_between_files_is_found() {
    let parent = ("src/domain/mod.rs", "mod a; mod b; mod c;\npub use b::{B, Inner as Renamed};");
    for (a, b, c) in [
        ("use crate::domain::b::B;", "use crate::domain::a::A;", ""),
        ("use super::b::B;", "use super::{a::A};", ""),
        ("use super::B;", "use super::a::A;", ""),
        ("use crate::domain::Renamed;", "fn f() -> super::a::A {}", ""),
        ("use super::b;", "mod inline { use super::super::a::A; }", ""),
        ("use super::b;", "use super::c;", "use super::a;"),
    ] {
        let files =
            [parent, ("src/domain/a.rs", a), ("src/domain/b.rs", b), ("src/domain/c/mod.rs", c)];
        assert_eq!(cycles(&sources(&files)).len(), 1, "{a} {b} {c}");
    }
    let files = [
        ("src/domain/mod.rs", ""),
        ("src/domain/a.rs", "\nuse super::b;"),
        ("src/domain/b.rs", "use super::a;"),
    ];
    assert_eq!(
        cycles(&sources(&files)),
        ["domain::a uses domain::b (src/domain/a.rs:2)\n\
             domain::b uses domain::a (src/domain/b.rs:1)"]
    );
}

#[test]
fn what_only_looks_like_a_cycle_is_none() {
    for (parent, a, b) in [
        // A child uses its parent, which names it.
        ("mod a; use a::A; pub struct P;", "use super::P;", ""),
        // Tests, and what is compiled for them.
        ("", "use super::b;", "#[cfg(test)]\nmod tests { use crate::domain::a::A; }"),
        ("", "use super::b;", "#[cfg(test)]\nuse super::a::A;\nfn f() {}"),
        // Comments, and what has the same name elsewhere.
        ("", "use super::b;", "//! See [`super::a`].\nuse crate::ports::a;"),
        // Its own module, from inside of it.
        ("", "use super::b;", "struct B; mod inline { use super::B; }"),
    ] {
        let files = [("src/domain/mod.rs", parent), ("src/domain/a.rs", a), ("src/domain/b.rs", b)];
        assert!(cycles(&sources(&files)).is_empty(), "{parent} {a} {b}");
    }
    let files = [
        ("src/domain/mod.rs", ""),
        ("src/domain/a.rs", "use super::a_test;"),
        ("src/domain/a_test.rs", "use super::a;"),
    ];
    assert!(cycles(&sources(&files)).is_empty());
}
