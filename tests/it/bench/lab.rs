//! The real Lightning network of `tests/lab`: a payer with a channel to a payee, and a stranger to
//! whom there is no route. What the lnds themselves record is what tests assert in the end.
//!
//! All tests share one network. So whoever takes a node down does it alone ([`Lab::lock_exclusively`]), and
//! everybody else holds [`Lab::share`] meanwhile. Other processes are no matter: cargo runs the
//! test binaries one after the other.

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use withdrawd::domain::Preimage;

static NODES: RwLock<()> = RwLock::const_new(());

/// How long anything may take. Far more than it does: two cores carry all of it.
const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(20);

/// A network that is up.
pub struct Lab(Value);

/// An invoice of one of its nodes.
pub struct Invoice {
    pub text: String,
    /// The payment hash, in hex.
    pub hash: String,
}

/// An invoice that its payee settles or cancels by hand.
pub struct HoldInvoice {
    pub invoice: Invoice,
    preimage: Preimage,
}

impl Lab {
    /// None, with a message, where no network was started for the tests.
    pub fn open() -> Option<Self> {
        let Ok(path) = std::env::var("WITHDRAWD_TEST_LAB") else {
            let required = std::env::var("WITHDRAWD_REQUIRE_ALL").is_ok_and(|all| all == "1");
            assert!(!required, "WITHDRAWD_TEST_LAB is not set (see tests/run)");
            eprintln!("SKIPPED: WITHDRAWD_TEST_LAB is not set (see tests/run)");
            return None;
        };
        Some(Self::at(path.as_ref()))
    }

    /// The network that this file describes.
    pub fn at(lab_json: &Path) -> Self {
        Self(serde_json::from_slice(&fs::read(lab_json).unwrap()).unwrap())
    }

