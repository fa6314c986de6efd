//! The marks of this process: counters of its acknowledged commits.
//!
//! A process is a *writer* with a random id. Each commit that is reported to a caller advances one of the
//! writer's marks in the same transaction. If the database's mark is behind the acknowledged value, or
//! missing, a commit was lost. If it is ahead, only the answer to a COMMIT was lost, and no caller relies on
//! that commit.
//!
//! Each running transaction has a lane (a row) of its own, so none waits for another's. A database loses
//! commits from the end of its log, so the lost commits of a lane are those beyond its mark.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use uuid::Uuid;

use super::stage::Stage;
use crate::{
    domain::{PaymentId, WithdrawId},
    ports::LostCommits,
    runtime::{Entropy, SystemEntropy},
};

/// How many recent commits are remembered, so that the log can name them if they are lost.
const RECENT_COMMITS: usize = 1024;
/// The maximum number of ids of lost commits in the log.
const MAX_NAMED_IDS: usize = 20;

/// How the log names an acknowledged commit if it is lost.
#[derive(Clone, Copy, Debug)]
pub struct CommitLabel {
    /// What the commit did.
    pub kind: &'static str,
    /// What it was about; for a batch, the last item.
    pub subject: Subject,
    /// The number of items.
    pub number: usize,
}

/// What a commit was about.
#[derive(Clone, Copy, Debug)]
pub enum Subject {
    /// A request.
    Withdraw(WithdrawId),
    /// An attempt.
    Payment(PaymentId),
    /// The whole instance.
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

/// The marks of one writer that were read from a database, by lane.
pub type Found = BTreeMap<i64, i64>;

/// The acknowledged value of each lane at some instant; zero if nothing was acknowledged.
#[derive(Debug)]
pub struct Acknowledged {
    lanes: Vec<i64>,
    /// How many times a mark had been found missing or behind by then.
    suspicions: u64,
}

impl Acknowledged {
    /// Whether nothing was acknowledged, so nothing can be lost.
    pub fn is_nothing(&self) -> bool {
        self.lanes.iter().all(|value| *value == 0)
    }

    /// Whether these marks include all commits that were acknowledged by then.
    fn is_covered_by(&self, found: &Found) -> bool {
        let mut lanes = self.lanes.iter().enumerate();
        lanes.all(|(lane, value)| mark_of(found, lane) >= *value)
    }
}

fn mark_of(found: &Found, lane: usize) -> i64 {
    found.get(&number(lane)).copied().unwrap_or(0)
}

/// The marks of this process.
#[derive(Debug)]
pub struct Marks {
    writer: Uuid,
    state: Mutex<State>,
}

/// The mutable state of [`Marks`].
#[derive(Debug, Default)]
struct State {
    lanes: Vec<Lane>,
    /// Lanes that no transaction uses. The one returned last is reused first.
    free: VecDeque<usize>,
    /// Moves whose COMMIT was never answered.
    in_doubt: Vec<Commit>,
    /// The most recent acknowledged commits.
    recent: VecDeque<Commit>,
    /// The last server on which all marks were found.
    checked: Option<i64>,
    /// A mark was found missing or behind, and no check has succeeded since.
    suspect: bool,
    suspicions: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// The value of the newest move, committed or not.
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
    /// The marks of a new writer, which has acknowledged nothing.
    pub fn of_a_new_writer() -> Arc<Self> {
        let mut bits = [0; 16];
        SystemEntropy.fill(&mut bits);
        let writer = uuid::Builder::from_random_bytes(bits).into_uuid();
        Arc::new(Self { writer, state: Mutex::default() })
    }

    pub const fn writer(&self) -> Uuid {
        self.writer
    }

    /// The next move, on a lane that no other transaction uses.
    pub fn next(self: &Arc<Self>, label: CommitLabel) -> Move {
        self.with_state(|state| {
            let lane = state.free.pop_back().unwrap_or_else(|| state.new_lane());
            self.next_on(state, lane, label)
        })
    }

