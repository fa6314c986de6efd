//! The marks of this process: how far its acknowledged commits have come.
//!
//! A process is a *writer* with a random id. Each commit that a caller hears of advances one of its marks in
//! the same transaction. If the database's mark is behind the acknowledged one, or missing, that commit was
//! lost. If it is ahead, only the answer to COMMIT was lost, and nobody was told.
//!
//! Each running transaction has a lane (a row) of its own, so none waits for another's. Commits are lost
//! from the end of the log, so what a lane has lost comes after all that its mark still shows.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use uuid::Uuid;

use parking_lot::Mutex;

use crate::{
    domain::{PaymentId, WithdrawId},
    ports::LostCommits,
    runtime::{Entropy, SystemEntropy},
};

/// How many of the last commits the log can name, should they be lost.
const REMEMBERED: usize = 1024;
/// How many ids it names at most.
const NAMED: usize = 20;

/// What the log calls a commit that a caller is told of, should it be lost.
#[derive(Clone, Copy, Debug)]
pub struct CommitLabel {
    /// What was done, as the log calls it.
    pub kind: &'static str,
    /// To what; of a batch, the last one.
    pub subject: Subject,
    /// How many at once.
    pub number: usize,
}

/// What a commit was about.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// A request.
    Withdraw(WithdrawId),
    /// An attempt.
    Payment(PaymentId),
    /// All of it.
    Instance,
}

impl CommitLabel {
    pub const fn of_payment(kind: &'static str, id: PaymentId) -> Self {
        Self { kind, subject: Subject::Payment(id), number: 1 }
    }

    pub const fn of_withdraws(kind: &'static str, last: WithdrawId, number: usize) -> Self {
        Self { kind, subject: Subject::Withdraw(last), number }
    }

    pub const fn of_instance(kind: &'static str) -> Self {
        Self { kind, subject: Subject::Instance, number: 1 }
    }

    fn name(&self) -> Option<String> {
        match self.subject {
            Subject::Withdraw(id) => Some(id.to_string()),
            Subject::Payment(id) => Some(id.to_string()),
            Subject::Instance => None,
        }
    }
}

/// A database's marks of one writer, by lane.
pub type Found = BTreeMap<i64, i64>;

/// How far the marks were told to have come at some instant, by lane. Zero: told nothing.
#[derive(Debug)]
pub struct Acknowledged {
    lanes: Vec<i64>,
    /// How often something was seen to be missing.
    suspicions: u64,
}

impl Acknowledged {
    /// Nothing can be lost.
    pub fn is_nothing(&self) -> bool {
        self.lanes.iter().all(|value| *value == 0)
    }

    /// Whether a database with these marks has all that was told until then.
    fn is_in(&self, found: &Found) -> bool {
        let mut lanes = self.lanes.iter().enumerate();
        lanes.all(|(lane, told)| at(found, lane) >= *told)
    }
}

fn at(found: &Found, lane: usize) -> i64 {
    found.get(&number(lane)).copied().unwrap_or(0)
}

/// The marks of this process.
#[derive(Debug)]
pub struct Marks {
    writer: Uuid,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    lanes: Vec<Lane>,
    /// Lanes that no transaction has. The last one given back is taken first.
    free: VecDeque<usize>,
    /// Moves whose COMMIT was not answered.
    in_doubt: Vec<Commit>,
    /// The last commits that were told.
    recent: VecDeque<Commit>,
    /// The server on which all marks were found last.
    checked: Option<i64>,
    /// Some were not, and nobody has looked since.
    suspect: bool,
    suspicions: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// Of the newest move, whatever came of it.
    moved_to: i64,
    acknowledged: i64,
}

#[derive(Clone, Copy, Debug)]
struct Commit {
    lane: usize,
    value: i64,
    label: CommitLabel,
}

impl Marks {
    /// A writer that has told nobody anything.
    pub fn of_a_new_writer() -> Arc<Self> {
        let mut bits = [0; 16];
        SystemEntropy.fill(&mut bits);
        let writer = uuid::Builder::from_random_bytes(bits).into_uuid();
        Arc::new(Self { writer, book: Mutex::default() })
    }