    /// While this is held, every node is up.
    pub async fn share(&self) -> RwLockReadGuard<'static, ()> {
        NODES.read().await
    }

    /// While this is held, nobody else uses the nodes.
    pub async fn lock_exclusively(&self) -> RwLockWriteGuard<'static, ()> {
        NODES.write().await
    }

    /// A fact about a node, as `lab.json` has it.
    pub fn fact(&self, node: &str, key: &str) -> &str {
        self.0["nodes"][node][key].as_str().unwrap()
    }

    /// A command line, as `lab.json` has it.
    pub fn command(&self, node: &str, key: &str) -> Vec<&str> {
        let words = self.0["nodes"][node][key].as_array().unwrap();
        words.iter().map(|word| word.as_str().unwrap()).collect()
    }

    /// What lncli answers, or None if it refuses.
    pub fn try_ask(&self, node: &str, args: &[&str]) -> Result<String, String> {
        let command = self.command(node, "lncli");
        let done = Command::new(command[0]).args(&command[1..]).args(args).output().unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
    }

    /// What lncli answers.
    pub fn ask(&self, node: &str, args: &[&str]) -> Value {
        let answer =
            self.try_ask(node, args).unwrap_or_else(|error| panic!("{node} {args:?}: {error}"));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }

    /// A new invoice.
    pub fn invoice(&self, node: &str, sat: u64) -> Invoice {
        let made = self.ask(node, &["addinvoice", "--amt", &sat.to_string()]);
        Invoice {
            text: made["payment_request"].as_str().unwrap().to_owned(),
            hash: made["r_hash"].as_str().unwrap().to_owned(),
        }
    }

    /// A new hold invoice of the payee.
    pub fn hold_invoice(&self, sat: u64) -> HoldInvoice {
        let preimage = Preimage::from_bytes(rand::random());
        let hash = preimage.hash().to_string();
        let made = self.ask("payee", &["addholdinvoice", &hash, &sat.to_string()]);
        let text = made["payment_request"].as_str().unwrap().to_owned();
        HoldInvoice { invoice: Invoice { text, hash }, preimage }
    }

    /// Waits until the money hangs on a hold invoice.
    pub async fn wait_until_accepted(&self, held: &HoldInvoice) {
        self.wait_for_payee_state(&held.invoice, "ACCEPTED").await;
    }

    pub fn settle(&self, held: &HoldInvoice) {
        self.try_settle(held).unwrap();
    }

    pub fn cancel(&self, held: &HoldInvoice) {
        self.try_cancel(held).unwrap();
    }

    /// Refused while the payee is down.
    pub fn try_settle(&self, held: &HoldInvoice) -> Result<String, String> {
        let preimage = hex::encode(held.preimage.as_bytes());
        self.try_ask("payee", &["settleinvoice", &preimage])
    }

    /// Refused while the payee is down.
    pub fn try_cancel(&self, held: &HoldInvoice) -> Result<String, String> {
        self.try_ask("payee", &["cancelinvoice", &held.invoice.hash])
    }

    /// Waits for a state in the payee's own records, which trail a payment's success by a moment.
    pub async fn wait_for_payee_state(&self, invoice: &Invoice, state: &str) -> Value {
        eventually(state, async || {
            let found = self.ask("payee", &["lookupinvoice", &invoice.hash]);
            (found["state"] == state).then_some(found)
        })
        .await
    }

    /// The payee's lnd has the money: exactly this much, by exactly one HTLC.
    pub async fn assert_paid_once(&self, invoice: &Invoice, sat: u64) {
        let found = self.wait_for_payee_state(invoice, "SETTLED").await;
        assert_eq!(found["amt_paid_msat"], (sat * 1000).to_string(), "{found}");
        let settled = found["htlcs"].as_array().unwrap().iter();
        let settled = settled.filter(|htlc| htlc["state"] == "SETTLED").count();
        assert_eq!(settled, 1, "{found}");
    }

    /// The payee's lnd was not paid this. (What was canceled keeps its amount and its HTLC.)
    pub fn assert_unpaid(&self, invoice: &Invoice) {
        let found = self.ask("payee", &["lookupinvoice", &invoice.hash]);
        assert_ne!(found["state"], "SETTLED", "{found}");
        let htlcs = found["htlcs"].as_array().unwrap();
        assert!(htlcs.iter().all(|htlc| htlc["state"] != "SETTLED"), "{found}");
    }

    /// A node's own record of its payment of this hash; None if it made none.
    pub fn payment(&self, node: &str, hash: &str) -> Option<Value> {
        let all = self.ask(node, &["listpayments", "--include_incomplete"]);
        let all = all["payments"].as_array().unwrap();
        all.iter().find(|payment| payment["payment_hash"] == hash).cloned()
    }

    /// Whether the payer can pay the payee.
    pub fn finds_route(&self) -> bool {
        let dest = format!("--dest={}", self.fact("payee", "pubkey"));
        self.try_ask("payer", &["queryroutes", &dest, "--amt=1000"]).is_ok()
    }

    /// Pays from the payer's lnd behind the service's back.
    pub fn pay_by_hand(&self, invoice: &Invoice) {
        self.try_ask("payer", &["payinvoice", "--force", "--json", &invoice.text]).unwrap();
    }

    /// Kills a node's lnd with -9. It is started again at the latest when the answer is dropped.
    pub async fn kill<'a>(
        &'a self,
        node: &'a str,
        _alone: &RwLockWriteGuard<'_, ()>,
    ) -> StoppedNode<'a> {
        self.kill9(node).await;
        StoppedNode { lab: self, node }
    }

    /// On a network that nobody else uses: whoever calls this starts it again.
    pub async fn kill9(&self, node: &str) {
        for pid in self.pids(node) {
            let killed = Command::new("kill").args(["-9", &pid]).status().unwrap();
            assert!(killed.success());
        }
        // Its ports and its database are free only once it is gone.
        eventually("gone", async || self.pids(node).is_empty().then_some(())).await;
    }

    /// By its command line, since an earlier test may have started it anew.
    pub fn pids(&self, node: &str) -> Vec<String> {
        let wanted = self.command(node, "argv").join("\0") + "\0";
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter(|entry| {
                let argv = fs::read(entry.path().join("cmdline"));
                argv.is_ok_and(|argv| argv == wanted.as_bytes())
            })
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect()
    }

    pub fn start(&self, node: &str) {
        let log = fs::File::options().append(true).open(self.fact(node, "log")).unwrap();
        // In a session of its own and nobody's child: it outlives the test, as it did before.
        let started = Command::new("setsid")
            .arg("--fork")
            .args(self.command(node, "argv"))
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .status()
            .unwrap();
        assert!(started.success());
    }
}

/// A node that is down.
pub struct StoppedNode<'a> {
    lab: &'a Lab,
    node: &'a str,
}

impl StoppedNode<'_> {
    /// Starts it, and waits until the payer can pay the payee: a channel is active up to a second
    /// before that.
    pub async fn restart(self) {
        let (lab, node) = (self.lab, self.node);
        drop(self);
        eventually(node, async || lab.finds_route().then_some(())).await;
    }
}

impl Drop for StoppedNode<'_> {
    fn drop(&mut self) {
        self.lab.start(self.node);
    }
}

/// A way to a node that is shut at first: whoever comes is hung up on.
pub struct ClosedProxy {
    pub endpoint: String,
    open: Arc<AtomicBool>,
}

impl ClosedProxy {
    pub async fn in_front_of(lab: &Lab, node: &str) -> Self {
        let rpc = lab.fact(node, "rpc").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://{}", listener.local_addr().unwrap());
        let open = Arc::new(AtomicBool::new(false));
        let is_open = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                if is_open.load(Ordering::SeqCst) {
                    let mut node = TcpStream::connect(&rpc).await.unwrap();
                    tokio::spawn(async move { copy_bidirectional(&mut client, &mut node).await });
                }
            }
        });
        Self { endpoint, open }
    }

    pub fn open(&self) {
        self.open.store(true, Ordering::SeqCst);
    }
}

/// Lets real time pass, where a rule is about time itself.
pub async fn let_pass(span: Duration) {
    tokio::time::sleep(span).await;
}

/// Polls until there is an answer, within bounds.
pub async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let patience = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        let left = std::time::Instant::now() < patience;
        assert!(left, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