    /// The next move, on a lane without acknowledged commits, so that any database accepts it.
    pub fn next_on_a_new_lane(self: &Arc<Self>, label: CommitLabel) -> Move {
        self.with_state(|state| {
            let lane = state.new_lane();
            self.next_on(state, lane, label)
        })
    }

    fn next_on(self: &Arc<Self>, state: &mut State, lane: usize, label: CommitLabel) -> Move {
        let counter = &mut state.lanes[lane];
        counter.moved_to += 1;
        let (value, required) = (counter.moved_to, counter.acknowledged);
        let commit = Commit { lane, value, label };
        Move { marks: Arc::clone(self), commit, required, stage: Stage::Open }
    }

    /// The acknowledged values. Read them before the database's marks: a commit acknowledged in between must
    /// not count as missing.
    pub fn acknowledged(&self) -> Acknowledged {
        self.with_state(|state| Acknowledged {
            lanes: state.lanes.iter().map(|lane| lane.acknowledged).collect(),
            suspicions: state.suspicions,
        })
    }

    /// Whether this server has all acknowledged commits, by its marks as read after `acknowledged`. If so,
    /// also settles unanswered COMMITs.
    pub fn check(&self, server: i64, acknowledged: &Acknowledged, found: &Found) -> bool {
        let has_all = acknowledged.is_covered_by(found);
        self.with_state(|state| {
            if !has_all {
                return state.suspect();
            }
            // A loss that was seen after `acknowledged` was read stays suspected.
            if state.suspicions == acknowledged.suspicions {
                state.suspect = false;
            }
            state.checked = Some(server);
            state.settle(found);
        });
        has_all
    }

    /// Like [`Self::check`], for the marks that one new connection read: they can only raise a suspicion, not
    /// clear one.
    pub fn suspect_if_behind(&self, acknowledged: &Acknowledged, found: &Found) {
        if !acknowledged.is_covered_by(found) {
            self.suspect();
        }
    }

    /// Records that a mark was missing or behind: nothing is served until the verifier has checked all marks.
    pub fn suspect(&self) {
        self.with_state(State::suspect);
    }

    /// Whether a mark was found missing or behind, and no check has succeeded since.
    pub fn is_suspect(&self) -> bool {
        self.with_state(|state| state.suspect)
    }

    /// Whether the last successful check was on this server, and nothing was found missing since.
    pub fn has_checked(&self, server: i64) -> bool {
        self.with_state(|state| !state.suspect && state.checked == Some(server))
    }

    /// Whether a COMMIT was never answered, and its mark not read since.
    pub fn has_lost_answers(&self) -> bool {
        self.with_state(|state| !state.in_doubt.is_empty())
    }

    /// The lanes of moves whose COMMIT was never answered.
    pub fn doubtful_lanes(&self) -> BTreeSet<i64> {
        self.with_state(|state| state.in_doubt.iter().map(|commit| number(commit.lane)).collect())
    }

    /// A move on a lane in doubt, unless another transaction uses the lane. Once it is acknowledged, the
    /// lane is no longer in doubt.
    pub fn next_on_doubtful(self: &Arc<Self>, lane: i64) -> Option<Move> {
        self.with_state(|state| {
            let free = state.free.iter().position(|free| number(*free) == lane)?;
            let lane = state.free.remove(free)?;
            Some(self.next_on(state, lane, CommitLabel::of_instance("checked")))
        })
    }

    /// Settles unanswered COMMITs by a server's marks, if that server has all acknowledged commits.
    pub fn settle(&self, acknowledged: &Acknowledged, found: &Found) {
        if acknowledged.is_covered_by(found) {
            self.with_state(|state| state.settle(found));
        } else {
            self.suspect();
        }
    }

