//! deploy/kustomize: the example overlay over the base, rendered, and its pods.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    deployed::{Deployed, Listeners, Probe, database_over_tcp, exercise, longest_stop},
    machine::Differences,
    object,
    pods::{Pod, from_base64},
    tool, yaml,
};
use crate::{
    bench::binary::{CommandOutput, test_variable, until},
    bench::documents::ROOT,
    bench::lab::Lab,
};

/// What the overlay takes from files that are not committed.
pub type Secrets<'a> = [(&'a str, Vec<u8>); 4];

/// Every object that would be applied, as text.
pub fn rendered(secrets: &Secrets) -> Option<String> {
    let mut kubectl = tool("kubectl")?;
    let copy = TempDir::new().unwrap();
    for part in ["base", "example"] {
        let (from, to) =
            (Path::new(ROOT).join("deploy/kustomize").join(part), copy.path().join(part));
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_file() {
                fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
            }
        }
    }
    let folder = copy.path().join("example/secrets");
    fs::create_dir(&folder).unwrap();
    for (name, content) in secrets {
        fs::write(folder.join(name), content).unwrap();
    }
    kubectl.arg("kustomize").arg(copy.path().join("example"));
    Some(CommandOutput::of(kubectl.output().unwrap()).ok().to_owned())
}

/// Secrets that open nothing.
pub fn made_up() -> Secrets<'static> {
    ["database-url", "master.key", "payer.macaroon", "tls.cert"]
        .map(|name| (name, format!("{name} made up").into_bytes()))
}

/// The objects of a cluster.
pub struct Objects(pub Vec<Value>);

impl Objects {
    pub fn rendered(secrets: &Secrets) -> Option<Self> {
        Some(Self(yaml(&rendered(secrets)?)))
    }

    pub fn all<'a>(&'a self, kind: &str) -> std::vec::IntoIter<&'a Value> {
        let found = self.0.iter().filter(|object| object["kind"] == kind);
        found.collect::<Vec<_>>().into_iter()
    }

    pub fn named(&self, kind: &str, name: &Value) -> &Value {
        let found = self.all(kind).find(|object| object["metadata"]["name"] == *name);
        found.unwrap_or_else(|| panic!("no {kind} {name}"))
    }

    pub fn only(&self, kind: &str) -> &Value {
        let mut all = self.all(kind);
        let only = all.next().unwrap_or_else(|| panic!("no {kind}"));
        assert!(all.next().is_none(), "more than one {kind}");
        only
    }

    /// The files of a `ConfigMap`.
    pub fn config(&self, name: &Value) -> BTreeMap<String, String> {
        let data = self.named("ConfigMap", name)["data"].as_object().unwrap().iter();
        data.map(|(key, text)| (key.clone(), text.as_str().unwrap().to_owned())).collect()
    }

    pub fn secret(&self, name: &Value, key: &Value) -> Vec<u8> {
        let data = &self.named("Secret", name)["data"][key.as_str().unwrap()];
        from_base64(data.as_str().unwrap_or_else(|| panic!("{key} of {name}")))
    }
}

/// The probes of a container, which all ask the port of probes.
fn probes(container: &Value) -> [Probe; 3] {
    let ports = container["ports"].as_array().unwrap();
    let admin = ports.iter().find(|port| port["name"] == "admin").unwrap();
    assert_eq!(admin["containerPort"], 9090);
    ["startupProbe", "readinessProbe", "livenessProbe"].map(|name| {
        let get = object(&container[name]["httpGet"], &["path", "port"]);
        assert_eq!(get["port"], "admin");
        Probe::Http(get["path"].as_str().unwrap().to_owned())
    })
}

/// What Prometheus is configured to scrape.
fn scraped(template: &Value) -> Probe {
    let told = &template["metadata"]["annotations"];
    assert!(told["prometheus.io/scrape"] == "true" && told["prometheus.io/port"] == "9090");
    Probe::Http(told["prometheus.io/path"].as_str().unwrap().to_owned())
}