    pub const fn writer(&self) -> Uuid {
        self.writer
    }

    /// The next move, on a lane that no other transaction has.
    pub fn next(self: &Arc<Self>, label: CommitLabel) -> Move {
        self.locked(|book| {
            let lane = book.free.pop_back().unwrap_or_else(|| book.new_lane());
            self.next_on(book, lane, label)
        })
    }

    /// The next move, on a lane that was told nothing: it can be moved on any database.
    pub fn next_on_a_new_lane(self: &Arc<Self>, label: CommitLabel) -> Move {
        self.locked(|book| {
            let lane = book.new_lane();
            self.next_on(book, lane, label)
        })
    }

    fn next_on(self: &Arc<Self>, book: &mut Book, lane: usize, label: CommitLabel) -> Move {
        let its = &mut book.lanes[lane];
        its.moved_to += 1;
        let (value, required) = (its.moved_to, its.acknowledged);
        let commit = Commit { lane, value, label };
        Move { marks: Arc::clone(self), commit, required, stage: Stage::Open }
    }

    /// To be read before the database's marks are: what is told in between is not missed there.
    pub fn acknowledged(&self) -> Acknowledged {
        self.locked(|book| Acknowledged {
            lanes: book.lanes.iter().map(|lane| lane.acknowledged).collect(),
            suspicions: book.suspicions,
        })
    }

    /// The marks on this server, as read after `told`: whether all are there. Then the lost answers are
    /// settled, too.
    pub fn check(&self, server: i64, told: &Acknowledged, found: &Found) -> bool {
        let has_all = told.is_in(found);
        self.locked(|book| {
            if !has_all {
                return book.suspect();
            }
            // What was seen to be missing since these were read is missing.
            if book.suspicions == told.suspicions {
                book.suspect = false;
            }
            book.checked = Some(server);
            book.settle(found);
        });
        has_all
    }

    /// The same for one connection, which says less: it only ever raises a suspicion.
    pub fn suspect_if_older(&self, told: &Acknowledged, found: &Found) {
        if !told.is_in(found) {
            self.suspect();
        }
    }

    /// A mark was older than it was told to be: nothing is served until the guard has looked.
    pub fn suspect(&self) {
        self.locked(Book::suspect);
    }

    /// Whether something was seen to be missing.
    pub fn is_suspect(&self) -> bool {
        self.locked(|book| book.suspect)
    }

    /// Whether all marks were found on this server, as far as was heard, and nothing was missing since.
    pub fn has_checked(&self, server: i64) -> bool {
        self.locked(|book| !book.suspect && book.checked == Some(server))
    }

    /// Whether the answer to a COMMIT was lost, and its mark not read since.
    pub fn has_lost_answers(&self) -> bool {
        self.locked(|book| !book.in_doubt.is_empty())
    }

    /// The lanes of moves whose COMMIT was not answered.
    pub fn doubtful_lanes(&self) -> BTreeSet<i64> {
        self.locked(|book| book.in_doubt.iter().map(|commit| number(commit.lane)).collect())
    }

    /// A move on a lane in doubt, unless another transaction has it: acknowledged, it ends the doubt.
    pub fn next_on_doubtful(self: &Arc<Self>, lane: i64) -> Option<Move> {
        self.locked(|book| {
            let free = book.free.iter().position(|free| number(*free) == lane)?;
            let lane = book.free.remove(free)?;
            Some(self.next_on(book, lane, CommitLabel::of_instance("looked")))
        })
    }

    /// A lost answer is found in what a server has that has all the rest.
    pub fn settle(&self, told: &Acknowledged, found: &Found) {
        if told.is_in(found) {
            self.locked(|book| book.settle(found));
        } else {
            self.suspect();
        }
    }

