//! The network and the Postgres that the rounds may break: nobody else's. tests/run names the place
//! and stops what was started there.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use serde_json::Value;

use crate::{
    bench::binary::test_variable,
    bench::lab::{Lab, eventually},
};

const NODES: [&str; 3] = ["payer", "payee", "stranger"];

/// All that a round does not own itself.
pub struct Environment {
    pub lab: Lab,
    dir: PathBuf,
    /// Two test processes in one place would kill each other's nodes.
    _mine: File,
}

/// A node's newest entries begin after these.
#[derive(Clone)]
pub struct Marks {
    invoices: String,
    payments: String,
    /// Bytes of the payee's log.
    log: usize,
}

impl Environment {
    /// A new network. None, with a message, where there is no place for it.
    pub async fn open() -> Option<Arc<Self>> {
        let dir = PathBuf::from(test_variable("WITHDRAWD_TEST_CHAOS")?);
        let environment = tokio::task::spawn_blocking(move || {
            let mine = File::create(dir.join("lock")).unwrap();
            mine.lock().unwrap();
            let (network, postgres) = (dir.join("ln"), dir.join("pg"));
            // An earlier one may be wedged.
            if network.exists() {
                script("lab/lab", "stop", &network);
                fs::remove_dir_all(&network).unwrap();
            }
            script("lab/lab", "start", &network);
            if !postgres.join("url").exists() {
                script("postgres", "start", &postgres);
            }
            Self { lab: Lab::at(&network.join("lab.json")), dir, _mine: mine }
        });
        let environment = Arc::new(environment.await.unwrap());
        environment.resume_postgres().await;
        Some(environment)
    }

    pub fn postgres_url(&self) -> String {
        fs::read_to_string(self.dir.join("pg/url")).unwrap().trim().to_owned()
    }

    /// `pg_ctl stop -m immediate`: no checkpoint, no farewell.
    pub async fn crash_postgres(self: &Arc<Self>) {
        self.blocking(|environment| script("postgres", "crash", &environment.dir.join("pg"))).await;
    }

    pub async fn resume_postgres(self: &Arc<Self>) {
        self.blocking(|environment| script("postgres", "resume", &environment.dir.join("pg")))
            .await;
    }

    /// Everything is up, and the payer can pay the payee, unless their channel is wedged.
    pub async fn repair(self: &Arc<Self>, since: &Marks) {
        self.resume_postgres().await;
        for node in NODES {
            if self.lab.pids(node).is_empty() {
                self.lab.start(node);
            }
        }
        eventually("the payer finds a route", async || {
            let since = since.clone();
            self.blocking(move |environment| {
                let lab = &environment.lab;
                let payee = format!("{}@{}", lab.fact("payee", "pubkey"), lab.fact("payee", "p2p"));
                // lnd waits longer and longer before it dials a lost peer; refused when connected.
                let _ = lab.try_ask("payer", &["connect", &payee]);
                let up = |node: &&str| lab.try_ask(node, &["getinfo"]).is_ok();
                let pays = || lab.finds_route() || environment.is_wedged(&since);
                (NODES.iter().all(up) && pays()).then_some(())
            })
            .await
        })
        .await;
        // What failed while the payee was away would keep lnd from trying that way for a minute.
        self.blocking(|environment| environment.lab.try_ask("payer", &["resetmc"]).unwrap()).await;
    }

    pub async fn marks(self: &Arc<Self>) -> Marks {
        self.blocking(|environment| {
            let last = |node, args: &[&str]| {
                environment.lab.ask(node, args)["last_index_offset"].as_str().unwrap().to_owned()
            };
            let newest_payment = ["listpayments", "--include_incomplete", "--max_payments=1"];
            Marks {
                invoices: last("payee", &["listinvoices", "--max_invoices=1"]),
                payments: last("payer", &newest_payment),
                log: environment.payees_log().len(),
            }
        })
        .await
    }

    /// The same, once the nodes are up.
    pub async fn marks_once_up(self: &Arc<Self>) -> Marks {
        eventually("the payer is up", async || {
            let up = |environment: &Self| environment.lab.try_ask("payer", &["getinfo"]).is_ok();
            self.blocking(up).await.then_some(())
        })
        .await;
        self.marks().await
    }

