//! What a caller was told stays true, or the instance is fenced: on both stores, with the transaction of one
//! answered commit taken back by hand, its mark included. `marks_failover` does it with a real standby.

use std::str::FromStr;

use sqlx::{
    Connection, PgConnection, SqliteConnection, postgres::PgConnectOptions,
    sqlite::SqliteConnectOptions,
};
use tonic::Code;
use withdrawd::{
    domain::{Act, Actor, InstanceCommand, Millis},
    pb::{
        AcknowledgeRestoreRequest, CreateWithdrawRequest, GetInstanceRequest, Halt, Instance,
        PauseRequest,
        instance::FenceReason,
        withdraw::{Status, UnclaimableReason},
    },
    runtime::Clock as _,
};

use crate::{
    bench::faults::LostAnswer,
    bench::node::OnSend,
    bench::{Bench, StoreKind, on_every_store, reason, store_kinds},
    claims::requests::reason_of,
};

const CANNOT_PAY: &str = "cannot pay at the moment, please try again later";
const MINUTE: Millis = Millis::from_secs(60);

pub async fn instance(bench: &Bench) -> Instance {
    bench.operations().get_instance(GetInstanceRequest {}).await.unwrap().into_inner()
}

pub async fn pause(bench: &Bench) {
    let request = PauseRequest { operator: "ann".into(), reason: "odd".into() };
    bench.operations().pause(request).await.unwrap();
}

pub async fn acknowledge(bench: &Bench) {
    let (operator, reason) = ("ann".into(), "looked".into());
    let request = AcknowledgeRestoreRequest { operator, reason, ..Default::default() };
    bench.operations().acknowledge_restore(request).await.unwrap();
}

async fn is_fenced(bench: &Bench) -> bool {
    let stands = instance(bench).await;
    assert!(stands.halt() == Halt::Fenced || stands.fence_reason() == FenceReason::Unspecified);
    stands.halt() == Halt::Fenced
}

async fn is_fenced_for_a_mark(bench: &Bench) {
    let stands = instance(bench).await;
    assert_eq!((stands.halt(), stands.fence_reason()), (Halt::Fenced, FenceReason::MarkLost));
}

/// How a test changes marks.
impl Bench {
    /// Keeps the marks as they are now, for [`Self::put_marks_back`].
    pub async fn keep_marks(&self) {
        self.sql("drop table if exists kept_marks").await;
        self.sql("create table kept_marks as select * from marks").await;
    }

    /// As if the transactions that have moved marks since had been lost: what else they wrote is the
    /// test's to take back.
    pub async fn put_marks_back(&self) {
        self.sql("delete from marks").await;
        self.sql("insert into marks select * from kept_marks").await;
    }

    /// As if the transactions of all sends had been lost, with the marks that they moved.
    pub async fn lose_sends(&self) {
        self.sql("delete from sends").await;
        self.sql("delete from marks").await;
    }

    /// A question with psql.
    pub async fn count(&self, question: &'static str) -> i64 {
        match self.kind {
            StoreKind::Sqlite => {
                let file = self.data_dir().join("withdrawd.sqlite");
                let options = SqliteConnectOptions::new().filename(file);
                let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
                sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap()
            }
            StoreKind::Postgres => {
                let options = PgConnectOptions::from_str(self.database_url()).unwrap();
                let mut connection = PgConnection::connect_with(&options).await.unwrap();
                sqlx::query_scalar(question).fetch_one(&mut connection).await.unwrap()
            }
        }
    }
}

/// A deactivation that was answered is undone by a failover: nobody is paid by the old LNURL.
#[tokio::test]
async fn a_lost_deactivation_fences_before_its_lnurl_is_claimed() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.keep_marks().await;
        bench.deactivate(&withdraw.id).await.unwrap();
        bench.sql("delete from events where kind = 'DEACTIVATED' or version = 2").await;
        bench.sql("update withdraws set status = 'ACTIVE', claimable = true, version = 1").await;
        bench.put_marks_back().await;
        bench.forget_verified_server().await;
        assert!(bench.get(&withdraw.id).await.claimable, "all that the database knows");

        assert_eq!(reason(&bench.claim(&withdraw, &bench.invoice(10)).await), CANNOT_PAY);
        bench.verify_database().await;
        is_fenced_for_a_mark(&bench).await;
        assert_eq!(reason(&bench.claim(&withdraw, &bench.invoice(10)).await), CANNOT_PAY);
        bench.clock.advance(Millis::from_secs(1));
        acknowledge(&bench).await;
        let held = bench.get(&withdraw.id).await;
        assert_eq!(held.unclaimable_reason(), UnclaimableReason::NeedsOperator);
        // It was looked at: neither the next look nor the next server fences for it again.
        for _ in 0..2 {
            bench.forget_verified_server().await;
            bench.clock.advance(MINUTE);
            bench.verify_database().await;
            assert!(!is_fenced(&bench).await);
        }
    })
    .await;
}

