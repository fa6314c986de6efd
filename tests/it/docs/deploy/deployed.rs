//! What happens at each deployment: it starts, is probed, pays somebody, and is stopped.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, UnixStream},
};
use withdrawd::{
    config::Config,
    domain::Millis,
    runtime::{Clock, SystemClock},
};

use super::machine::{Differences, Machine, free_port};
use crate::{
    bench::binary::{Home, Service, until},
    bench::http,
    bench::invoices::InvoiceDraft,
    bench::{claim_at, new_postgres_database},
};

/// Where a deployment listens here instead of on the ports of the image.
pub struct Listeners {
    /// The others are free ones, which are in `listen.json`. This one is asked for by its number.
    pub admin: SocketAddr,
}

impl Listeners {
    pub fn new() -> Self {
        Self { admin: SocketAddr::from(([127, 0, 0, 1], free_port())) }
    }

    pub fn differing_from(differences: &mut Differences, host: &str) -> Self {
        let listeners = Self::new();
        differences.list(&format!("{host}:50051"), "127.0.0.1:0");
        differences.list(&format!("{host}:8080"), "127.0.0.1:0");
        differences.list(&format!("{host}:9090"), &listeners.admin.to_string());
        listeners
    }
}

/// A probe, as it was rendered.
#[derive(Clone, Debug)]
pub enum Probe {
    /// A path of the admin listener.
    Http(String),
    /// A program in the container.
    Command(Vec<String>),
}

/// One that runs.
pub struct Deployed {
    machine: Machine,
    env: BTreeMap<String, String>,
    pub service: Service,
    admin: SocketAddr,
    _home: Home,
}

/// Beside the binary's own settings, what these read is known.
const OTHERS: [&str; 6] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_RESOURCE_ATTRIBUTES",
    // They make up the one above.
    "POD_NAME",
    "POD_NAMESPACE",
    "WITHDRAWD_CONFIG",
    // systemd's.
    "CREDENTIALS_DIRECTORY",
];

/// A setting that is misspelt is refused by the binary itself; any other name has to be known here.
pub fn assert_understood(env: &BTreeMap<String, String>) {
    for name in env.keys() {
        let understood = name.starts_with("WITHDRAWD__") || OTHERS.contains(&name.as_str());
        assert!(understood, "not understood: {name}");
    }
}

impl Deployed {
    pub fn start(
        machine: Machine,
        argv: &[String],
        env: BTreeMap<String, String>,
        data: &Path,
        admin: SocketAddr,
    ) -> Self {
        assert_understood(&env);
        let home = Home::new();
        let service = home.start(machine.command(argv, &env), &data.join("listen.json"));
        until("it accepts claims", || {
            service.cli(&["instance"]).out.contains("accepts claims").then_some(())
        });
        Self { machine, env, service, admin, _home: home }
    }

    pub fn probe(&self, probe: &Probe) -> bool {
        match probe {
            Probe::Command(argv) => self.machine.run(argv, &self.env).code == Some(0),
            Probe::Http(path) => {
                let (admin, path) = (self.admin, path.clone());
                let asked = async move {
                    let head = format!("GET {path} HTTP/1.1\r\nHost: {admin}\r\n");
                    http::raw(admin, (head + "Connection: close\r\n\r\n").as_bytes()).await
                };
                let asked = tokio::task::block_in_place(|| {
                    tokio::runtime::Handle::current().block_on(asked)
                });
                asked.is_ok_and(|answer| answer.status == 200)
            }
        }
    }

    /// All of them say yes.
    pub fn probes(&self, probes: &[Probe]) {
        for probe in probes {
            assert!(self.probe(probe), "{probe:?}: {}", self.service.log());
        }
    }

    /// SIGTERM: it exits 0 within the time that it is given before it would be killed.
    pub fn ends_within(&mut self, seconds: u64) {
        self.service.send_signal("TERM");
        self.ended_within(seconds);
    }

    /// The same, after SIGTERM. A second one would end it at once.
    pub fn ended_within(&mut self, seconds: u64) {
        let began = Instant::now();
        let status = self.service.wait();
        assert_eq!(status.code(), Some(0), "{}", self.service.log());
        assert!(began.elapsed() < Duration::from_secs(seconds), "{:?}", began.elapsed());
    }
}

/// An invoice that the simulated node pays.
pub fn invoice_of(sat: u64) -> String {
    InvoiceDraft::new(sat * 1000, SystemClock::new().now()).build()
}

/// A request is made at one replica over gRPC; a wallet scans its code and claims at another; it is
/// paid. Who runs it has said where wallets come from.
pub async fn exercise(
    made_at: &Deployed,
    claimed_at: &Deployed,
    public_url: &str,
    invoice: String,
) {
    let made = made_at.service.create("1000");
    let secret = made["ott"].as_str().unwrap();
    let lnurl = claimed_at.service.lnurl;
    let offer = http::get(lnurl, &format!("/w/{secret}")).await.json();
    assert_eq!(offer["callback"], format!("{public_url}/cb"), "{offer}");
    assert_eq!(offer["k1"], secret);
    let answer = claim_at(lnurl, secret, &invoice).await;
    assert_eq!(answer, json!({ "status": "OK" }), "{}", claimed_at.service.log());
    let paid: Value = made_at.service.paid(&made["id"]);
    assert_eq!(paid["payment"]["amount_msat"], "1000000");
}

/// A fresh database of the tests' Postgres, over TCP: its socket is another user's. Answers with what
/// stands between `postgres://` and the end.
pub async fn database_over_tcp() -> String {
    let url = new_postgres_database().await;
    let options: PgConnectOptions = url.parse().unwrap();
    let directory = options.get_socket().expect("the tests' Postgres is on a socket");
    let socket = directory.join(format!(".s.PGSQL.{}", options.get_port()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let socket = socket.clone();
            tokio::spawn(async move {
                let mut server = UnixStream::connect(socket).await.unwrap();
                // One of them hung up, as they do.
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    format!("postgres@{address}/{}", options.get_database().unwrap())
}

/// What a stop may take beyond its settings: 3 s for a collector, 2 s for the database, half a second for
/// who probes.
const AFTER_DRAIN: Millis = Millis::from_ms(5500);

/// The seconds that a deployment may take to end, by its file and its environment.
pub fn longest_stop(toml: &str, env: &BTreeMap<String, String>) -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("withdrawd.toml");
    fs::write(&file, toml).unwrap();
    let settings = env.iter().filter_map(|(name, value)| {
        let key = name.strip_prefix("WITHDRAWD__")?.to_lowercase().replace("__", ".");
        Some((&*key.leak(), value.clone()))
    });
    let config = Config::load(Some(&file), &settings.collect::<Vec<_>>()).unwrap();
    // Its credential files are not here: the times are read as they stand.
    let (wait, drain) = (config.shutdown.wait_ms, config.shutdown.drain_ms);
    let (wait, drain) = (Millis::from_ms(wait), Millis::from_ms(drain));
    wait.plus(drain).plus(AFTER_DRAIN).as_secs_rounded_up().try_into().unwrap()
}