    /// The payee's invoices since the marks; None while it is down.
    pub fn payee_invoices(&self, since: &Marks) -> Option<Vec<Value>> {
        let offset = format!("--index_offset={}", since.invoices);
        let list = ["listinvoices", "--paginate-forwards", "--max_invoices=10000", &offset];
        self.list("payee", &list, "invoices")
    }

    /// The payer's payments since the marks; None while it is down.
    pub fn payer_payments(&self, since: &Marks) -> Option<Vec<Value>> {
        let offset = format!("--index_offset={}", since.payments);
        let list = ["listpayments", "--include_incomplete", "--paginate_forwards", &offset];
        self.list("payer", &list, "payments")
    }

    /// Whether the payee's lnd has given the channel up, for ever: it was killed, and begins anew by
    /// settling an HTLC that it had settled before (compare issue 1642 of lnd; seen in these rounds). What is on the channel
    /// stays there until somebody closes it, and nothing else can be paid.
    pub fn is_wedged(&self, since: &Marks) -> bool {
        let log = self.payees_log();
        String::from_utf8_lossy(&log[since.log..]).contains("failing link: unable to settle htlc")
    }

    fn payees_log(&self) -> Vec<u8> {
        fs::read(self.lab.fact("payee", "log")).unwrap()
    }

    /// Payments that the payer's lnd itself has lost: it was killed after it had stored an HTLC's
    /// circuit and before the HTLC was on the channel. It never puts it there afterwards, and calls
    /// it in flight for ever, through all restarts (issue 5152 of lnd; seen in these rounds). None while it is down.
    ///
    /// An HTLC that is being locked in anew looks the same for a moment. And all that is in flight
    /// when the channel is wedged.
    pub fn stranded(&self, since: &Marks, died_at_ns: u64) -> Option<BTreeSet<String>> {
        let payments = self.payer_payments(since)?;
        let channels: Value =
            serde_json::from_str(&self.lab.try_ask("payer", &["listchannels"]).ok()?).ok()?;
        let channels = channels["channels"].as_array()?;
        let on_channels = |hash: &Value| {
            let mut pending = channels.iter().flat_map(|channel| array(&channel["pending_htlcs"]));
            pending.any(|htlc| htlc["hash_lock"] == *hash)
        };
        let of_an_earlier_life = |htlc: &Value| {
            let begun = htlc["attempt_time_ns"].as_str().and_then(|ns| ns.parse().ok());
            begun.is_some_and(|begun: u64| begun < died_at_ns)
        };
        let stranded = payments.iter().filter(|payment| {
            if self.is_wedged(since) {
                return payment["status"] == "IN_FLIGHT";
            }
            let mut open = array(&payment["htlcs"]).filter(|htlc| htlc["status"] == "IN_FLIGHT");
            payment["status"] == "IN_FLIGHT"
                && channels.iter().all(|channel| channel["active"] == true)
                && open.next().is_some_and(of_an_earlier_life)
                && open.all(of_an_earlier_life)
                && !on_channels(&payment["payment_hash"])
        });
        Some(stranded.map(|payment| payment["payment_hash"].as_str().unwrap().to_owned()).collect())
    }

    fn list(&self, node: &str, list: &[&str], key: &str) -> Option<Vec<Value>> {
        let answer = self.lab.try_ask(node, list).ok()?;
        let mut listed: Value = serde_json::from_str(&answer).ok()?;
        let Value::Array(entries) = listed[key].take() else { panic!("{node}: {answer}") };
        Some(entries)
    }

    /// lncli and the scripts block: not on the thread that drives the wallets.
    pub async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> T {
        let environment = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&environment)).await.unwrap()
    }
}

fn array(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().unwrap().iter()
}

fn script(name: &str, verb: &str, dir: &Path) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    let done = Command::new(path).arg(verb).arg(dir).output().unwrap();
    assert!(done.status.success(), "{name} {verb}: {}", String::from_utf8_lossy(&done.stderr));
}
