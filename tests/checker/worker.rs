//! A payer, one effect at a time, as `payer` does it: look up, commit the send, ask the node,
//! listen, apply the answer. It has no lease here: any two payers may be busy with the same attempt.

use withdrawd::domain::payment::Next;

use super::{
    faults::{Fault, Mutation},
    inputs::{LookUpAnswer, LookUpFacts, Tampering, Written},
    invariants::{Invariant, Violations},
    real::decision_of,
    state::{Decision, Node, NodeState, Stage, StreamAnswer, Worker},
    steps::{Label, Steps},
};

impl Steps<'_> {
    pub fn worker(&mut self, w: usize) {
        match self.from.workers[w] {
            Worker::Idle => {
                for a in 0..2 {
                    if self.from.attempts[usize::from(a)].stage != Stage::Unclaimed {
                        self.looks_up(w, a);
                    }
                }
            }
            Worker::Decided { a, decision: Decision::Send } => self.commits(w, a),
            Worker::Decided { a, decision } => self.concludes(w, a, decision),
            Worker::Unsure { a, n, applied } => self.reads_back(w, (a, n), applied),
            Worker::Committed { a, n } => self.asks(w, a, n),
            Worker::Listening { a, n, started } => self.listens(w, (a, n), started),
            Worker::Hears { a, n, item } => self.hears(w, (a, n), item),
            Worker::Ahead { a, n } => {
                let sent = self.real.send(self.pair(a), 0);
                let to = self.from.write(a, Written { attempt: sent, request: None });
                let to = to.with(w, Worker::Listening { a, n, started: false });
                self.add("a payer commits {a}'s send {n} afterwards", (a, n), to);
            }
        }
        let busy = match self.from.workers[w] {
            Worker::Idle => None,
            Worker::Decided { a, .. } => Some((a, 0)),
            worker => worker.send(),
        };
        if let Some(at) = busy
            && self.setting.has(Fault::Crash)
        {
            self.fault("a payer dies", at, self.from.with(w, Worker::Idle));
        }
    }

    fn looks_up(&mut self, w: usize, a: u8) {
        if !self.real.is_due(self.pair(a)) {
            return;
        }
        let record = self.from.record_of(a);
        let knows = self.from.node != Node::Other && record.node_state != NodeState::Ghost;
        let found = if knows {
            LookUpAnswer::Record(record.node_state, record.age)
        } else {
            LookUpAnswer::Record(NodeState::NotFound, 0)
        };
        self.decides(w, a, "a payer looks {a} up", found, false);
        if self.setting.has(Fault::WrongProof) && knows && record.node_state == NodeState::Succeeded
        {
            let found = LookUpAnswer::WrongProof(record.age);
            self.decides(w, a, "a payer looks {a} up, the proof is wrong", found, true);
        }
        if self.setting.has(Fault::AnotherPayment) {
            let what = "a payer looks {a} up, the answer is about another, old payment";
            self.decides(w, a, what, LookUpAnswer::AnotherPayment(0), true);
            let what = "a payer looks {a} up, the answer is about another, new payment";
            self.decides(w, a, what, LookUpAnswer::AnotherPayment(2), true);
        }
    }

    /// Between reading the clocks and the answer, the last send may have become over.
    fn decides(&mut self, w: usize, a: u8, what: &'static str, found: LookUpAnswer, fault: bool) {
        let pair = self.pair(a);
        let node = self.from.node;
        // Whoever recovers what was sent does not ask; the first send is not a recovery.
        let first = pair.attempt.stage == Stage::Reserved;
        let tampering = match self.setting.tampering() {
            Tampering::NotAsked if first => Tampering::No,
            tampering => tampering,
        };
        let mut known = Vec::new();
        // Long after no send is allowed any more, a witness is not waited for.
        let waited = pair.attempt.too_late;
        for (early, waited) in [(false, false), (false, waited), (true, false)] {
            let next = self.real.look(pair, LookUpFacts { found, node, early, waited, tampering });
            if known.contains(&next) {
                continue;
            }
            known.push(next);
            if let Some(decision) = decision_of(next) {
                let to = self.from.with(w, Worker::Decided { a, decision });
                let label = Label { what, a, n: 0, next: Some(next), fault };
                // What is in doubt is settled by any proof.
                let old = matches!(found, LookUpAnswer::Record(_, 0))
                    && !pair.attempt.stage.is_in_doubt();
                let older = old && matches!(next, Next::Pay { .. });
                self.push(label, to, Violations::when(Invariant::PaidByOlder, older));
            }
        }
    }

    fn commits(&mut self, w: usize, a: u8) {
        let s = self.from;
        let n = s.attempts[usize::from(a)].count;
        if n >= self.setting.sends[usize::from(a)] {
            let to = s.with(w, Worker::Idle);
            return self.add("a payer would send {a} again (a bound of the search)", (a, n), to);
        }
        if self.setting.does(Mutation::SendsBeforeCommit) {
            let mut to = s.with(w, Worker::Ahead { a, n });
            to.attempts[usize::from(a)].sends[usize::from(n)].on_its_way = true;
            let what = "a payer asks the node for {a}'s send {n}, before its row";
            let label = Label { what, a, n, next: None, fault: false };
            return self.push(label, to, Violations::when(Invariant::SentUncommitted, true));
        }
        // It may have paused since it read its clocks, from which the deadline is reckoned.
        let youngest = self.oldest_before(a, n).min(2);
        for age in 0..=youngest {
            let what = [
                "a payer commits {a}'s send {n}",
                "a payer that paused commits {a}'s send {n}, past its deadline",
                "a payer that paused for long commits {a}'s send {n}, which is over",
            ][usize::from(age)];
            let attempt = self.real.send(self.pair(a), age);
            let done = s.write(a, Written { attempt, request: None });
            self.add(what, (a, n), done.with(w, Worker::Committed { a, n }));
            if self.setting.has(Fault::LostCommit) && age == 0 {
                let to = done.with(w, Worker::Unsure { a, n, applied: true });
                self.fault("a payer commits {a}'s send {n}, the answer is lost", (a, n), to);
            }
        }
        if self.setting.has(Fault::LostCommit) {
            let to = s.with(w, Worker::Unsure { a, n, applied: false });
            self.fault("a payer's commit of {a}'s send {n} is lost", (a, n), to);
        }
    }

    fn concludes(&mut self, w: usize, a: u8, decision: Decision) {
        let to = self.from.write(a, self.real.follow(self.pair(a), decision)).with(w, Worker::Idle);
        let what = match decision {
            Decision::Send | Decision::Note => "a payer notes the failure of {a}",
            Decision::InFlight => "a payer writes {a} as IN_FLIGHT",
            Decision::Pay => "a payer writes {a} as PAID",
            Decision::Fail => "a payer writes {a} as FAILED",
            Decision::Doubt => "a payer writes {a} as NEEDS_OPERATOR",
            Decision::LateSuccess => "a payer marks {a} as LATE_SUCCESS",
        };
        self.add(what, (a, 0), to);
    }

    /// By number and fencing token: another payer's row with this number is none of its own.
    fn reads_back(&mut self, w: usize, (a, n): (u8, u8), applied: bool) {
        let stage = self.from.attempts[usize::from(a)].stage;
        if self.setting.does(Mutation::LostCommitIsFailure) && stage.is_followed() {
            let to = self.from.write(a, self.real.follow(self.pair(a), Decision::Fail));
            let to = to.with(w, Worker::Idle);
            return self.add("a payer takes {a}'s send {n} for undone, and closes {a}", (a, n), to);
        }
        let becomes = if applied { Worker::Committed { a, n } } else { Worker::Idle };
        let what = if applied {
            "a payer reads {a}'s send {n} back: it is there"
        } else {
            "a payer reads {a}'s send {n} back: it is not there"
        };
        self.add(what, (a, n), self.from.with(w, becomes));
    }

    fn asks(&mut self, w: usize, a: u8, n: u8) {
        if self.from.node == Node::Other {
            let to = self.from.with(w, Worker::Hears { a, n, item: StreamAnswer::Error });
            return self.add(
                "a payer finds another node, {a}'s send {n} is not emitted",
                (a, n),
                to,
            );
        }
        let mut to = self.from.with(w, Worker::Listening { a, n, started: false });
        to.attempts[usize::from(a)].sends[usize::from(n)].on_its_way = true;
        let committed = self.from.attempts[usize::from(a)].count > n;
        let what = "a payer asks the node for {a}'s send {n}";
        let label = Label { what, a, n, next: None, fault: false };
        self.push(label, to, Violations::when(Invariant::SentUncommitted, !committed));
    }

    fn listens(&mut self, w: usize, (a, n): (u8, u8), started: bool) {
        let s = self.from;
        let stage = s.attempts[usize::from(a)].stage;
        if self.setting.does(Mutation::RebindsUnanswered) && stage.is_followed() {
            let to =
                s.write(a, self.real.follow(self.pair(a), Decision::Fail)).with(w, Worker::Idle);
            self.add("a payer has waited enough for {a}'s send {n}, and closes {a}", (a, n), to);
        } else {
            self.add("a payer waits no longer for {a}'s send {n}", (a, n), s.with(w, Worker::Idle));
        }
        if started {
            let (next, written) =
                self.real.hear(self.pair(a), n, StreamAnswer::InFlight, Tampering::No);
            if let Some(written) = written {
                let what = "a payer hears that {a}'s send {n} is in flight";
                let label = Label { what, a, n, next: Some(next), fault: false };
                self.push(label, s.write(a, written), Violations::default());
            }
        }
        if self.setting.has(Fault::StreamError) {
            let to = s.with(w, Worker::Hears { a, n, item: StreamAnswer::Error });
            self.fault("the stream of {a}'s send {n} breaks with an error", (a, n), to);
        }
    }

    fn hears(&mut self, w: usize, (a, n): (u8, u8), item: StreamAnswer) {
        let tampering = self.setting.tampering();
        let next = self.apply_answer(w, (a, n), item, tampering);
        if self.setting.has(Fault::ClocksDisagree) && matches!(next, Next::Fail(_)) {
            self.apply_answer(w, (a, n), item, Tampering::ClocksDisagree);
        }
    }

    fn apply_answer(
        &mut self,
        w: usize,
        (a, n): (u8, u8),
        item: StreamAnswer,
        tampering: Tampering,
    ) -> Next {
        let what = match item {
            StreamAnswer::Error => "a payer hears an error for {a}'s send {n}",
            StreamAnswer::NodeRefuses => "a payer hears that the node refuses {a}'s send {n}",
            StreamAnswer::Exists => "a payer hears ALREADY_EXISTS for {a}'s send {n}",
            StreamAnswer::WrongProof => "a payer hears of {a}'s send {n}: paid, with a wrong proof",
            StreamAnswer::Refused => "a payer hears of {a}'s send {n}: the payee refuses",
            StreamAnswer::InFlight | StreamAnswer::Succeeded | StreamAnswer::Failed => {
                "a payer hears how {a}'s send {n} ended"
            }
        };
        let (next, written) = self.real.hear(self.pair(a), n, item, tampering);
        let fault = tampering == Tampering::ClocksDisagree;
        let label = Label { what, a, n, next: Some(next), fault };
        let folded = written.map_or(self.from, |written| self.from.write(a, written));
        self.push(label, folded.with(w, Worker::Idle), Violations::default());
        // It reads the row again and folds once more.
        if self.setting.has(Fault::LostCommit) && written.is_some() {
            let what = "a payer folds the answer to {a}'s send {n}, the COMMIT is not answered";
            self.push(Label { what, fault: true, ..label }, folded, Violations::default());
        }
        next
    }
}