/// A pause that was answered is undone.
#[tokio::test]
async fn a_lost_pause_fences_before_anything_is_claimed() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.keep_marks().await;
        pause(&bench).await;
        bench.sql("delete from operator_actions").await;
        let unpaused = "update instance set paused_at_ms = null, paused_by = null, \
                        pause_reason = null";
        bench.sql(unpaused).await;
        bench.put_marks_back().await;
        bench.forget_verified_server().await;
        assert_eq!(reason(&bench.claim(&withdraw, &bench.invoice(10)).await), CANNOT_PAY);
        bench.verify_database().await;
        is_fenced_for_a_mark(&bench).await;
    })
    .await;
}

/// A machine is put back to a snapshot: the server says that it is the one of before.
#[tokio::test]
async fn a_loss_on_an_unchanged_server_is_found_within_a_minute() {
    on_every_store(async |bench| {
        bench.create(10, 10).await;
        bench.keep_marks().await;
        let lost = bench.create(10, 10).await;
        bench.verify_database().await;
        assert!(!is_fenced(&bench).await);
        bench.put_marks_back().await;
        bench.clock.advance(MINUTE);
        bench.verify_database().await;
        is_fenced_for_a_mark(&bench).await;
        assert_eq!(bench.get(&lost.id).await.status(), Status::Active);
    })
    .await;
}

/// The same, met by a commit before the minute is over: nothing is served there, whatever is asked.
#[tokio::test]
async fn nothing_is_committed_over_a_mark_that_is_older() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        bench.keep_marks().await;
        bench.create(10, 10).await;
        bench.put_marks_back().await;

        let refused = bench.deactivate(&withdraw.id).await.unwrap_err();
        assert_eq!((refused.code(), reason_of(&refused).as_str()), (Code::Unavailable, "HALTED"));
        assert_eq!(reason(&bench.claim(&withdraw, &bench.invoice(10)).await), CANNOT_PAY);
        bench.deactivate(&withdraw.id).await.unwrap_err();
        assert_eq!(bench.get(&withdraw.id).await.status(), Status::Active);
        // A pause halts all the same.
        pause(&bench).await;
        bench.verify_database().await;
        is_fenced_for_a_mark(&bench).await;
        // From here on what is there is what was answered.
        bench.deactivate(&withdraw.id).await.unwrap();
        bench.create(10, 10).await;
        bench.clock.advance(MINUTE);
        bench.verify_database().await;
        acknowledge(&bench).await;
        assert!(!is_fenced(&bench).await);
    })
    .await;
}

/// What is written to a file that was replaced is gone with the process.
#[tokio::test]
async fn a_file_that_is_replaced_under_a_running_process_stops_it() {
    let bench = Bench::new(StoreKind::Sqlite).await;
    let withdraw = bench.create(10, 10).await;
    let [file, aside] = ["withdrawd.sqlite", "aside"].map(|name| bench.data_dir().join(name));
    std::fs::rename(&file, &aside).unwrap();
    std::fs::copy(&aside, &file).unwrap();
    assert_eq!(bench.claim(&withdraw, &bench.invoice(10)).await["status"], "ERROR");
    let refused = bench.deactivate(&withdraw.id).await.unwrap_err();
    assert_eq!(reason_of(&refused), "STORE_UNAVAILABLE");
    std::fs::rename(&aside, &file).unwrap();
    bench.claim_ok(&withdraw, &bench.invoice(10)).await;
}

/// Nor is what goes to a WAL that has lost its name: a backup was copied over the file, and the WAL removed.
#[tokio::test]
async fn a_wal_that_is_removed_under_a_running_process_stops_it() {
    for removed in ["withdrawd.sqlite-wal", "withdrawd.sqlite-shm"] {
        let bench = Bench::new(StoreKind::Sqlite).await;
        let withdraw = bench.create(10, 10).await;
        let file = bench.data_dir().join("withdrawd.sqlite");
        let backup = std::fs::read(&file).unwrap();
        std::fs::write(&file, backup).unwrap();
        std::fs::remove_file(bench.data_dir().join(removed)).unwrap();
        assert_eq!(bench.claim(&withdraw, &bench.invoice(10)).await["status"], "ERROR");
        let refused = bench.deactivate(&withdraw.id).await.unwrap_err();
        assert_eq!(reason_of(&refused), "STORE_UNAVAILABLE");
    }
}

/// A failover loses the fence itself.
#[tokio::test]
async fn a_lost_fence_fences_again() {
    on_every_store(async |bench| {
        bench.create(10, 10).await;
        bench.keep_marks().await;
        let at = bench.clock.now();
        let act = Act { by: Actor::unnamed("ann", "promoted"), at };
        let store = bench.store();
        let fence = InstanceCommand::Fence(withdrawd::domain::FenceReason::ByHand, act);
        assert!(bench.inside(async move { store.execute_command(&fence).await.unwrap() }).await);
        bench.sql("update instance set fenced_at_ms = null, fence_reason = null").await;
        bench.put_marks_back().await;
        bench.forget_verified_server().await;
        bench.verify_database().await;
        is_fenced_for_a_mark(&bench).await;
    })
    .await;
}

