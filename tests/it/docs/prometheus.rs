//! Debian's Prometheus: it checks the rules, runs their tests, and scrapes the running binary.

use std::{
    collections::BTreeSet,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{
    bench::binary::{CommandOutput, Home, clean_command, test_variable, until},
    bench::documents::ROOT,
    bench::http,
    docs::deploy::free_port,
};

fn deploy() -> PathBuf {
    Path::new(ROOT).join("deploy/prometheus")
}

/// A program of Prometheus, where tests/run has put it.
fn program(name: &str) -> Option<Command> {
    let folder = test_variable("WITHDRAWD_TEST_PROMETHEUS")?;
    Some(clean_command(Path::new(&folder).join(name)))
}

#[test]
fn the_rules_are_valid_and_so_is_the_example() {
    for (kind, file) in [("rules", "rules.yml"), ("config", "prometheus.yml")] {
        let Some(mut promtool) = program("promtool") else { return };
        let said = CommandOutput::of(
            promtool.args(["check", kind]).arg(deploy().join(file)).output().unwrap(),
        );
        assert_eq!(said.code, Some(0), "{file}: {said:?}");
        assert!(said.out.contains("rules found"), "{file}: {said:?}");
    }
}

/// A healthy day alarms nobody; each trouble wakes the right person.
#[test]
fn the_alerts_fire_in_their_scenarios() {
    let Some(mut promtool) = program("promtool") else { return };
    let scenarios = deploy().join("rules_test.yml");
    let said = CommandOutput::of(promtool.args(["test", "rules"]).arg(scenarios).output().unwrap());
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// What follows a word at the beginning of a line.
fn all_after<'t>(text: &'t str, word: &str) -> Vec<&'t str> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix(word)).map(str::trim).collect()
}

/// Each alert says what it is and where to read on, and has a test.
#[test]
fn every_alert_leads_to_its_section_of_the_guide() {
    let rules = fs::read_to_string(deploy().join("rules.yml")).unwrap();
    let guide = fs::read_to_string(Path::new(ROOT).join("deploy/operations.md")).unwrap();
    let scenarios = fs::read_to_string(deploy().join("rules_test.yml")).unwrap();
    let alerts = all_after(&rules, "- alert:");
    assert!(alerts.len() > 10, "{alerts:?}");
    let sections: BTreeSet<&str> = all_after(&guide, "### ")
        .into_iter()
        .filter(|name| name.starts_with("Withdrawd"))
        .collect();
    assert_eq!(sections, alerts.iter().copied().collect());
    for rule in rules.split("- alert:").skip(1) {
        let name = rule.lines().next().unwrap().trim();
        for part in ["expr:", "severity:", "summary:", "description:"] {
            assert_eq!(all_after(rule, part).len(), 1, "{name}: {part}");
        }
        let runbook = format!("\"deploy/operations.md#{}\"", name.to_lowercase());
        assert_eq!(all_after(rule, "runbook:"), [runbook], "{name}");
        let fires = scenarios
            .split("alertname: ")
            .any(|check| check.lines().next() == Some(name) && check.contains("exp_alerts:"));
        assert!(fires, "{name} never rings in rules_test.yml");
    }
}

/// Rules about metrics that are not exported would never fire.
#[test]
fn rules_use_exported_metrics_only() {
    let rules = fs::read_to_string(deploy().join("rules.yml")).unwrap();
    let guide = fs::read_to_string(Path::new(ROOT).join("deploy/operations.md")).unwrap();
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let mut asked = 0;
    for word in
        words.filter(|word| word.starts_with("withdrawd_") || word.starts_with("rpc_server"))
    {
        let name = ["_count", "_bucket"].iter().find_map(|suffix| word.strip_suffix(suffix));
        let name = name.unwrap_or(word);
        assert!(guide.contains(&format!("| `{name}` |")), "{word} is not told");
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
}

/// A Prometheus of its own; killed when dropped.
struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    /// With the example's configuration, but for the address and the pace.
    fn scraping(admin: SocketAddr, dir: &Path, mut program: Command) -> Self {
        let example = fs::read_to_string(deploy().join("prometheus.yml")).unwrap();
        let config = example
            .replace("127.0.0.1:9090", &admin.to_string())
            .replace("15s", "200ms")
            .replace("rules.yml", deploy().join("rules.yml").to_str().unwrap());
        fs::write(dir.join("prometheus.yml"), config).unwrap();
        // It does not say which port it took.
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let log = fs::File::create(dir.join("prometheus.log")).unwrap();
        let child = program
            .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, address }
    }

    /// The answer of its HTTP API, once it is up.
    fn ask(&self, path: &str) -> Option<Value> {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let request = format!("GET {path} HTTP/1.0\r\n\r\n");
        let answer = tokio.block_on(http::raw(self.address, request.as_bytes())).ok()?;
        (answer.status == 200).then(|| answer.json())
    }
}

#[test]
fn a_real_prometheus_scrapes_the_running_binary() {
    let Some(program) = program("prometheus") else { return };
    let home = Home::new();
    let service = home.serve(&[]);
    let made = service.create("10");
    service.json(&["claim", made["withdraw_request"].as_str().unwrap()]);
    service.paid(&made["id"]);
    let prometheus = Prometheus::scraping(service.admin, home.path(), program);

    let target = until("a scrape", || {
        let targets = prometheus.ask("/api/v1/targets")?;
        let target = targets["data"]["activeTargets"][0].clone();
        (target["health"] != "unknown" && !target.is_null()).then_some(target)
    });
    assert_eq!((&target["health"], &target["lastError"]), (&"up".into(), &"".into()), "{target}");
    let value = |query: &str| {
        until(query, || {
            let answer = prometheus.ask(&format!("/api/v1/query?query={query}"))?;
            answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
        })
    };
    assert_eq!(value("withdrawd_payments_total{state=%22PAID%22,reason=%22%22}"), "1");
    assert_eq!(value("withdrawd_claim_to_paid_seconds_count"), "1");
    assert_eq!(value("sum(withdrawd_build_info{store=%22sqlite%22,node=%22simulated%22})"), "1");
    assert_eq!(value("withdrawd_lnurl_request_duration_seconds_count{answer=%22OK%22}"), "1");
    // It knows what is a counter, and in which unit.
    let known = until("metadata", || {
        let answer = prometheus.ask("/api/v1/targets/metadata?metric=withdrawd_paid_msat")?;
        answer["data"].get(0).cloned()
    });
    assert_eq!((&known["type"], &known["unit"]), (&"counter".into(), &"msat".into()), "{known}");
    let rules = until("rules", || prometheus.ask("/api/v1/rules"));
    let rules = rules["data"]["groups"][0]["rules"].as_array().unwrap();
    assert!(rules.iter().all(|rule| rule["health"] != "err"), "{rules:?}");
}
