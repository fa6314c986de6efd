//! The store on a database that loses answers to COMMIT, and on one that loses commits.

use std::sync::Mutex;

use async_trait::async_trait;
use tempfile::TempDir;

use super::*;
use crate::{
    domain::{
        Act, Actor, FenceReason, Filter, InstanceCommand, ListQuery, Millis, Timestamp, Withdraw,
        payment::{PaymentFilter, PaymentQuery},
        withdraw_test::request,
    },
    ports::{
        Connections, CreateOutcome, Instance as _, Integrity as _, Payments as _, PublicStore as _,
        Withdraws as _,
    },
    runtime::Runtime,
    store::{
        driver::Driver,
        sql::{Database, Dialect},
        sqlite::{SqliteDriver, SqliteOptions, SqliteStore},
        statement::{BoundStatement, Sql},
    },
};

/// How the answer to the next COMMIT is lost: before or after the database commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    LostBefore,
    LostAfter,
}

/// A driver that can lose answers to COMMIT.
struct Lossy {
    inner: SqliteDriver,
    next: Mutex<Option<Answer>>,
}

struct LossyTx {
    inner: <SqliteDriver as Driver>::Tx,
    answer: Option<Answer>,
}

#[async_trait]
impl Driver for Lossy {
    type Row = <SqliteDriver as Driver>::Row;
    type Tx = LossyTx;

    async fn begin(&self) -> Result<LossyTx, Fault> {
        let answer = self.next.lock().unwrap().take();
        Ok(LossyTx { inner: self.inner.begin().await?, answer })
    }

    async fn fetch(&self, statement: BoundStatement<'_>) -> Result<Vec<Self::Row>, StoreError> {
        self.inner.fetch(statement).await
    }

    async fn begin_for_operator(&self) -> Result<LossyTx, Fault> {
        let answer = self.next.lock().unwrap().take();
        Ok(LossyTx { inner: self.inner.begin_for_operator().await?, answer })
    }

    async fn fetch_for_operator(
        &self,
        statement: BoundStatement<'_>,
    ) -> Result<Vec<Self::Row>, StoreError> {
        self.inner.fetch_for_operator(statement).await
    }

    fn refuses_writes(&self, error: &StoreError) -> bool {
        self.inner.refuses_writes(error)
    }

    fn schema(&self) -> i64 {
        self.inner.schema()
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.inner.now().await
    }

    async fn timeline(&self) -> Option<i64> {
        None
    }

    fn connections(&self) -> Connections {
        self.inner.connections()
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

impl Database for Lossy {
    fn dialect(&self) -> &'static Dialect {
        self.inner.dialect()
    }
}

#[async_trait]
impl Tx for LossyTx {
    type Row = <SqliteDriver as Driver>::Row;

    async fn execute(&mut self, statement: BoundStatement<'_>) -> Result<u64, Fault> {
        self.inner.execute(statement).await
    }

    async fn fetch(&mut self, statement: BoundStatement<'_>) -> Result<Vec<Self::Row>, Fault> {
        self.inner.fetch(statement).await
    }

    async fn commit(self) -> Result<(), Fault> {
        let lost = || Err(Fault::Final(StoreError::Unknown("lost on purpose".into())));
        match self.answer {
            None => self.inner.commit().await,
            Some(Answer::LostBefore) => lost(),
            Some(Answer::LostAfter) => {
                self.inner.commit().await?;
                lost()
            }
        }
    }
}

/// A statement without parameters.
fn plain(doing: &'static str, text: &'static str) -> BoundStatement<'static> {
    BoundStatement { sql: Sql { doing, name: doing, text }, values: Vec::new() }
}

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);

struct Bench {
    store: SqlStore<Lossy>,
    _dir: TempDir,
}

