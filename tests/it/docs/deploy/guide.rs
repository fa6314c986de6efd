//! The section of deploy/operations.md on how to deploy, as far as this machine can follow it.

use std::{fs, path::Path, process::Command};

use super::{tool, yaml};
use crate::bench::documents::{DocumentRun, ROOT};

const GUIDE: &str = "deploy/operations.md";

/// In a directory with what the repository ships.
fn guide() -> DocumentRun {
    let run = DocumentRun::of(GUIDE);
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(Path::new(ROOT).join("deploy")).arg(run.home.path());
    assert!(copy.status().unwrap().success());
    run
}

#[test]
fn it_makes_an_overlay_and_renders_it() {
    let Some(kubectl) = tool("kubectl") else { return };
    let mut run = guide();
    run.tool("kubectl", &format!("exec {} \"$@\"", kubectl.get_program().to_str().unwrap()));
    for lnd in ["payer.macaroon", "tls.cert"] {
        fs::write(run.home.path().join(lnd), lnd).unwrap();
    }
    run.run_scenario("kubernetes");
    let objects = yaml(run.output_of("kubectl kustomize"));
    let named = |kind: &str| objects.iter().filter(|object| object["kind"] == kind).count();
    assert_eq!((named("Deployment"), named("Job"), named("Secret")), (1, 1, 3));
    // None of the four can be committed by mistake.
    let ignored = fs::read_to_string(run.home.path().join("deploy/.gitignore")).unwrap();
    assert!(ignored.contains("/kustomize/*/secrets/*"));
}

#[test]
fn it_judges_the_unit() {
    let mut run = guide();
    run.run_scenario("systemd");
    assert!(run.output_of("systemd-analyze").contains("Overall exposure level"));
}