/// Answers that callers did not get, whether it was written or not; a crash between commit and answer; new
/// lives; another server that has it all: nobody is fenced. (Lost answers to COMMIT:
/// `store/sql/durable_test.rs`.)
#[tokio::test]
async fn nothing_that_was_kept_fences() {
    on_every_store(async |mut bench| {
        bench.node.on_next_sends([OnSend::Hold]);
        for method in ["create", "change", "claim", "advance"] {
            for lost in [LostAnswer::BeforeCommit, LostAnswer::AfterCommit] {
                let withdraw = bench.create(10, 10).await;
                bench.faults.lose(method, lost);
                let create = CreateWithdrawRequest {
                    max_amount: "10".into(),
                    ..CreateWithdrawRequest::default()
                };
                let _ = bench.client().create_withdraw(create).await;
                let _ = bench.deactivate(&withdraw.id).await;
                let claimed = bench.create(10, 10).await;
                bench.claim(&claimed, &bench.invoice(10)).await;
                bench.start_payer().await;
                bench.forget_verified_server().await;
                bench.clock.advance(MINUTE);
                bench.verify_database().await;
                assert!(!is_fenced(&bench).await, "{method} {lost:?}");
                assert!(bench.faults.has_lost_all(), "{method} was not called");
            }
        }
        for after in [false, true] {
            let withdraw = bench.create(10, 10).await;
            bench.faults.crash_at(2, after);
            let deactivating = bench.deactivate(&withdraw.id);
            tokio::select! {
                done = deactivating => panic!("{done:?}"),
                () = bench.faults.crashed() => {}
            }
            bench.crash_and_restart().await;
            bench.forget_verified_server().await;
            bench.verify_database().await;
            assert!(!is_fenced(&bench).await);
        }
        let fresh = bench.create(10, 10).await;
        bench.claim_ok(&fresh, &bench.invoice(10)).await;
    })
    .await;
}

/// A machine is put back to a snapshot: the server says that it is the one of before. Before any pass of the
/// verifier a connection that is made anew shows it.
#[tokio::test]
async fn a_new_connection_shows_what_an_unchanged_server_has_lost() {
    if !store_kinds().contains(&StoreKind::Postgres) {
        return;
    }
    let bench = Bench::new(StoreKind::Postgres).await;
    let withdraw = bench.create(10, 10).await;
    bench.keep_marks().await;
    bench.deactivate(&bench.create(10, 10).await.id).await.unwrap();
    bench.put_marks_back().await;
    bench
        .sql(
            "select pg_terminate_backend(pid) from pg_stat_activity
              where datname = current_database() and pid <> pg_backend_pid()",
        )
        .await;
    assert_eq!(reason(&bench.claim(&withdraw, &bench.invoice(10)).await), CANNOT_PAY);
    let stands = instance(&bench).await;
    assert_eq!(
        (stands.halt(), stands.fence_reason()),
        (Halt::Unverified, FenceReason::Unspecified)
    );
    bench.verify_database().await;
    is_fenced_for_a_mark(&bench).await;
}

/// The marks of a process that has ended are deleted in the end: they do not accumulate.
#[tokio::test]
async fn marks_of_processes_that_are_gone_are_removed() {
    on_every_store(async |mut bench| {
        for _ in 0..2 {
            bench.create(10, 10).await;
            bench.crash_and_restart().await;
        }
        bench.sql("update writers set seen_at_ms = 0").await;
        bench.create(10, 10).await;
        // By the time of its own last verification, so that no jump of a clock forgets a process.
        for _ in 0..2 {
            bench.clock.advance(MINUTE);
            bench.verify_database().await;
        }
        assert!(!is_fenced(&bench).await, "its own are never removed");
        assert_eq!(bench.count("select count(distinct writer) from marks").await, 1);
        assert_eq!(bench.count("select count(*) from writers").await, 1);
    })
    .await;
}

/// Another process may remember what was lost: it is waited for, unless it is silent for long.
#[tokio::test]
async fn a_server_is_not_verified_before_the_others_have_looked_for_their_marks() {
    on_every_store(async |bench| {
        let withdraw = bench.create(10, 10).await;
        let other = match bench.kind {
            StoreKind::Sqlite => {
                "insert into writers select randomblob(16), seen_at_ms, 5 from writers"
            }
            StoreKind::Postgres => {
                "insert into writers select gen_random_uuid(), seen_at_ms, 5 from writers"
            }
        };
        bench.sql(other).await;
        bench.forget_verified_server().await;
        bench.verify_database().await;
        assert_eq!(reason(&bench.claim(&withdraw, &bench.invoice(10)).await), CANNOT_PAY);
        // It has verified the server.
        bench
            .sql("update writers set server = (select max(server) from writers where server <> 5)")
            .await;
        bench.verify_database().await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;

        let withdraw = bench.create(10, 10).await;
        bench.sql("update writers set server = 5").await;
        bench.sql(other).await;
        bench.forget_verified_server().await;
        bench.verify_database().await;
        assert_eq!(reason(&bench.claim(&withdraw, &bench.invoice(10)).await), CANNOT_PAY);
        bench.clock.advance(bench.settings().verifier.patience);
        bench.verify_database().await;
        bench.claim_ok(&withdraw, &bench.invoice(10)).await;
    })
    .await;
}
