//! Canonical states: one representative of all states that no later step can tell apart.

use super::state::{
    Attempt, FOREIGN, NO_LISTENER, NodeState, OVER, PaidBy, SENDS, SendAnswer, SendRow, Stage,
    State, Worker,
};

impl State {
    /// Resets whatever no later step reads, and sorts the workers. `real` checks that no decision of the code
    /// depends on what is reset here.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        for a in 0..2 {
            self.settle_attempt(a);
            self.settle_record(a);
        }
        self.workers.sort_unstable();
        self
    }

    fn settle_attempt(&mut self, a: u8) {
        let busy: [bool; SENDS] =
            [0, 1, 2].map(|n| self.workers.iter().any(|worker| worker.send() == Some((a, n))));
        let attempt = &mut self.attempts[usize::from(a)];
        let closed = attempt.stage == Stage::Paid || attempt.stage.is_failed();
        let count = usize::from(attempt.count);
        let mut all_done = true;
        for (n, send) in attempt.sends.iter_mut().enumerate() {
            let done = !send.on_its_way && !send.accepted && !busy[n];
            all_done &= done;
            let over = send.answer == SendAnswer::Final && send.age == OVER;
            if done && n < count && (closed || over) {
                *send = SendRow::DONE;
            }
        }
        if closed || attempt.stage.is_in_doubt() {
            (attempt.noted, attempt.too_late) = (false, false);
        }
        if closed && all_done {
            attempt.count = attempt.count.min(1);
            attempt.sends = [SendRow::NEW; SENDS];
            if attempt.count == 1 {
                attempt.sends[0] = SendRow::DONE;
            }
        }
    }

    fn settle_record(&mut self, invoice: u8) {
        let waits = |attempt: &Attempt| {
            let waits = matches!(attempt.stage, Stage::Unclaimed | Stage::Reserved);
            attempt.invoice == invoice && waits
        };
        let waited_for = self.attempts.iter().any(waits) || self.budget.restores > 0;
        let listeners = self.workers;
        let record = &mut self.records[usize::from(invoice)];
        if record.node_state == NodeState::NotFound && record.paid == PaidBy::ByNobody {
            record.age = 0;
        } else if !waited_for && record.age == 1 {
            record.age = 2;
        }
        let heard = listeners.iter().any(|worker| {
            matches!(*worker, Worker::Listening { a, n, started: true } if 4 * a + n == record.owner)
        });
        if !record.node_state.is_moving() {
            record.owner = 0;
        } else if record.owner != FOREIGN && !heard {
            record.owner = record.owner / 4 * 4 + NO_LISTENER;
        }
    }
}