impl Bench {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = SqliteOptions {
            data_dir: dir.path().to_owned(),
            max_readers: 2,
            busy_timeout: std::time::Duration::from_secs(1),
            migrate: true,
        };
        let inner = SqliteStore::open_driver(&options, Runtime::system().clock).await.unwrap();
        let driver = Lossy { inner, next: Mutex::default() };
        let store = SqlStore::over(driver, crate::store::sql::Marks::of_a_new_writer());
        Self { store, _dir: dir }
    }

    /// Makes a commit that is reported to a caller.
    async fn set_paused(&self, pause: bool) -> Result<bool, StoreError> {
        let act =
            Act { by: Actor::unnamed("ann", "odd"), at: Timestamp::from_ms(1_800_000_000_000) };
        let command =
            if pause { InstanceCommand::Pause(act) } else { InstanceCommand::Resume(act) };
        self.store.execute_command(&command).await
    }

    /// Always the same request, with a request id.
    fn request() -> Withdraw {
        Withdraw { request_id: Some("twice".into()), ..request() }
    }

    fn lose(&self, answer: Answer) {
        *self.store.driver().next.lock().unwrap() = Some(answer);
    }

    async fn tamper(&self, text: &'static str) {
        self.store.write(plain("tamper with the database", text)).await.unwrap();
    }

    /// The number of rows that a statement returns.
    async fn count_rows(&self, text: &'static str) -> usize {
        self.store.driver().fetch(plain("count rows", text)).await.unwrap().len()
    }

    async fn lost(&self) -> Option<Vec<&'static str>> {
        let lost = self.store.lost_commits().await.unwrap();
        lost.map(|lost| lost.kinds.into_keys().collect())
    }
}

#[tokio::test]
async fn an_unanswered_commit_is_no_loss_written_or_not() {
    for answer in [Answer::LostBefore, Answer::LostAfter] {
        let bench = Bench::new().await;
        bench.set_paused(true).await.unwrap();
        bench.lose(answer);
        assert!(matches!(bench.set_paused(false).await, Err(StoreError::Unknown(_))));
        assert_eq!(bench.lost().await, None, "{answer:?}");
        bench.set_paused(answer == Answer::LostAfter).await.unwrap();
        assert_eq!(bench.lost().await, None, "{answer:?}");
    }
}

/// A caller that reads it back relies on it, whichever read it uses.
#[tokio::test]
async fn an_unanswered_commit_that_was_read_back_counts_as_acknowledged() {
    for read in ["nothing", "status", "list", "list_payments"] {
        let bench = Bench::new().await;
        bench.store.create(&[Bench::request()]).await.unwrap();
        bench.set_paused(true).await.unwrap();
        bench.lose(Answer::LostAfter);
        assert!(matches!(bench.set_paused(false).await, Err(StoreError::Unknown(_))));
        match read {
            "status" => drop(bench.store.instance_status(Millis::ZERO, None).await.unwrap()),
            "list" => {
                let all = ListQuery {
                    filter: Filter::default(),
                    after: None,
                    caller: "",
                    limit: 9,
                    now: NOW,
                };
                bench.store.list(&all).await.unwrap();
            }
            "list_payments" => {
                let filter = PaymentFilter::default();
                let all = PaymentQuery { filter, after: None, limit: 9, now: NOW };
                bench.store.list_payments(&all).await.unwrap();
            }
            _ => {}
        }
        bench.tamper("update marks set value = 2").await;
        let expected = (read != "nothing").then(|| vec!["RESUME"]);
        assert_eq!(bench.lost().await, expected, "{read}");
    }
}

/// The first commit after a loss finds it. A pause is written all the same, and a fence sets a new baseline.
#[tokio::test]
async fn a_commit_after_a_loss_is_refused_until_the_loss_is_fenced() {
    let bench = Bench::new().await;
    bench.set_paused(true).await.unwrap();
    bench.set_paused(false).await.unwrap();
    bench.tamper("update marks set value = 1").await;
    bench.set_paused(true).await.unwrap();
    assert!(matches!(
        bench.set_paused(false).await,
        Err(StoreError::Halted(HaltReason::Unverified))
    ));
    assert_eq!(bench.lost().await, Some(vec!["RESUME"]));
    let act = Act {
        by: Actor::unnamed("withdrawd", "MARK_LOST"),
        at: Timestamp::from_ms(1_800_000_000_001),
    };
    assert!(
        bench
            .store
            .execute_command(&InstanceCommand::Fence(FenceReason::MarkLost, act))
            .await
            .unwrap()
    );
    assert_eq!(bench.lost().await, None);
    bench.set_paused(false).await.unwrap();
}

