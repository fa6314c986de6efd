//! deploy/systemd: the unit, as systemd reads it.

use std::{collections::BTreeMap, fs};

use super::{
    deployed::{Deployed, Listeners, database_over_tcp, exercise, longest_stop},
    image::BINARY,
    machine::{Differences, Machine},
    shipped,
};
use crate::{bench::binary::test_variable, bench::lab::Lab};

pub const UNIT: &str = "deploy/systemd/withdrawd.service";
const CREDENTIALS: &str = "/run/credentials/withdrawd.service";

/// What decides how it starts and ends; and what confines it, which `systemd-analyze` knows.
const STARTS: [&str; 12] = [
    "Environment",
    "EnvironmentFile",
    "ExecStart",
    "KillSignal",
    "LoadCredential",
    "Restart",
    "RestartSec",
    "StateDirectory",
    "StateDirectoryMode",
    "TimeoutStopSec",
    "Type",
    "User",
];

/// The values of a setting of its section `[Service]`, in order.
fn settings(name: &str) -> Vec<String> {
    let text = shipped(UNIT);
    let section = text.split_once("[Service]\n").unwrap().1.split_once("\n[").unwrap().0;
    let lines = section.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pairs = lines.map(|line| line.split_once('=').unwrap());
    pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.to_owned()).collect()
}

fn setting(name: &str) -> String {
    let [value] = &settings(name)[..] else { panic!("not once: {name}") };
    value.clone()
}

/// The two specifiers that it uses.
fn specified(text: &str) -> String {
    let text = text.replace("%S", "/var/lib").replace("%d", CREDENTIALS);
    assert!(!text.contains('%'), "not understood: {text}");
    text
}

#[test]
fn whatever_starts_it_is_understood() {
    let text = shipped(UNIT);
    let store_kinds =
        ["Exec", "Root", "Working", "PassEnv", "UnsetEnv", "SetCred", "Bind", "Tempo"];
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let key = line.split('=').next().unwrap();
        if store_kinds.iter().any(|kind| key.starts_with(kind)) || key.contains("Directory") {
            assert!(STARTS.contains(&key), "not understood: {line}");
        }
    }
    assert_eq!((setting("Type"), setting("Restart")), ("exec".into(), "on-failure".into()));
    assert_eq!(setting("KillSignal"), "SIGTERM");
    // Nothing secret stands in it.
    for (secret, needle) in [("URL", "DATABASE_URL="), ("key", "MASTER="), ("password", "://")] {
        let settings = settings("Environment").join("\n");
        assert!(!settings.contains(needle), "{secret}");
    }
}

/// With credentials of the tests' lnd, and the database's URL in the file that is root's alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_unit_pays() {
    let (Some(lab), Some(_)) = (Lab::open(), test_variable("WITHDRAWD_TEST_POSTGRES_URL")) else {
        return;
    };
    let _up = lab.share().await;
    let mut differences = Differences::default();
    differences.list("network = \"bitcoin\"", "network = \"regtest\"");
    let endpoint = format!("https://{}", lab.fact("payer", "rpc"));
    differences.list("https://127.0.0.1:10009", &endpoint);

    let mut machine = Machine::with(BINARY);
    // As systemd gives to DynamicUser=.
    machine.user(61_184);
    let etc = differences.applied(&shipped("deploy/systemd/withdrawd.toml"));
    machine.file("/etc/withdrawd/withdrawd.toml", &etc);
    let state = format!("/var/lib/{}", setting("StateDirectory"));
    let data = machine.writable(&state);
    let secrets = BTreeMap::from([
        ("/etc/withdrawd/master.key", hex::encode(rand::random::<[u8; 32]>()).into_bytes()),
        ("/etc/withdrawd/payer.macaroon", fs::read(lab.fact("payer", "payer_macaroon")).unwrap()),
        ("/etc/withdrawd/tls.cert", fs::read(lab.fact("payer", "tls_cert")).unwrap()),
    ]);
    let credentials = settings("LoadCredential").into_iter().map(|line| {
        let (id, path) = line.split_once(':').unwrap();
        (id.to_owned(), secrets[path].clone())
    });
    machine.volume(CREDENTIALS, &credentials.collect(), 0o440);

    let listeners = Listeners::new();
    let mut env = BTreeMap::from([("CREDENTIALS_DIRECTORY".to_owned(), CREDENTIALS.to_owned())]);
    for line in settings("Environment") {
        let (name, value) = line.split_once('=').unwrap();
        env.insert(name.to_owned(), specified(value));
    }
    assert_eq!(setting("EnvironmentFile"), "-/etc/withdrawd/environment");
    let written = [
        ("WITHDRAWD__STORE__DATABASE_URL", format!("postgres://{}", database_over_tcp().await)),
        // What differs here: free ports, and an lnd that all tests pay from.
        ("WITHDRAWD__GRPC__LISTEN", "127.0.0.1:0".to_owned()),
        ("WITHDRAWD__LNURL__LISTEN", "127.0.0.1:0".to_owned()),
        ("WITHDRAWD__ADMIN__LISTEN", listeners.admin.to_string()),
        ("WITHDRAWD__NODE__SHARED", "true".to_owned()),
    ];
    env.extend(written.map(|(name, value)| (name.to_owned(), value)));
    differences.assert_used();

    let stop = setting("TimeoutStopSec").strip_suffix('s').unwrap().parse().unwrap();
    assert!(stop > longest_stop(&etc, &env));
    let argv: Vec<_> = setting("ExecStart").split(' ').map(specified).collect();
    assert_eq!(argv[0], BINARY);
    let mut deployed = Deployed::start(machine, &argv, env, &data, listeners.admin);
    let invoice = lab.invoice("payee", 1000);
    exercise(&deployed, &deployed, "https://pay.example.com", invoice.text.clone()).await;
    lab.assert_paid_once(&invoice, 1000).await;
    deployed.ends_within(stop);
}
