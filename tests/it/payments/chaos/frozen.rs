//! The payer's lnd on a file system that freezes: in the kernel, its writes wait, and its reads are
//! answered. What it was asked to pay is checked in time and stored when the disk comes back, long after
//! every time-out of the service; meanwhile lnd says that it knows of no such payment.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use withdrawd::pb::{CreateWithdrawRequest, Withdraw, payment::State};

use super::{
    environment::Environment,
    plan::Stage,
    service::{Replica, replicas_with},
    wallets::{WalletAnswer, claim},
};
use crate::bench::lab::{eventually, let_pass};

/// Several times as long as anything is sent, or a send takes to be over.
const FROZEN: Duration = Duration::from_secs(30);
const SEND_FOR_S: &str = "8";
const PAUSE: Duration = Duration::from_millis(500);

/// A file system in a file, with the payer's data.
struct Disk {
    environment: Arc<Environment>,
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// None, with a message, where this may not mount: no root, no loop devices.
    async fn under_the_payer(environment: &Arc<Environment>) -> Option<Self> {
        let lnd = PathBuf::from(environment.lab.fact("payer", "lnddir"));
        let disk = Self {
            environment: Arc::clone(environment),
            image: lnd.join("disk.img"),
            mount: lnd.join("disk"),
        };
        fs::create_dir(&disk.mount).unwrap();
        let (image, mount) = (text(&disk.image), text(&disk.mount));
        let made = run("truncate", &["--size=256M", image])
            .and_then(|()| run("mkfs.ext4", &["-q", "-F", image]))
            .and_then(|()| run("mount", &["-o", "loop", image, mount]));
        if let Err(error) = made {
            eprintln!("SKIPPED: no disk to freeze: {error}");
            return None;
        }
        environment.lab.kill9("payer").await;
        let data = lnd.join("data");
        run("cp", &["-a", text(&data), mount]).unwrap();
        fs::remove_dir_all(&data).unwrap();
        std::os::unix::fs::symlink(disk.mount.join("data"), data).unwrap();
        environment.lab.start("payer");
        Some(disk)
    }

    fn freeze(&self) {
        run("fsfreeze", &["--freeze", text(&self.mount)]).unwrap();
    }

    fn thaw(&self) {
        run("fsfreeze", &["--unfreeze", text(&self.mount)]).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Frozen, lnd could not even be killed.
        let _ = run("fsfreeze", &["--unfreeze", text(&self.mount)]);
        for pid in self.environment.lab.pids("payer") {
            let _ = run("kill", &["-9", &pid]);
        }
        for _ in 0..100 {
            if run("umount", &[text(&self.mount)]).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let done = Command::new(program).args(args).output();
    let done = done.map_err(|error| format!("{program}: {error}"))?;
    if done.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&done.stderr).trim()))
}

async fn state(replica: &Replica, withdraw: &Withdraw) -> Option<State> {
    let mut client = replica.addresses()?.client;
    let request = withdrawd::pb::GetWithdrawRequest { id: withdraw.id.clone() };
    let found = client.get_withdraw(request).await.ok()?.into_inner();
    found.payment.map(|payment| payment.state())
}

/// The double payment that an attack found, on a real lnd: with the disk away for several times all
/// time-outs, and a kill of the service in between, the second invoice is never accepted.
pub async fn a_frozen_disk_is_not_paid_around(environment: &Arc<Environment>) {
    let Some(disk) = Disk::under_the_payer(environment).await else { return };
    let marks = environment.marks_once_up().await;
    environment.repair(&marks).await;
    // By its own clock alone the service would close the payment within the frozen time.
    let soon = [("payments.send_for_s", SEND_FOR_S)];
    let (replicas, _) = replicas_with(environment, Stage::OneOnSqlite, &soon).await;
    let replica = &replicas[0];
    replica.start().await;
    let (first, second) = environment
        .blocking(|environment| {
            (environment.lab.invoice("payee", 10), environment.lab.invoice("payee", 10))
        })
        .await;
    let request = CreateWithdrawRequest { max_amount: "10".into(), ..Default::default() };
    let withdraw = eventually("it accepts claims", async || {
        let made = replica.addresses()?.client.create_withdraw(request.clone()).await.ok()?;
        Some(made.into_inner())
    })
    .await;

    disk.freeze();
    let frozen = Instant::now();
    let claims = async |invoice: &str| match replica.addresses() {
        Some(addresses) => claim(addresses.lnurl, &withdraw.ott, invoice).await,
        None => WalletAnswer::Nothing,
    };
    eventually("it is accepted", async || {
        (claims(&first.text).await == WalletAnswer::Ok).then_some(())
    })
    .await;
    eventually("it is sent", async || (replica.sends() > 0).then_some(())).await;
    let mut killed = false;
    while frozen.elapsed() < FROZEN {
        if !killed && frozen.elapsed() > FROZEN / 2 {
            replica.crash_and_restart(Duration::from_millis(100)).await;
            killed = true;
        }
        let told = claims(&second.text).await;
        assert_ne!(told, WalletAnswer::Ok, "two invoices for one request");
        let_pass(PAUSE).await;
    }
    assert_eq!(state(replica, &withdraw).await, Some(State::Sending));
    let hash = first.hash.clone();
    // Its reads are answered, and it knows of no such payment.
    let known =
        environment.blocking(move |environment| environment.lab.payment("payer", &hash)).await;
    assert_eq!(known, None);

    disk.thaw();
    eventually("it is paid", async || {
        (state(replica, &withdraw).await == Some(State::Paid)).then_some(())
    })
    .await;
    assert_eq!(claims(&first.text).await, WalletAnswer::Ok);
    assert!(matches!(claims(&second.text).await, WalletAnswer::Refused(_)));
    environment.lab.assert_paid_once(&first, 10).await;
    environment.lab.assert_unpaid(&second);
    eprintln!("the payer's disk was frozen for {FROZEN:?}: paid once");
}