    /// The acknowledged commits that the database lacks.
    pub fn lost(&self, found: &Found) -> LostCommits {
        self.with_state(|state| {
            let is_lost = |commit: &&Commit| mark_of(found, commit.lane) < commit.value;
            let mut lost = LostCommits::default();
            for commit in state.recent.iter().rev().filter(is_lost) {
                *lost.kinds.entry(commit.label.kind).or_default() += commit.label.number;
                if lost.newest.len() < MAX_NAMED_IDS {
                    lost.newest.extend(commit.label.name());
                }
            }
            lost
        })
    }

    /// Accepts the database's marks as the new baseline, after the loss was fenced. Keeps commits that were
    /// acknowledged after `acknowledged` was read.
    pub fn accept_as_baseline(&self, acknowledged: &Acknowledged, found: &Found) {
        self.with_state(|state| {
            for (lane, was) in acknowledged.lanes.iter().enumerate() {
                let value = &mut state.lanes[lane].acknowledged;
                if value == was {
                    *value = mark_of(found, lane);
                }
            }
            let State { lanes, recent, .. } = state;
            recent.retain(|commit| lanes[commit.lane].acknowledged >= commit.value);
            state.in_doubt.clear();
            state.suspect = false;
        });
    }

    fn with_state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock())
    }
}

impl State {
    fn suspect(&mut self) {
        self.suspect = true;
        self.suspicions += 1;
    }

    fn new_lane(&mut self) -> usize {
        self.lanes.push(Lane::default());
        self.lanes.len() - 1
    }

    fn acknowledge(&mut self, commit: Commit) {
        let newest = &mut self.lanes[commit.lane].acknowledged;
        *newest = commit.value.max(*newest);
        // Earlier moves of the lane need no check of their own: if one of them is lost, so is this one.
        let acknowledged = *newest;
        self.in_doubt.retain(|other| other.lane != commit.lane || other.value > acknowledged);
        if self.recent.len() == RECENT_COMMITS {
            self.recent.pop_front();
        }
        self.recent.push_back(commit);
    }

    /// Counts written commits as acknowledged, since someone may have read them.
    fn settle(&mut self, found: &Found) {
        let in_doubt = std::mem::take(&mut self.in_doubt);
        for commit in in_doubt {
            if self.lanes[commit.lane].acknowledged >= commit.value {
                // A later commit of the lane was acknowledged: if this one is lost, so is that one.
                continue;
            }
            if mark_of(found, commit.lane) >= commit.value {
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

/// A mark's move within a transaction. Dropping it returns its lane.
#[derive(Debug)]
pub struct Move {
    marks: Arc<Marks>,
    commit: Commit,
    required: i64,
    stage: Stage,
}

impl Move {
    pub fn lane(&self) -> i64 {
        number(self.commit.lane)
    }

    pub const fn value(&self) -> i64 {
        self.commit.value
    }

    /// The minimum value of the lane's mark in the database; zero if nothing was acknowledged on the lane.
    pub const fn required(&self) -> i64 {
        self.required
    }

    /// COMMIT is about to be sent.
    pub const fn commit_sent(&mut self) {
        self.stage = Stage::CommitSent;
    }

    /// The database reported that the commit is durable.
    pub fn acknowledged(mut self) {
        self.stage = Stage::Settled;
        self.marks.with_state(|state| state.acknowledge(self.commit));
    }

    /// The database reported that the transaction was rolled back.
    pub fn rolled_back(mut self) {
        self.stage = Stage::Settled;
    }
}

impl Drop for Move {
    fn drop(&mut self) {
        let (commit, stage) = (self.commit, self.stage);
        self.marks.with_state(|state| {
            if stage == Stage::CommitSent {
                state.in_doubt.push(commit);
                // Its row may still be locked, so it is reused last.
                state.free.push_front(commit.lane);
            } else {
                state.free.push_back(commit.lane);
            }
        });
    }
}

#[cfg(test)]
#[path = "counters_test.rs"]
mod tests;
