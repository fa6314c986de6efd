//! A state as one number of 128 bits.

use strum::VariantArray;

use super::state::{
    Attempt, Budget, Decision, Node, NodeState, PaidBy, Phase, Record, Request, RequestHold, SENDS,
    SendAnswer, SendRow, Stage, State, StreamAnswer, Worker,
};
use withdrawd::domain::Status;

struct Writer {
    bits: u128,
    used: u32,
}

impl Writer {
    fn put(&mut self, value: u8, width: u32) {
        debug_assert!(u32::from(value) < 1 << width, "{value} has more than {width} bits");
        self.bits |= u128::from(value) << self.used;
        self.used += width;
        debug_assert!(self.used <= 128, "a state has more than 128 bits");
    }

    fn flag(&mut self, value: bool) {
        self.put(u8::from(value), 1);
    }
}

struct Reader(u128);

impl Reader {
    fn take(&mut self, width: u32) -> u8 {
        let value = self.0 & ((1 << width) - 1);
        self.0 >>= width;
        u8::try_from(value).expect("a few bits")
    }

    fn flag(&mut self) -> bool {
        self.take(1) == 1
    }

    fn one_of<T: Copy>(&mut self, all: &[T], width: u32) -> T {
        all[usize::from(self.take(width))]
    }
}

impl State {
    pub fn pack(&self) -> u128 {
        let mut to = Writer { bits: 0, used: 0 };
        put_request(&mut to, self.request);
        for attempt in &self.attempts {
            put_attempt(&mut to, attempt);
        }
        for record in &self.records {
            to.put(record.node_state as u8, 3);
            to.put(record.owner, 4);
            to.put(record.age, 2);
            to.put(record.paid as u8, 2);
        }
        to.put(self.node as u8, 2);
        for worker in &self.workers {
            put_worker(&mut to, *worker);
        }
        to.put(self.budget.foreign, 2);
        to.put(self.budget.deletions, 1);
        to.put(self.budget.node_changes, 1);
        to.put(self.budget.restores, 1);
        to.bits
    }

    pub fn unpack(bits: u128) -> Self {
        let from = &mut Reader(bits);
        let request = take_request(from);
        let attempts = [take_attempt(from), take_attempt(from)];
        let mut record = || Record {
            node_state: from.one_of(&NodeState::ALL, 3),
            owner: from.take(4),
            age: from.take(2),
            paid: from.one_of(&PaidBy::ALL, 2),
        };
        let records = [record(), record()];
        let node = from.one_of(&Node::ALL, 2);
        let workers = [take_worker(from), take_worker(from)];
        let budget = Budget {
            foreign: from.take(2),
            deletions: from.take(1),
            node_changes: from.take(1),
            restores: from.take(1),
        };
        Self { request, attempts, records, node, workers, budget }
    }
}

fn put_request(to: &mut Writer, request: Request) {
    to.put(request.status as u8, 2);
    to.put(request.phase as u8, 2);
    to.put(request.held as u8, 2);
    to.put(request.attempt, 1);
    to.flag(request.late_success);
    to.flag(request.claimable);
    to.flag(request.claimed_late);
}

fn take_request(from: &mut Reader) -> Request {
    Request {
        status: from.one_of(Status::VARIANTS, 2),
        phase: from.one_of(&Phase::ALL, 2),
        held: from.one_of(&RequestHold::ALL, 2),
        attempt: from.take(1),
        late_success: from.flag(),
        claimable: from.flag(),
        claimed_late: from.flag(),
    }
}

fn put_attempt(to: &mut Writer, attempt: &Attempt) {
    to.put(attempt.stage as u8, 4);
    to.put(attempt.invoice, 1);
    to.flag(attempt.noted);
    to.flag(attempt.too_late);
    to.put(attempt.count, 2);
    for send in &attempt.sends {
        to.put(send.age, 2);
        to.put(send.answer as u8, 3);
        to.flag(send.on_its_way);
        to.flag(send.accepted);
        to.flag(send.witnessed);
    }
}

fn take_attempt(from: &mut Reader) -> Attempt {
    let mut attempt = Attempt {
        stage: from.one_of(&Stage::ALL, 4),
        invoice: from.take(1),
        noted: from.flag(),
        too_late: from.flag(),
        count: from.take(2),
        sends: [SendRow::NEW; SENDS],
    };
    for send in &mut attempt.sends {
        send.age = from.take(2);
        send.answer = from.one_of(&SendAnswer::ALL, 3);
        send.on_its_way = from.flag();
        send.accepted = from.flag();
        send.witnessed = from.flag();
    }
    attempt
}

/// Its kind, attempt, send, and one more thing.
fn put_worker(to: &mut Writer, worker: Worker) {
    let (kind, a, n, more) = match worker {
        Worker::Idle => (0, 0, 0, 0),
        Worker::Decided { a, decision } => (1, a, 0, decision as u8),
        Worker::Unsure { a, n, applied } => (2, a, n, u8::from(applied)),
        Worker::Committed { a, n } => (3, a, n, 0),
        Worker::Listening { a, n, started } => (4, a, n, u8::from(started)),
        Worker::Hears { a, n, item } => (5, a, n, item as u8),
        Worker::Ahead { a, n } => (6, a, n, 0),
    };
    to.put(kind, 3);
    to.put(a, 1);
    to.put(n, 2);
    to.put(more, 3);
}

fn take_worker(from: &mut Reader) -> Worker {
    let (kind, a, n, more) = (from.take(3), from.take(1), from.take(2), from.take(3));
    match kind {
        0 => Worker::Idle,
        1 => Worker::Decided { a, decision: Decision::ALL[usize::from(more)] },
        2 => Worker::Unsure { a, n, applied: more == 1 },
        3 => Worker::Committed { a, n },
        4 => Worker::Listening { a, n, started: more == 1 },
        5 => Worker::Hears { a, n, item: StreamAnswer::ALL[usize::from(more)] },
        _ => Worker::Ahead { a, n },
    }
}
