//! The work that the app does by itself, done when a test says so; and what happens to its database.

use std::{str::FromStr, sync::Arc, time::Duration};

use sqlx::{
    Connection, PgConnection, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use withdrawd::{
    domain::Millis,
    jobs::{Expiry, JobError},
    pb::{self, Withdraw},
};

use super::{Bench, StoreKind};

impl Bench {
    /// The payer does all that is due now, to the end.
    pub async fn run_payer(&self) {
        let payer = Arc::clone(self.process().running.payer().unwrap());
        self.inside(async move {
            // A place may have been taken during a run: until nothing is due, or the node
            // is silent.
            while payer.run_once().await.is_ok_and(|taken| taken > 0) {
                payer.idle().await;
            }
            payer.idle().await;
            while payer.run_once().await.is_ok_and(|taken| taken > 0) {
                payer.idle().await;
            }
        })
        .await;
    }

    /// The payer takes what is due, without being waited for (a held payment keeps it busy).
    pub async fn start_payer(&self) {
        let payer = Arc::clone(self.process().running.payer().unwrap());
        self.inside(async move { payer.run_once().await.unwrap_or(0) }).await;
    }

    /// The payer begins with what is due; waits until the payment of `id` is in `state`.
    pub async fn run_payer_until(&self, id: &str, state: pb::payment::State) {
        self.start_payer().await;
        self.until(id, |withdraw| {
            withdraw.payment.as_ref().is_some_and(|payment| payment.state() == state)
        })
        .await;
    }

    /// Polls until it is so, within bounds.
    pub async fn until(&self, id: &str, so: impl Fn(&Withdraw) -> bool) -> Withdraw {
        let patience = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            let withdraw = self.get(id).await;
            if so(&withdraw) {
                return withdraw;
            }
            assert!(std::time::Instant::now() < patience, "never so: {withdraw:?}");
            tokio::task::yield_now().await;
        }
    }

    /// One heartbeat: the node is asked how it is.
    pub async fn heartbeat(&self) {
        let heartbeats = Arc::clone(self.process().running.heartbeats().unwrap());
        // With a node that is silent the last heartbeat stays.
        let _ = self.inside(async move { heartbeats.beat().await }).await;
    }

    /// Verifies the database, if another server answers.
    pub async fn verify_database(&self) {
        let verifier = Arc::clone(self.process().running.verifier());
        self.inside(async move { verifier.run_once().await.unwrap() }).await;
    }

    /// The same, of a database that may not answer: whether the server is verified now.
    pub async fn server_is_verified(&self) -> bool {
        let (verifier, store) = (Arc::clone(self.process().running.verifier()), self.store());
        let looked = async move {
            let looked = verifier.run_once().await.is_ok();
            looked && store.server().await.is_ok_and(|seen| seen.verified)
        };
        self.inside(looked).await
    }

    /// As after a restart of the database: a server answers that nobody has verified.
    pub async fn forget_verified_server(&self) {
        self.sql("update instance set verified_server = -1").await;
        let store = self.store();
        assert!(!self.inside(async move { store.server().await.unwrap() }).await.verified);
    }

    /// Runs a statement on a connection of the test's own.
    pub async fn sql(&self, statement: &'static str) {
        match self.kind {
            StoreKind::Sqlite => {
                let file = self.data_dir().join("withdrawd.sqlite");
                let options = SqliteConnectOptions::new().filename(file);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
            StoreKind::Postgres => {
                let url = self.database_url();
                let options = PgConnectOptions::from_str(url).unwrap();
                let mut connection = PgConnection::connect_with(&options).await.unwrap();
                sqlx::query(statement).execute(&mut connection).await.unwrap();
            }
        }
    }

    /// Marks what has expired.
    pub async fn mark_expired(&self) -> usize {
        let expiry = Expiry::new(self.store(), self.runtime(), self.settings().expiry);
        self.inside(async move { expiry.mark_due().await.unwrap() }).await
    }

    /// One run of the job with this name.
    pub async fn run_job(&self, name: &str) -> Result<(), JobError> {
        let job = Arc::clone(self.process().running.job(name).unwrap());
        self.inside(async move { job.run_once().await }).await
    }

    /// The same, until it crashes as `faults.crash_in` has planned; then a restart.
    pub async fn crash_in_job(&mut self, name: &str) {
        let crash = async {
            tokio::select! {
                biased;
                () = self.faults.crashed() => {}
                // The same job, run by the process itself, was faster.
                done = self.run_job(name) => {
                    done.unwrap();
                    self.faults.crashed().await;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), crash).await.expect("a crash in the job");
        self.crash_and_restart().await;
    }

    /// Lets time pass, and everything that is due then happen.
    pub async fn run_payer_after(&self, span: Millis) {
        self.clock.advance(span);
        self.run_payer().await;
    }
}