    /// What was told and is not there.
    pub fn lost(&self, found: &Found) -> LostCommits {
        self.locked(|book| {
            let is_lost = |commit: &&Commit| at(found, commit.lane) < commit.value;
            let mut lost = LostCommits::default();
            for commit in book.recent.iter().rev().filter(is_lost) {
                *lost.kinds.entry(commit.label.kind).or_default() += commit.label.number;
                if lost.newest.len() < NAMED {
                    lost.newest.extend(commit.label.name());
                }
            }
            lost
        })
    }

    /// Accepts the database's marks as the new baseline, after the loss was fenced. What was acknowledged
    /// after `told` was read is kept.
    pub fn begin_anew(&self, told: &Acknowledged, found: &Found) {
        self.locked(|book| {
            for (lane, was) in told.lanes.iter().enumerate() {
                let its = &mut book.lanes[lane].acknowledged;
                if its == was {
                    *its = at(found, lane);
                }
            }
            let Book { lanes, recent, .. } = book;
            recent.retain(|commit| lanes[commit.lane].acknowledged >= commit.value);
            book.in_doubt.clear();
            book.suspect = false;
        });
    }

    fn locked<T>(&self, with: impl FnOnce(&mut Book) -> T) -> T {
        with(&mut self.book.lock())
    }
}

impl Book {
    fn suspect(&mut self) {
        self.suspect = true;
        self.suspicions += 1;
    }

    fn new_lane(&mut self) -> usize {
        self.lanes.push(Lane::default());
        self.lanes.len() - 1
    }

    fn acknowledge(&mut self, commit: Commit) {
        let its = &mut self.lanes[commit.lane].acknowledged;
        *its = commit.value.max(*its);
        // If one of before is lost, this one is.
        let told = *its;
        self.in_doubt.retain(|other| other.lane != commit.lane || other.value > told);
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(commit);
    }

    /// What has been written is as good as told: somebody may have read it.
    fn settle(&mut self, found: &Found) {
        let in_doubt = std::mem::take(&mut self.in_doubt);
        for commit in in_doubt {
            let told = self.lanes[commit.lane].acknowledged;
            if told >= commit.value {
                // A later one of this lane was told: if this one is lost, that one is.
                continue;
            }
            if at(found, commit.lane) >= commit.value {
                self.acknowledge(commit);
            } else {
                self.in_doubt.push(commit);
            }
        }
    }
}

fn number(lane: usize) -> i64 {
    i64::try_from(lane).unwrap_or(i64::MAX)
}

/// A mark's move within a transaction. Dropped, it gives its lane back.
#[derive(Debug)]
pub struct Move {
    marks: Arc<Marks>,
    commit: Commit,
    required: i64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is not asked for: dropped, it never happened.
    Open,
    /// COMMIT was asked for: dropped, it may have happened.
    Asked,
    /// The end is known.
    Over,
}

impl Move {
    pub fn lane(&self) -> i64 {
        number(self.commit.lane)
    }

    pub const fn value(&self) -> i64 {
        self.commit.value
    }

    /// How far the lane's mark must have come: zero if nobody was told anything of it.
    pub const fn required(&self) -> i64 {
        self.required
    }

    /// COMMIT is asked for now.
    pub const fn asked(&mut self) {
        self.stage = Stage::Asked;
    }

    /// The database has said that it is durable.
    pub fn acknowledged(mut self) {
        self.stage = Stage::Over;
        self.marks.locked(|book| book.acknowledge(self.commit));
    }

    /// The database has said that it was taken back.
    pub fn taken_back(mut self) {
        self.stage = Stage::Over;
    }
}

impl Drop for Move {
    fn drop(&mut self) {
        let (commit, stage) = (self.commit, self.stage);
        self.marks.locked(|book| {
            if stage == Stage::Asked {
                book.in_doubt.push(commit);
                // Its row may still be locked: taken last.
                book.free.push_front(commit.lane);
            } else {
                book.free.push_back(commit.lane);
            }
        });
    }
}

#[cfg(test)]
#[path = "book_test.rs"]
mod tests;
