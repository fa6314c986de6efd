//! deploy/compose.yaml, as `docker compose` reads it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
};

use serde_json::Value;

use super::{
    deployed::{Deployed, Listeners, Probe, database_over_tcp, exercise, invoice_of, longest_stop},
    image::Image,
    machine::{Differences, Machine},
    object, shipped, texts, yaml,
};
use crate::{bench::binary::test_variable, bench::lab::Lab};

type Variables = BTreeMap<String, String>;

/// `$$`, `${NAME}`, `${NAME:-default}`, `${NAME:?why}`.
fn interpolated(text: &str, host: &Variables) -> Result<String, String> {
    let mut rest = text;
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once('$') {
        out += before;
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let after = after.strip_prefix('{').unwrap_or_else(|| panic!("not understood: {text}"));
        let (inside, after) = after.split_once('}').unwrap();
        let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, operator) = inside.split_at(end.unwrap_or(inside.len()));
        let value = host.get(name).filter(|value| !value.is_empty());
        match (value, operator.get(..2)) {
            (Some(value), _) => out += value,
            (None, Some(":-")) => out += &operator[2..],
            (None, Some(":?")) => return Err(format!("{name}: {}", &operator[2..])),
            _ => panic!("not understood: {text}"),
        }
        rest = after;
    }
    Ok(out + rest)
}

