//! A node with the semantics of lnd: it refuses what comes after its deadline, and a second payment of
//! a hash that it is paying or has paid; a failed payment can be started anew.

use super::{
    faults::Fault,
    invariants::{Invariant, Violations},
    state::{
        FOREIGN, Node, NodeState, OVER, PaidBy, REFUSED, SendAnswer, State, StreamAnswer, Worker,
    },
    steps::{Label, Steps},
};

impl Steps<'_> {
    pub fn nodes(&mut self) {
        for a in 0..2 {
            for n in 0..3 {
                self.arrivals(a, n);
            }
        }
        for invoice in 0..2 {
            self.ends(invoice);
            self.deletion(invoice);
        }
        self.foreign();
        self.identity();
        self.witness();
    }

    /// The node stores a payment whose request was begun after some sends were over: another request's, or
    /// one that was asked for to see that. Its database serves those that wait in order, so that none of
    /// them waits any more.
    fn witness(&mut self) {
        let sends = || self.from.attempts.iter().flat_map(|attempt| attempt.sends);
        let holds = sends().any(|send| send.accepted && send.age == OVER);
        if self.from.node != Node::Same || holds && !self.setting.has(Fault::SlowerThanSlack) {
            return;
        }
        let mut to = self.from;
        for attempt in &mut to.attempts {
            let count = usize::from(attempt.count);
            for send in &mut attempt.sends[..count] {
                send.witnessed |= send.age == OVER && send.answer == SendAnswer::Not;
            }
        }
        if to != self.from {
            self.add("the node stores another, later payment", (0, 0), to);
        }
    }

    fn arrivals(&mut self, a: u8, n: u8) {
        let (i, m) = (usize::from(a), usize::from(n));
        let send = self.from.attempts[i].sends[m];
        if send.accepted {
            let mut to = self.from;
            to.attempts[i].sends[m].accepted = false;
            self.store(to, a, n);
        }
        if !send.on_its_way {
            return;
        }
        let mut to = self.from;
        to.attempts[i].sends[m].on_its_way = false;
        if self.setting.has(Fault::Loss) {
            self.fault("{a}'s send {n} is lost", (a, n), to);
        }
        if send.age >= REFUSED {
            let to = to.tell(a, n, StreamAnswer::NodeRefuses);
            self.add("{a}'s send {n} comes too late, the node refuses it", (a, n), to);
        } else if self.setting.has(Fault::SlowNode) {
            to.attempts[i].sends[m].accepted = true;
            self.add("{a}'s send {n} arrives, the node checks its deadline", (a, n), to);
        } else {
            self.store(to, a, n);
        }
    }

    /// The node has accepted a send and looks into its own records.
    fn store(&mut self, mut to: State, a: u8, n: u8) {
        let invoice = usize::from(to.attempts[usize::from(a)].invoice);
        let record = to.records[invoice];
        if matches!(record.node_state, NodeState::InFlight | NodeState::Succeeded) {
            let ours = record.node_state == NodeState::InFlight && record.owner != FOREIGN
                || PaidBy::OURS.contains(&record.paid);
            let what = "{a}'s send {n} arrives: ALREADY_EXISTS";
            let label = Label { what, a, n, next: None, fault: false };
            // Beside a send that a stalled node holds, the repeat finds that one.
            let asked_twice = ours && !self.setting.has(Fault::Stall);
            let broken = Violations::when(Invariant::AskedTwice, asked_twice);
            return self.push(label, to.tell(a, n, StreamAnswer::Exists), broken);
        }
        if self.setting.has(Fault::Refusal) {
            let to = to.tell(a, n, StreamAnswer::NodeRefuses);
            self.add("{a}'s send {n} arrives, is refused, nothing is stored", (a, n), to);
        }
        let record = &mut to.records[invoice];
        (record.node_state, record.owner, record.age) = (NodeState::InFlight, 4 * a + n, 2);
        for worker in &mut to.workers {
            if *worker == (Worker::Listening { a, n, started: false }) {
                *worker = Worker::Listening { a, n, started: true };
            }
        }
        self.add("{a}'s send {n} arrives, the node starts to pay", (a, n), to);
    }

    fn ends(&mut self, invoice: usize) {
        let record = self.from.records[invoice];
        if !record.node_state.is_moving() {
            return;
        }
        let listener = self.from.workers.iter().position(|worker| {
            matches!(*worker, Worker::Listening { a, n, started: true } if 4 * a + n == record.owner)
        });
        for (node_state, item, what) in [
            (NodeState::Succeeded, StreamAnswer::Succeeded, "the payee takes the money of {a}"),
            (NodeState::Failed, StreamAnswer::Failed, "the payment of {a} fails"),
            (NodeState::Refused, StreamAnswer::Refused, "the payee of {a} refuses"),
        ] {
            // A payee takes an invoice's money once.
            if node_state == NodeState::Succeeded && record.paid != PaidBy::ByNobody {
                continue;
            }
            let mut to = self.from;
            let after = &mut to.records[invoice];
            after.node_state = if record.node_state == NodeState::Ghost {
                NodeState::NotFound
            } else {
                node_state
            };
            if node_state == NodeState::Succeeded {
                after.paid = match record.owner {
                    FOREIGN => PaidBy::ByOthers,
                    owner => PaidBy::OURS[usize::from(owner / 4)],
                };
            }
            if let Some(worker) = listener
                && let Worker::Listening { a, n, .. } = to.workers[worker]
            {
                to.workers[worker] = Worker::Hears { a, n, item };
            }
            self.add(what, (u8::from(invoice == 1), 0), to);
            let wrong = self.setting.has(Fault::WrongProof) && node_state == NodeState::Succeeded;
            if let Some(worker) = listener
                && let (true, Worker::Hears { a, n, .. }) = (wrong, to.workers[worker])
            {
                let to = to.with(worker, Worker::Hears { a, n, item: StreamAnswer::WrongProof });
                self.fault("the payee takes the money of {a}, the proof is wrong", (a, n), to);
            }
        }
    }

    fn deletion(&mut self, invoice: usize) {
        let failed =
            matches!(self.from.records[invoice].node_state, NodeState::Failed | NodeState::Refused);
        if failed && self.from.budget.deletions > 0 {
            let mut to = self.from;
            to.records[invoice].node_state = NodeState::NotFound;
            to.budget.deletions -= 1;
            let a = u8::from(invoice == 1);
            self.fault("the node's failed record of {a} is deleted", (a, 0), to);
        }
    }

    /// Another node in its place, or its records gone; and how both are repaired.
    fn identity(&mut self) {
        let s = self.from;
        if s.budget.node_changes > 0 {
            let mut to = s;
            to.budget.node_changes -= 1;
            if self.setting.has(Fault::OtherNode) {
                to.node = Node::Other;
                self.fault("another node answers from now on", (0, 0), to);
            }
            if self.setting.has(Fault::Amnesia) {
                to.node = Node::Forgetful;
                for record in &mut to.records {
                    record.node_state = if record.node_state == NodeState::InFlight {
                        NodeState::Ghost
                    } else {
                        NodeState::NotFound
                    };
                }
                for worker in &mut to.workers {
                    if let Worker::Listening { a, n, started: true } = *worker {
                        *worker = Worker::Hears { a, n, item: StreamAnswer::Error };
                    }
                }
                self.fault("the node loses its books", (0, 0), to);
            }
        }
        if s.node == Node::Same {
            return;
        }
        let mut to = s;
        to.node = Node::Same;
        for record in &mut to.records {
            match record.node_state {
                NodeState::Ghost => record.node_state = NodeState::InFlight,
                NodeState::NotFound if record.paid != PaidBy::ByNobody => {
                    record.node_state = NodeState::Succeeded;
                }
                _ => {}
            }
        }
        self.add("the first node is back, with its books", (0, 0), to);
    }
}

impl State {
    /// The last answer on a send's own stream, if anybody listens.
    #[must_use]
    fn tell(mut self, a: u8, n: u8, item: StreamAnswer) -> Self {
        for worker in &mut self.workers {
            if *worker == (Worker::Listening { a, n, started: false }) {
                *worker = Worker::Hears { a, n, item };
            }
        }
        self
    }
}