/// The migration's Job, then both replicas over one Postgres and one lnd. A request that one made is
/// claimed at the other. Then one is stopped: it says that it is not ready, answers calls until
/// that was noticed, and the other one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn two_pods_pay_once_and_end_one_after_the_other() {
    let postgres = test_variable("WITHDRAWD_TEST_POSTGRES_URL");
    let (Some(lab), Some(_)) = (Lab::open(), postgres.and(test_variable("WITHDRAWD_TEST_PYTHON")))
    else {
        return;
    };
    let _up = lab.share().await;
    let file = |key| fs::read(lab.fact("payer", key)).unwrap();
    let secrets = [
        ("database-url", format!("postgres://{}", database_over_tcp().await).into_bytes()),
        ("master.key", hex::encode(rand::random::<[u8; 32]>()).into_bytes()),
        ("payer.macaroon", file("payer_macaroon")),
        ("tls.cert", file("tls_cert")),
    ];
    let objects = Objects::rendered(&secrets).unwrap();
    let deployment = objects.only("Deployment");
    let template = &deployment["spec"]["template"]["spec"];
    let container = &template["containers"][0];
    let [startup, ready, live] = probes(container);

    // A pod that comes before the migration says what it lacks, and ends: it is started again.
    let before = Pod::of(&objects, deployment, "withdrawd-0", &Differences::default());
    let said = before.machine.run(&before.argv, &before.env);
    assert!(said.code == Some(1) && said.err.contains("the store cannot be opened"), "{said:?}");
    let job =
        Pod::of(&objects, objects.only("Job"), "withdrawd-migrate-1", &Differences::default());
    assert_eq!(job.machine.run(&job.argv, &job.env).ok(), "the schema is up to date\n");

    assert_eq!(deployment["spec"]["replicas"], 2);
    let grace = template["terminationGracePeriodSeconds"].as_u64().unwrap();
    let mut pods = ["withdrawd-1", "withdrawd-2"].map(|name| {
        let mut differences = Differences::default();
        let listeners = Listeners::differing_from(&mut differences, "0.0.0.0");
        let endpoint = format!("https://{}", lab.fact("payer", "rpc"));
        differences.list("https://lnd.example.com:10009", &endpoint);
        differences.list("WITHDRAWD__NETWORK=bitcoin", "WITHDRAWD__NETWORK=regtest");
        // However slow this machine is, there is a call before the wait is over.
        differences.list("wait_ms = 5000", "wait_ms = 15000");
        // Nobody listens there.
        differences.list("http://otel-collector.monitoring:4317", "http://127.0.0.1:9");
        let mut pod = Pod::of(&objects, deployment, name, &differences);
        differences.assert_used();
        // All tests pay from one lnd.
        pod.env.insert("WITHDRAWD__NODE__SHARED".to_owned(), "true".to_owned());
        assert!(grace > longest_stop(&pod.config, &pod.env));
        Deployed::start(pod.machine, &pod.argv, pod.env, &pod.volumes["/data"], listeners.admin)
    });
    let scraped = scraped(&deployment["spec"]["template"]);
    for pod in &pods {
        pod.probes(&[startup.clone(), ready.clone(), live.clone(), scraped.clone()]);
    }
    let invoice = lab.invoice("payee", 1000);
    exercise(&pods[0], &pods[1], "https://pay.example.com", invoice.text.clone()).await;
    lab.assert_paid_once(&invoice, 1000).await;

    let [first, second] = &mut pods;
    first.service.send_signal("TERM");
    until("it is not ready", || (!first.probe(&ready)).then_some(()));
    first.probes(&[live]);
    assert!(first.service.create("10")["claimable"].as_bool().unwrap());
    second.probes(&[ready]);
    first.ended_within(grace);
    let invoice = lab.invoice("payee", 1000);
    exercise(second, second, "https://pay.example.com", invoice.text).await;
    second.ends_within(grace);
}
