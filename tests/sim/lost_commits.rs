//! A database that has lost its last commits: a standby that lagged behind was promoted.
//!
//! The mirror keeps the lost rows, since callers were told of them. A process that made a lost commit, and
//! still runs, finds the loss by its marks, and neither claims nor sends until the instance is fenced. The
//! other processes wait for its check, up to a limit, before they claim or send.

use withdrawd::domain::{Payment, Withdraw};

use super::{
    history::History,
    invariants::SETTLES_ONCE,
    mirror::Mirror,
    replica,
    step::Step,
    world::{Incarnation, Inner, REPLICAS},
};

const FENCED: &str = "what a caller was told stays true, or the instance is fenced";
const NOT_FENCED: &str = "what has lost nothing is not fenced";
const OVER_A_KNOWN_LOSS: &str = "nothing is claimed or sent over a loss that somebody knows of";
/// What is checked over a loss.
pub const AFTER_A_LOSS: [&str; 5] =
    [FENCED, NOT_FENCED, OVER_A_KNOWN_LOSS, SETTLES_ONCE, "everything comes to rest"];

/// What is gone.
#[derive(Clone, Debug)]
pub struct LostCommits {
    at_ms: i64,
    /// Who made it, and what.
    commits: Vec<(Incarnation, &'static str)>,
    /// The instance was fenced since.
    pub fenced: bool,
    /// A process that made some of the lost commits died before it could check its marks. No process is left
    /// that knows of them.
    pub unknown: bool,
}

impl Mirror {
    /// From here on commits are lost if the standby is promoted.
    pub fn begin_to_lag(&mut self) {
        self.since = Some(Vec::new());
    }

    pub fn lags(&self) -> bool {
        self.since.is_some()
    }
}

impl Inner {
    /// A commit was made that its caller may be told of.
    pub fn note_commit(&mut self, by: Incarnation, what: &'static str) {
        if let Some(since) = &mut self.mirror.since {
            since.push((by, what));
        }
    }

    /// The standby is promoted.
    pub fn lose(&mut self) {
        let commits = self.mirror.since.take().unwrap_or_default();
        self.note(|| format!("      lost: {commits:?}"));
        let unknown = commits.iter().any(|(incarnation, _)| !self.is_running(*incarnation));
        self.mirror.loss =
            Some(LostCommits { at_ms: self.now_ms, commits, fenced: false, unknown });
    }

    /// A process dies.
    pub fn end_process(&mut self, replica: usize) {
        let Some(incarnation) = self.running[replica].take() else { return };
        if let Some(loss) = &mut self.mirror.loss
            && !loss.fenced
            && loss.commits.iter().any(|(other, _)| *other == incarnation)
        {
            loss.unknown = true;
        }
    }

    fn is_running(&self, incarnation: Incarnation) -> bool {
        self.running[incarnation.replica] == Some(incarnation)
    }

    /// A process has claimed, or sends.
    pub fn check_known_loss(&mut self, by: Incarnation, what: &str) {
        let Some(loss) = &self.mirror.loss else { return };
        let waited_for = self.now_ms < loss.at_ms + replica::patience_ms();
        let known = |(incarnation, _): &(Incarnation, _)| {
            *incarnation == by || (waited_for && self.is_running(*incarnation))
        };
        let owes = loss.commits.iter().find(|commit| known(commit));
        if !loss.fenced
            && let Some((incarnation, gone)) = owes
        {
            let detail = format!("{what} by {by:?}, and {incarnation:?} has {gone}");
            self.broke(OVER_A_KNOWN_LOSS, &detail);
        }
    }

    /// A commit after a loss: new rows are added to the mirror, and old ones stay as callers know them.
    pub fn wrote_anew(&mut self, payment: Option<Payment>, withdraw: &Withdraw) {
        self.mirror.withdraws.entry(withdraw.id).or_insert_with(|| withdraw.clone());
        if let Some(payment) = payment {
            self.mirror.payments.entry(payment.id).or_insert(payment);
        }
    }

    fn check_end_after_a_loss(&mut self) {
        let Some(loss) = &self.mirror.loss else { return };
        let known =
            loss.commits.iter().find(|(incarnation, _)| self.is_running(*incarnation)).copied();
        let (lost_nothing, fenced) = (loss.commits.is_empty(), loss.fenced);
        if let Some((incarnation, gone)) = known
            && !fenced
        {
            self.broke(FENCED, &format!("{incarnation:?} has {gone}"));
        }
        if lost_nothing && fenced && self.faults.is_empty() {
            self.broke(NOT_FENCED, "a fence");
        }
    }
}

impl History {
    /// The end of a history whose database has lost commits: every process that runs has verified it.
    pub fn end_after_a_loss(&mut self) {
        self.armed.clear();
        self.world.lock().repair_node();
        self.apply(Step::Drain);
        for _ in 0..3 {
            for replica in 0..REPLICAS {
                self.apply(Step::VerifyDatabase { replica });
                self.apply(Step::Drain);
            }
            self.apply(Step::Advance { ms: replica::patience_ms() + 1000 });
        }
        if !self.is_broken() {
            self.world.lock().check_end_after_a_loss();
        }
        // What was on its way before is paid now, beside what was claimed since.
        for replica in 0..REPLICAS {
            self.apply(Step::Start { replica });
            self.apply(Step::RunPayer { replica });
            self.apply(Step::Drain);
        }
        self.let_all_arrive(&mut super::rng::Rng::new(self.seed ^ 0x1055));
    }
}
