//! The checks of others: the schemas of Kubernetes and of compose files, hadolint, yamllint, systemd.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use super::{
    image::BINARY,
    kubernetes::{made_up, rendered},
    machine::Machine,
    shipped, tool,
    unit::UNIT,
};
use crate::bench::binary::CommandOutput;

/// Kubernetes' own schemas; unknown fields are mistakes.
fn validated(text: &str) -> Output {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("rendered.yaml");
    fs::write(&file, text).unwrap();
    tool("kubernetes-validate").unwrap().arg("--strict").arg(file).output().unwrap()
}

#[test]
fn every_object_is_as_kubernetes_has_it() {
    let Some(text) = rendered(&made_up()) else { return };
    let done = validated(&text);
    assert!(done.status.success(), "{done:?}");
    // It would have noticed.
    let misspelt = text.replacen("enableServiceLinks", "enableServiceLink", 1);
    assert!(!validated(&misspelt).status.success());
}

#[test]
fn the_dockerfile_passes_hadolint() {
    let Some(mut hadolint) = tool("hadolint") else { return };
    let done = hadolint.args(["--failure-threshold=style", "deploy/docker/Dockerfile"]).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[test]
fn the_compose_file_follows_its_specification() {
    let Some(mut check) = tool("check-jsonschema") else { return };
    let done = check.args(["--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"]);
    let done = done.output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn the_yaml_is_clean() {
    let Some(mut yamllint) = tool("yamllint") else { return };
    let done = yamllint.args(["--strict", "--config-file=deploy/.yamllint", "deploy"]).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

/// No more than the figure in the unit's comment. (Versions of systemd weigh differently.)
#[test]
fn the_unit_is_as_closed_as_it_says() {
    let text = shipped(UNIT);
    let (_, told) = text.split_once("an exposure of ").unwrap();
    let told: f64 = told.split(' ').next().unwrap().parse().unwrap();
    let analyzed = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(format!("--threshold={:.0}", told * 10.0))
        .arg(Path::new(crate::bench::documents::ROOT).join(UNIT))
        .output();
    let said = CommandOutput::of(analyzed.expect("systemd-analyze, of Debian's package systemd"));
    let level = said.out.lines().last().unwrap_or_default();
    assert_eq!(said.code, Some(0), "more than {told}: {level} {}", said.err);
}

/// Where the unit's binary is there.
#[test]
fn the_unit_is_one_that_systemd_understands() {
    let machine = Machine::with(BINARY);
    let verified = |text: &str| {
        machine.file("/etc/withdrawd.service", text);
        let unit = machine.path("/etc/withdrawd.service");
        let done = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(unit).output();
        CommandOutput::of(done.unwrap())
    };
    let text = shipped(UNIT).replace(BINARY, machine.path(BINARY).to_str().unwrap());
    let said = verified(&text);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""), "{said:?}");
    // It would have noticed.
    assert!(
        verified(&text.replace("ProtectClock=", "ProtectClocks=")).err.contains("ProtectClocks")
    );
}