/// The database loses commits just before an unknown COMMIT is settled: no lost commit is taken for written.
#[tokio::test]
async fn an_unknown_commit_is_not_settled_after_a_loss() {
    let bench = Bench::new().await;
    bench.set_paused(true).await.unwrap();
    bench.lose(Answer::LostBefore);
    assert!(matches!(bench.set_paused(false).await, Err(StoreError::Unknown(_))));
    let lane = bench.store.marks.doubtful_lanes().into_iter().next().unwrap();
    let mark = bench.store.marks.next_on_doubtful(lane).unwrap();
    bench.tamper("delete from marks").await;
    let tx = bench.store.driver().begin().await.unwrap();
    let refused = bench.store.commit_move(tx, mark).await.unwrap_err().into_error();
    assert!(matches!(refused, StoreError::Halted(HaltReason::Unverified)), "{refused:?}");
    assert_eq!(bench.lost().await, Some(vec!["PAUSE"]));
}

/// The verifier read from a lagging standby, but the server that accepts writes has all marks.
#[tokio::test]
async fn a_fence_for_marks_that_are_present_is_refused() {
    let bench = Bench::new().await;
    bench.set_paused(true).await.unwrap();
    let act = Act { by: Actor::unnamed("withdrawd", "MARK_LOST"), at: NOW };
    let fence = InstanceCommand::Fence(FenceReason::MarkLost, act);
    assert!(matches!(bench.store.execute_command(&fence).await, Err(StoreError::Stale)));
    assert!(bench.store.instance_status(Millis::ZERO, None).await.unwrap().fenced.is_none());
    assert_eq!(bench.lost().await, None);
}

/// Another process made the commit and dies with the database, but this one has reported it to callers, too.
#[tokio::test]
async fn a_repeated_outcome_is_marked_as_well() {
    for what in ["replayed", "paused", "confirmed"] {
        let bench = Bench::new().await;
        let other = bench.store.of_another_process();
        other.create(&[Bench::request()]).await.unwrap();
        let pause = InstanceCommand::Pause(Act { by: Actor::unnamed("ann", "odd"), at: NOW });
        assert!(other.execute_command(&pause).await.unwrap());
        match what {
            "replayed" => {
                let again = bench.store.create(&[Bench::request()]).await.unwrap();
                assert!(matches!(again[..], [CreateOutcome::Replayed(_)]), "{again:?}");
            }
            "paused" => assert!(!bench.store.execute_command(&pause).await.unwrap()),
            _ => bench.store.confirm_version(Bench::request().id, 1).await.unwrap(),
        }
        bench.tamper("delete from marks").await;
        let kind = if what == "paused" { "PAUSE" } else { "replayed" };
        assert_eq!(bench.lost().await, Some(vec![kind]), "{what}");
    }
}

/// A verification holds for one run of one database server.
#[tokio::test]
async fn only_the_server_that_answers_is_verified() {
    let bench = Bench::new().await;
    let seen = bench.store.server().await.unwrap();
    assert!(!seen.verified);
    let other = crate::ports::Server(seen.server.0 ^ 1);
    assert!(!bench.store.verify(other, Timestamp::from_ms(1)).await.unwrap());
    assert!(!bench.store.server().await.unwrap().verified);
    assert!(bench.store.verify(seen.server, Timestamp::from_ms(1)).await.unwrap());
    assert!(bench.store.server().await.unwrap().verified);
    let by = "select 1 from instance where verified_by is not null and verified_at_ms = 1";
    assert_eq!(bench.count_rows(by).await, 1);
}
