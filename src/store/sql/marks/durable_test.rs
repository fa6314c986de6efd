//! The store over a database that loses its answers to COMMIT, and over one that loses commits.

use std::sync::Mutex;

use async_trait::async_trait;
use tempfile::TempDir;

use super::*;
use crate::{
    domain::{
        Act, Actor, FenceReason, Filter, ListQuery, Millis, Timestamp, Turn, Withdraw,
        payment::{PaymentFilter, PaymentQuery},
        withdraw_test::request,
    },
    ports::{
        Connections, CreateOutcome, Instance as _, Integrity as _, Payments as _, PublicStore as _,
        Withdraws as _,
    },
    runtime::Runtime,
    store::{
        sql::Dialect,
        sqlite::{SqliteDriver, SqliteOptions, SqliteStore},
        statement::{BoundStatement, Sql},
    },
};

/// What happens to the next COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    LostBefore,
    LostAfter,
}

/// A driver whose answers may be lost.
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

    fn dialect(&self) -> &'static Dialect {
        self.inner.dialect()
    }

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

    /// Any commit that a caller is told of.
    async fn turn(&self, pause: bool) -> Result<bool, StoreError> {
        let act =
            Act { by: Actor::unnamed("ann", "odd"), at: Timestamp::from_ms(1_800_000_000_000) };
        let turn = if pause { Turn::Pause(act) } else { Turn::Resume(act) };
        self.store.turn(&turn).await
    }

    /// A request with a request id, the same each time.
    fn request() -> Withdraw {
        Withdraw { request_id: Some("twice".into()), ..request() }
    }

    fn lose(&self, answer: Answer) {
        *self.store.driver().next.lock().unwrap() = Some(answer);
    }

    async fn hand(&self, text: &'static str) {
        self.store.write(plain("meddle", text)).await.unwrap();
    }

    /// How many rows there are.
    async fn ask(&self, text: &'static str) -> usize {
        self.store.driver().fetch(plain("ask", text)).await.unwrap().len()
    }

    async fn lost(&self) -> Option<Vec<&'static str>> {
        let lost = self.store.lost_commits().await.unwrap();
        lost.map(|lost| lost.kinds.into_keys().collect())
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_no_loss_written_or_not() {
    for answer in [Answer::LostBefore, Answer::LostAfter] {
        let bench = Bench::new().await;
        bench.turn(true).await.unwrap();
        bench.lose(answer);
        assert!(matches!(bench.turn(false).await, Err(StoreError::Unknown(_))));
        assert_eq!(bench.lost().await, None, "{answer:?}");
        bench.turn(answer == Answer::LostAfter).await.unwrap();
        assert_eq!(bench.lost().await, None, "{answer:?}");
    }
}

/// Whoever reads it back sees it done, and relies on it: by whatever he asks.
#[tokio::test]
async fn a_commit_that_was_read_back_is_told() {
    for read in ["nothing", "standing", "list", "list_payments"] {
        let bench = Bench::new().await;
        bench.store.create(&[Bench::request()]).await.unwrap();
        bench.turn(true).await.unwrap();
        bench.lose(Answer::LostAfter);
        assert!(matches!(bench.turn(false).await, Err(StoreError::Unknown(_))));
        match read {
            "standing" => drop(bench.store.standing(Millis::ZERO, None).await.unwrap()),
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
        bench.hand("update marks set value = 2").await;
        let told = (read != "nothing").then(|| vec!["RESUME"]);
        assert_eq!(bench.lost().await, told, "{read}");
    }
}

/// A loss is found by the commit that meets it; what halts is written all the same, and a fence begins anew.
#[tokio::test]
async fn a_commit_over_an_older_mark_is_refused_until_the_loss_is_fenced() {
    let bench = Bench::new().await;
    bench.turn(true).await.unwrap();
    bench.turn(false).await.unwrap();
    bench.hand("update marks set value = 1").await;
    bench.turn(true).await.unwrap();
    assert!(matches!(bench.turn(false).await, Err(StoreError::Halted(Halt::Unverified))));
    assert_eq!(bench.lost().await, Some(vec!["RESUME"]));
    let act = Act {
        by: Actor::unnamed("withdrawd", "MARK_LOST"),
        at: Timestamp::from_ms(1_800_000_000_001),
    };
    assert!(bench.store.turn(&Turn::Fence(FenceReason::MarkLost, act)).await.unwrap());
    assert_eq!(bench.lost().await, None);
    bench.turn(false).await.unwrap();
}

/// The database was put back just before a doubt is to be ended: nothing is taken for written that is not.
#[tokio::test]
async fn a_doubt_is_not_ended_over_a_loss() {
    let bench = Bench::new().await;
    bench.turn(true).await.unwrap();
    bench.lose(Answer::LostBefore);
    assert!(matches!(bench.turn(false).await, Err(StoreError::Unknown(_))));
    let lane = bench.store.marks.doubtful_lanes().into_iter().next().unwrap();
    let mark = bench.store.marks.next_on_doubtful(lane).unwrap();
    bench.hand("delete from marks").await;
    let tx = bench.store.driver().begin().await.unwrap();
    let refused = bench.store.commit_move(tx, mark).await.unwrap_err().into_error();
    assert!(matches!(refused, StoreError::Halted(Halt::Unverified)), "{refused:?}");
    assert_eq!(bench.lost().await, Some(vec!["PAUSE"]));
}

/// A standby that lags behind answered the guard, and the server that takes writes has it all.
#[tokio::test]
async fn a_fence_for_marks_that_are_there_is_none() {
    let bench = Bench::new().await;
    bench.turn(true).await.unwrap();
    let act = Act { by: Actor::unnamed("withdrawd", "MARK_LOST"), at: NOW };
    let fence = Turn::Fence(FenceReason::MarkLost, act);
    assert!(matches!(bench.store.turn(&fence).await, Err(StoreError::Stale)));
    assert!(bench.store.standing(Millis::ZERO, None).await.unwrap().fenced.is_none());
    assert_eq!(bench.lost().await, None);
}

/// Another process made it so, and dies with the database; this one has told its callers the same.
#[tokio::test]
async fn what_stands_already_is_told_with_a_mark_as_well() {
    for what in ["replayed", "paused", "vouched"] {
        let bench = Bench::new().await;
        let other = bench.store.of_another_process();
        other.create(&[Bench::request()]).await.unwrap();
        let pause = Turn::Pause(Act { by: Actor::unnamed("ann", "odd"), at: NOW });
        assert!(other.turn(&pause).await.unwrap());
        match what {
            "replayed" => {
                let again = bench.store.create(&[Bench::request()]).await.unwrap();
                assert!(matches!(again[..], [CreateOutcome::Replayed(_)]), "{again:?}");
            }
            "paused" => assert!(!bench.store.turn(&pause).await.unwrap()),
            _ => bench.store.vouch(Bench::request().id, 1).await.unwrap(),
        }
        bench.hand("delete from marks").await;
        let told = if what == "paused" { "PAUSE" } else { "shown again" };
        assert_eq!(bench.lost().await, Some(vec![told]), "{what}");
    }
}

/// A verification is of one life of one database.
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
    assert_eq!(bench.ask(by).await, 1);
}