fn all_interpolated(value: &mut Value, host: &Variables) -> Result<(), String> {
    match value {
        Value::String(text) => *text = interpolated(text, host)?,
        Value::Array(values) => {
            return values.iter_mut().try_for_each(|value| all_interpolated(value, host));
        }
        Value::Object(values) => {
            return values.values_mut().try_for_each(|value| all_interpolated(value, host));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// The file with the variables of whoever starts it.
fn composed(host: &Variables) -> Result<Value, String> {
    let mut file = yaml(&shipped("deploy/compose.yaml")).remove(0);
    all_interpolated(&mut file, host)?;
    Ok(file)
}

const SERVICE: [&str; 13] = [
    "build",
    "cap_drop",
    "command",
    "depends_on",
    "environment",
    "image",
    "networks",
    "ports",
    "read_only",
    "restart",
    "security_opt",
    "stop_grace_period",
    "volumes",
];

/// A service on a machine of its own: where its data are, how it is started.
struct Started {
    machine: Machine,
    argv: Vec<String>,
    env: Variables,
    volumes: BTreeMap<String, PathBuf>,
}

fn started(file: &Value, name: &str, host: &Variables, differences: &Differences) -> Started {
    let service = object(&file["services"][name], &SERVICE);
    let image = Image::shipped();
    let mut machine = image.machine(differences);
    let mut env = image.env.clone();
    for (name, value) in service["environment"].as_object().unwrap() {
        let value = match value {
            // Handed on from the host.
            Value::Null => host.get(name).cloned(),
            value => Some(differences.applied(value.as_str().unwrap())),
        };
        env.extend(value.map(|value| (name.clone(), value)));
    }
    let mut volumes = BTreeMap::new();
    for volume in service.get("volumes").map(texts).unwrap_or_default() {
        let mut parts = volume.split(':');
        let (source, target) = (parts.next().unwrap(), parts.next().unwrap());
        let path = match (parts.next(), source.starts_with('/')) {
            (Some("ro"), true) => {
                machine.mount(source.as_ref(), target, "ro");
                source.into()
            }
            (mode, false) => {
                assert!(file["volumes"].get(source).is_some(), "{source} is no volume");
                match mode {
                    None => machine.writable(target),
                    Some("ro") => machine.volume(target, &BTreeMap::new(), 0o444),
                    Some(mode) => panic!("not understood: {mode}"),
                }
            }
            other => panic!("not understood: {other:?}"),
        };
        volumes.insert(target.to_owned(), path);
    }
    let argv = image.argv(service.get("command").map(texts));
    Started { machine, argv, env, volumes }
}

fn host() -> Variables {
    [("POSTGRES_PASSWORD".to_owned(), "5ec2e7".to_owned())].into()
}

#[test]
fn the_password_has_to_be_chosen_and_all_else_has_a_default() {
    if test_variable("WITHDRAWD_TEST_PYTHON").is_none() {
        return;
    }
    assert!(composed(&Variables::new()).unwrap_err().contains("deploy/.env"));
    let file = composed(&host()).unwrap();
    let environment = &file["services"]["withdrawd"]["environment"];
    assert_eq!(environment["WITHDRAWD__NODE__BACKEND"], "simulated");
}

/// Secrets come from whoever starts it: none stands in the file, not even as a default.
#[test]
fn secrets_are_taken_from_the_host() {
    if test_variable("WITHDRAWD_TEST_PYTHON").is_none() {
        return;
    }
    let file = yaml(&shipped("deploy/compose.yaml")).remove(0);
    let mut secret = BTreeSet::new();
    for service in file["services"].as_object().unwrap().values() {
        for (name, value) in service["environment"].as_object().unwrap() {
            let may_be = ["PASSWORD", "KEY", "URL"].iter().any(|part| name.contains(part));
            if may_be && name != "WITHDRAWD__PUBLIC_URL" {
                let value = value.as_str().unwrap();
                let (before, after) = value.split_once("${").expect(name);
                assert!(before.is_empty() || before == "postgres://withdrawd:", "{name}: {value}");
                let (inside, _) = after.split_once('}').unwrap();
                assert!(inside.ends_with(":-") || inside.contains(":?"), "{name}: {value}");
                secret.insert(name.as_str());
            }
        }
    }
    let expected =
        ["POSTGRES_PASSWORD", "WITHDRAWD__KEYS__MASTER", "WITHDRAWD__STORE__DATABASE_URL"];
    assert_eq!(secret, expected.into());
}

#[test]
fn its_services_have_no_more_than_they_need() {
    if test_variable("WITHDRAWD_TEST_PYTHON").is_none() {
        return;
    }
    let file = composed(&host()).unwrap();
    for (name, service) in file["services"].as_object().unwrap() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert!(service.get("privileged").is_none() && service.get("cap_add").is_none());
        let (_, tag) = service["image"].as_str().unwrap().rsplit_once(':').expect("a tag");
        assert_ne!(tag, "latest");
        // Nothing is published beyond this machine; the proxy that ends TLS runs on it.
        for port in service.get("ports").map(texts).unwrap_or_default() {
            assert!(port.starts_with("127.0.0.1:"), "{port}");
        }
    }
    assert_eq!(file["networks"]["database"]["internal"], true);
    assert_eq!(texts(&file["services"]["postgres"]["networks"]), ["database"]);
    let needs = &file["services"]["withdrawd"]["depends_on"];
    assert_eq!(needs["migrate"]["condition"], "service_completed_successfully");
    assert_eq!(needs["postgres"]["condition"], "service_healthy");
}

/// The migration, then the service, whose requests are paid; what differs for both is listed.
async fn pays(
    host: &Variables,
    mut differences: Differences,
    extra: &[(&str, &str)],
    invoice: String,
) {
    let listeners = Listeners::differing_from(&mut differences, "0.0.0.0");
    let database = database_over_tcp().await;
    differences.list("withdrawd:5ec2e7@postgres:5432/withdrawd", &database);
    let file = composed(host).unwrap();

    let migrate = started(&file, "migrate", host, &differences);
    let said = migrate.machine.run(&migrate.argv, &migrate.env);
    assert_eq!(said.ok(), "the schema is up to date\n");

    let service = started(&file, "withdrawd", host, &differences);
    differences.assert_used();
    let grace = file["services"]["withdrawd"]["stop_grace_period"].as_str().unwrap();
    let grace: u64 = grace.strip_suffix('s').unwrap().parse().unwrap();
    let Started { machine, argv, mut env, volumes } = service;
    env.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    assert!(grace > longest_stop(&Image::shipped().config(), &env));
    let public_url = env["WITHDRAWD__PUBLIC_URL"].clone();
    let mut deployed = Deployed::start(machine, &argv, env, &volumes["/data"], listeners.admin);
    deployed.probes(&[Probe::Command(Image::shipped().health)]);
    exercise(&deployed, &deployed, &public_url, invoice).await;
    deployed.ends_within(grace);
}

/// Only a password was chosen: it pays with the simulated node.
#[tokio::test(flavor = "multi_thread")]
async fn it_pays_as_it_is() {
    if test_variable("WITHDRAWD_TEST_PYTHON").is_none()
        || test_variable("WITHDRAWD_TEST_POSTGRES_URL").is_none()
    {
        return;
    }
    pays(&host(), Differences::default(), &[], invoice_of(1000)).await;
}

/// With the variables that its first lines name, and a directory of lnd's two files.
#[tokio::test(flavor = "multi_thread")]
async fn it_pays_with_lnd() {
    let postgres = test_variable("WITHDRAWD_TEST_POSTGRES_URL");
    let (Some(lab), Some(_)) = (Lab::open(), postgres.and(test_variable("WITHDRAWD_TEST_PYTHON")))
    else {
        return;
    };
    let _up = lab.share().await;
    let lnd = tempfile::tempdir().unwrap();
    fs::set_permissions(lnd.path(), fs::Permissions::from_mode(0o755)).unwrap();
    for (name, key) in [("payer.macaroon", "payer_macaroon"), ("tls.cert", "tls_cert")] {
        let copy = lnd.path().join(name);
        fs::copy(lab.fact("payer", key), &copy).unwrap();
        fs::set_permissions(copy, fs::Permissions::from_mode(0o444)).unwrap();
    }
    let key = hex::encode(rand::random::<[u8; 32]>());
    let endpoint = format!("https://{}", lab.fact("payer", "rpc"));
    let mut host = host();
    let chosen = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("WITHDRAWD_LND_DIR", lnd.path().to_str().unwrap()),
        ("WITHDRAWD_LND_ENDPOINT", &endpoint),
        ("WITHDRAWD_MASTER_KEY", &key),
        ("WITHDRAWD_NETWORK", "regtest"),
        ("WITHDRAWD_NODE", "lnd"),
        ("WITHDRAWD_PUBLIC_URL", "https://pay.example.com"),
    ];
    host.extend(chosen.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let invoice = lab.invoice("payee", 1000);
    // All tests pay from one lnd.
    let shared = [("WITHDRAWD__NODE__SHARED", "true")];
    pays(&host, Differences::default(), &shared, invoice.text.clone()).await;
    lab.assert_paid_once(&invoice, 1000).await;
}
