//! A payer, one effect at a time, as `service::payer` does it: look up, commit the send, ask the node,
//! hear, fold. It has no lease here: any two payers may be busy with the same attempt.

use withdrawd::domain::payment::Next;

use super::{
    faults::{Fault, Mutation},
    invariants::{Broken, Invariant},
    pairs::{Asked, Found, Tampered, Written},
    real::then,
    state::{Is, Node, Said, Stands, Then, Worker},
    steps::{Label, Steps},
};

impl Steps<'_> {
    pub fn worker(&mut self, w: usize) {
        match self.from.workers[w] {
            Worker::Idle => {
                for a in 0..2 {
                    if self.from.attempts[usize::from(a)].stands != Stands::Unclaimed {
                        self.looks_up(w, a);
                    }
                }
            }
            Worker::Decided { a, then: Then::Send } => self.commits(w, a),
            Worker::Decided { a, then } => self.concludes(w, a, then),
            Worker::Unsure { a, n, applied } => self.reads_back(w, (a, n), applied),
            Worker::Committed { a, n } => self.asks(w, a, n),
            Worker::Listening { a, n, started } => self.listens(w, (a, n), started),
            Worker::Hears { a, n, said } => self.folds(w, (a, n), said),
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
        let knows = self.from.node != Node::Other && record.is != Is::Ghost;
        let found = if knows {
            Found::Record(record.is, record.age)
        } else {
            Found::Record(Is::NotFound, 0)
        };
        self.decides(w, a, "a payer looks {a} up", found, false);
        if self.setting.has(Fault::WrongProof) && knows && record.is == Is::Succeeded {
            let found = Found::WrongProof(record.age);
            self.decides(w, a, "a payer looks {a} up, the proof is wrong", found, true);
        }
        if self.setting.has(Fault::AnotherPayment) {
            let what = "a payer looks {a} up, the answer is about another, old payment";
            self.decides(w, a, what, Found::AnotherPayment(0), true);
            let what = "a payer looks {a} up, the answer is about another, new payment";
            self.decides(w, a, what, Found::AnotherPayment(2), true);
        }
    }

    /// Between reading the clocks and the answer, the last send may have become over.
    fn decides(&mut self, w: usize, a: u8, what: &'static str, found: Found, fault: bool) {
        let pair = self.pair(a);
        let node = self.from.node;
        // Whoever recovers what was sent does not ask; the first send is not a recovery.
        let first = pair.attempt.stands == Stands::Reserved;
        let tampered = match self.setting.tampered() {
            Tampered::NotAsked if first => Tampered::No,
            tampered => tampered,
        };
        let mut known = Vec::new();
        // Long after no send is allowed any more, a witness is not waited for.
        let waited = pair.attempt.too_late;
        for (early, waited) in [(false, false), (false, waited), (true, false)] {
            let next = self.real.look(pair, Asked { found, node, early, waited, tampered });
            if known.contains(&next) {
                continue;
            }
            known.push(next);
            if let Some(then) = then(next) {
                let to = self.from.with(w, Worker::Decided { a, then });
                let label = Label { what, a, n: 0, next: Some(next), fault };
                // What is in doubt is settled by any proof.
                let old =
                    matches!(found, Found::Record(_, 0)) && !pair.attempt.stands.is_in_doubt();
                let older = old && matches!(next, Next::Pay { .. });
                self.push(label, to, Broken::when(Invariant::PaidByOlder, older));
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
            return self.push(label, to, Broken::when(Invariant::SentUncommitted, true));
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

    fn concludes(&mut self, w: usize, a: u8, then: Then) {
        let to = self.from.write(a, self.real.follow(self.pair(a), then)).with(w, Worker::Idle);
        let what = match then {
            Then::Send | Then::Note => "a payer notes the failure of {a}",
            Then::InFlight => "a payer writes {a} as IN_FLIGHT",
            Then::Pay => "a payer writes {a} as PAID",
            Then::Fail => "a payer writes {a} as FAILED",
            Then::Doubt => "a payer writes {a} as NEEDS_OPERATOR",
            Then::LateSuccess => "a payer marks {a} as LATE_SUCCESS",
        };
        self.add(what, (a, 0), to);
    }

    /// By number and epoch: another payer's row with this number is none of its own.
    fn reads_back(&mut self, w: usize, (a, n): (u8, u8), applied: bool) {
        let stands = self.from.attempts[usize::from(a)].stands;
        if self.setting.does(Mutation::LostCommitIsFailure) && stands.is_followed() {
            let to = self.from.write(a, self.real.follow(self.pair(a), Then::Fail));
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
            let to = self.from.with(w, Worker::Hears { a, n, said: Said::Error });
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
        self.push(label, to, Broken::when(Invariant::SentUncommitted, !committed));
    }

    fn listens(&mut self, w: usize, (a, n): (u8, u8), started: bool) {
        let s = self.from;
        let stands = s.attempts[usize::from(a)].stands;
        if self.setting.does(Mutation::RebindsUnanswered) && stands.is_followed() {
            let to = s.write(a, self.real.follow(self.pair(a), Then::Fail)).with(w, Worker::Idle);
            self.add("a payer has waited enough for {a}'s send {n}, and closes {a}", (a, n), to);
        } else {
            self.add("a payer waits no longer for {a}'s send {n}", (a, n), s.with(w, Worker::Idle));
        }
        if started {
            let (next, written) = self.real.hear(self.pair(a), n, Said::InFlight, Tampered::No);
            if let Some(written) = written {
                let what = "a payer hears that {a}'s send {n} is in flight";
                let label = Label { what, a, n, next: Some(next), fault: false };
                self.push(label, s.write(a, written), Broken::default());
            }
        }
        if self.setting.has(Fault::StreamError) {
            let to = s.with(w, Worker::Hears { a, n, said: Said::Error });
            self.fault("the stream of {a}'s send {n} breaks with an error", (a, n), to);
        }
    }

    fn folds(&mut self, w: usize, (a, n): (u8, u8), said: Said) {
        let tampered = self.setting.tampered();
        let next = self.fold(w, (a, n), said, tampered);
        if self.setting.has(Fault::ClocksDisagree) && matches!(next, Next::Fail(_)) {
            self.fold(w, (a, n), said, Tampered::ClocksDisagree);
        }
    }

    fn fold(&mut self, w: usize, (a, n): (u8, u8), said: Said, tampered: Tampered) -> Next {
        let what = match said {
            Said::Error => "a payer hears an error for {a}'s send {n}",
            Said::NodeRefuses => "a payer hears that the node refuses {a}'s send {n}",
            Said::Exists => "a payer hears ALREADY_EXISTS for {a}'s send {n}",
            Said::WrongProof => "a payer hears of {a}'s send {n}: paid, with a wrong proof",
            Said::Refused => "a payer hears of {a}'s send {n}: the payee refuses",
            Said::InFlight | Said::Succeeded | Said::Failed => {
                "a payer hears how {a}'s send {n} ended"
            }
        };
        let (next, written) = self.real.hear(self.pair(a), n, said, tampered);
        let fault = tampered == Tampered::ClocksDisagree;
        let label = Label { what, a, n, next: Some(next), fault };
        let folded = written.map_or(self.from, |written| self.from.write(a, written));
        self.push(label, folded.with(w, Worker::Idle), Broken::default());
        // It reads the row again and folds once more.
        if self.setting.has(Fault::LostCommit) && written.is_some() {
            let what = "a payer folds the answer to {a}'s send {n}, the COMMIT is not answered";
            self.push(Label { what, fault: true, ..label }, folded, Broken::default());
        }
        next
    }
}
