//! Real processes, really killed: the service, the payer's lnd, the payee's lnd and Postgres die by
//! kill -9 (Postgres by an immediate stop) while several wallets claim each of several requests.
//! When all is up again everything that was accepted must have ended, and the payee's own records must
//! agree with the service's.
//!
//! tests/run says how to have more rounds than the usual ones. What a round does is drawn from its
//! seed; when it happens is up to the machine. A round that fails says its seed and what was done
//! when, and leaves everybody's logs and records in target/tmp/chaos.

mod checks;
mod ending;
mod environment;
mod frozen;
mod offers;
mod plan;
mod records;
mod round;
mod service;
mod totals;
mod wallets;

use std::{
    fs,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use futures_util::FutureExt;

use self::{
    checks::agreeing_records, environment::Environment, records::database, round::Round,
    service::drop_database, totals::Totals,
};

const USUAL_ROUNDS: u64 = 20;
const USUAL_SEED: u64 = 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chaos() {
    let Some(mut environment) = Environment::open().await else { return };
    let (rounds, first) = (
        number("WITHDRAWD_CHAOS_ROUNDS").unwrap_or(USUAL_ROUNDS),
        number("WITHDRAWD_CHAOS_SEED").unwrap_or(USUAL_SEED),
    );
    let (began, mut totals) = (Instant::now(), Totals::default());
    for seed in first..first + rounds {
        let round = Round::new(Arc::clone(&environment), seed).await;
        let story = async {
            Box::pin(round.run()).await;
            agreeing_records(&round).await
        };
        let ended = AssertUnwindSafe(story).catch_unwind().await;
        let Ok(records) = ended else {
            let kept = keep(&round).await;
            drop(round);
            panic!(
                "the round of seed {seed} failed, see above; its logs and records: {}; again: \
                 WITHDRAWD_CHAOS_ROUNDS=1 WITHDRAWD_CHAOS_SEED={seed} tests/run chaos",
                kept.display()
            );
        };
        totals.add(&round, &records);
        eprintln!("seed {seed}: {:?}, {:.1?}; {totals}", round.plan.stage, round.took());
        let database_url = round.database_url.clone();
        drop(round);
        drop_database(&environment, &database_url).await;
        if records.wedged {
            // Its lock is ours until then.
            drop(environment);
            environment = Environment::open().await.unwrap();
        }
    }
    eprintln!("{:.1?}: {totals}", began.elapsed());
    // Last, since the payer's data go with it.
    frozen::a_frozen_disk_is_not_paid_around(&environment).await;
    if first == USUAL_SEED && rounds >= USUAL_ROUNDS {
        totals.assert_meaningful();
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: not a number")))
}

/// Prints what was done when, and copies everything that may show why it ended so.
async fn keep(round: &Round) -> PathBuf {
    let dir =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("chaos").join(round.plan.seed.to_string());
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).unwrap();
    let timeline = format!("{:#?}\n{}\n", round.plan, round.timeline());
    eprintln!("{timeline}");
    fs::write(dir.join("chronicle"), timeline).unwrap();
    for (number, replica) in round.replicas.iter().enumerate() {
        copy(replica.path(), &dir.join(format!("replica-{number}")));
    }
    let attempts = format!("{:#?}", database(round).await);
    fs::write(dir.join("attempts"), attempts).unwrap();
    let records = [
        ("payee.json", round.environment.payee_invoices(&round.marks)),
        ("payer.json", round.environment.payer_payments(&round.marks)),
    ];
    for (name, listed) in records {
        fs::write(dir.join(name), format!("{:#}", serde_json::json!(listed))).unwrap();
    }
    dir
}

/// Of a replica: the logs of its processes, and SQLite's files.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(path, to).unwrap();
        }
    }
}
