//! The invariants that the database and the node must keep together, checked after every effect.

use withdrawd::{
    domain::{
        Event, FailureReason, Hold, OperatorReason, Payment, State, Status, Withdraw, WithdrawId,
    },
    ports::SendOrder,
};

use super::{
    mirror::WalletAnswer,
    step::ActorId,
    world::{Fault, Inner},
};

/// A request is paid once, whatever the database has lost, as long as a process runs that was told of it.
pub const SETTLES_ONCE: &str = "at most one payment of a request settles";

impl Inner {
    /// One step of a payment.
    pub(super) fn check_step(&mut self, before: Option<&Payment>, after: &Payment) {
        let Some(invoice) = self.node.invoice_of(after.payment_hash) else { return };
        let was = before.map(|payment| payment.state);
        if let Some(State::Paid { .. }) = was
            && was != Some(after.state)
        {
            self.broke("PAID never changes", &format!("payment {}", after.id));
        }
        match after.state {
            State::Paid { preimage, .. } => {
                if preimage.hash() != after.payment_hash {
                    self.broke("PAID has a matching preimage", &format!("payment {}", after.id));
                }
                if !self.node.settled.iter().any(|settled| settled.invoice == invoice) {
                    self.broke("PAID was settled by the node", &format!("invoice {invoice}"));
                }
            }
            State::Failed { reason, .. } if was.is_none_or(|was| was.is_open()) => {
                self.check_closed(invoice, reason);
            }
            _ => {}
        }
    }

    /// An attempt was closed as failed: nothing of it may be out, or still take effect.
    fn check_closed(&mut self, invoice: usize, reason: FailureReason) {
        let why = format!("invoice {invoice} as {}", reason.name());
        if self.node.is_pending_or_paid(invoice) {
            self.broke("nothing is closed while the node is paying it, or has", &why);
        }
        let now = self.node_now();
        let arrives = self.node.requests.iter().any(|request| {
            let in_time = request.checked_ms.is_some() || now <= request.order.send_deadline;
            // A copy that the contract excludes is none of ours.
            let excluded = request.copy && self.node.failed.contains(&invoice);
            request.invoice == invoice && !request.over && in_time && !excluded
        });
        if arrives {
            self.broke("nothing is closed while a send of it may still arrive", &why);
        }
    }

    /// What a request and its attempts must look like together.
    pub(super) fn check_request(&mut self, withdraw: &Withdraw) {
        let id = withdraw.id;
        let of = |inner: &Self, is: fn(&State) -> bool| {
            let all = inner.mirror.payments.values();
            all.filter(|payment| payment.withdraw == id && is(&payment.state)).count()
        };
        let (open, paid) = (of(self, State::is_open), of(self, is_paid));
        let held = withdraw.attempt.is_some_and(|attempt| attempt.hold != Hold::Released);
        if open + paid > 1 {
            let found = format!("{id}: {open} open, {paid} paid");
            self.broke("at most one attempt of a request is open or PAID", &found);
        }
        if held != (open == 1) {
            self.broke("an open attempt holds its request", &id.to_string());
        }
        if (withdraw.status == Status::Paid) != (paid == 1) {
            self.broke("a request is PAID by its attempt", &id.to_string());
        }
        if withdraw.status == Status::Deactivated && open > 0 {
            self.broke("nothing of a deactivated request is open", &id.to_string());
        }
    }

    /// The node is about to be asked to pay.
    pub fn check_sent(&mut self, order: &SendOrder) {
        let hash = order.payment_hash;
        let asked = self.mirror.asked.entry(hash).or_default();
        *asked += 1;
        let asked = *asked;
        let payment = self.mirror.payments.values().find(|payment| payment.payment_hash == hash);
        let committed = payment.is_some_and(|payment| {
            let deadline =
                |send: &withdrawd::domain::payment::Send| send.send_deadline == order.send_deadline;
            payment.sends.iter().any(deadline) && payment.sends.count() >= asked
        });
        if !committed {
            self.broke("a send is committed before the node is asked", &format!("{hash:?}"));
        }
    }

    /// The node starts to pay.
    pub fn check_started(&mut self, invoice: usize) {
        let hash = self.node.invoices[invoice].hash;
        let mut all = self.mirror.payments.values();
        let closed = |state: &State| matches!(state, State::Failed { .. });
        let late = all.any(|payment| payment.payment_hash == hash && closed(&payment.state));
        if late && !self.outside {
            self.broke("nothing is paid after it was closed", &format!("invoice {invoice}"));
        }
    }

    /// Every change of a request has its event.
    pub fn check_events(&mut self, id: WithdrawId, events: &[Event]) {
        let Some(version) = self.mirror.withdraws.get(&id).map(|withdraw| withdraw.version) else {
            return;
        };
        if !events.iter().map(|event| event.version).eq(1..=version) {
            self.broke("every change writes its event", &format!("{id}: {events:?}"));
        }
    }

    /// Money has reached a payee.
    pub fn check_settled(&mut self, invoice: usize) {
        let withdraw_of = |inner: &Self, invoice: usize| {
            let hash = inner.node.invoices[invoice].hash;
            let all = inner.mirror.payments.values();
            all.filter(|payment| payment.payment_hash == hash)
                .map(|payment| payment.withdraw)
                .next()
        };
        let Some(withdraw) = withdraw_of(self, invoice) else { return };
        let all = 0..self.node.invoices.len();
        let settled: usize = all
            .filter(|other| withdraw_of(self, *other) == Some(withdraw))
            .map(|other| self.node.settled(other))
            .sum();
        // What nobody knows of is found only by the comparison with the node.
        if settled > 1 && !self.mirror.loss.as_ref().is_some_and(|loss| loss.unknown) {
            self.broke(SETTLES_ONCE, &withdraw.to_string());
        }
        let status = self.mirror.withdraws.get(&withdraw).map(|withdraw| withdraw.status);
        if status == Some(Status::Deactivated) && self.node.settled(invoice) > 0 {
            self.broke("nothing of a deactivated request is paid", &withdraw.to_string());
        }
    }

    /// A wallet gets its answer.
    pub fn check_wallet_answer(
        &mut self,
        tap: ActorId,
        id: WithdrawId,
        invoice: usize,
        answer: &WalletAnswer,
    ) {
        let hash = self.node.invoices[invoice].hash;
        let theirs = |actor: ActorId| actor == tap || self.parents.get(&actor) == Some(&tap);
        let unanswered = self.mirror.unanswered.iter().any(|actor| theirs(*actor));
        let stands = self.mirror.claims.iter().any(|claimed| {
            let payment = self.mirror.payments.get(&claimed.payment);
            let failed = |payment: &Payment| matches!(payment.state, State::Failed { .. });
            claimed.by.is_some_and(theirs) && payment.is_some_and(|payment| !failed(payment))
        });
        let mut rows = self.mirror.payments.values();
        let durable = rows.any(|row| row.payment_hash == hash && row.withdraw == id);
        match answer {
            WalletAnswer::Ok if !durable => {
                self.broke("OK is said only of a claim that is durable", &format!("{hash:?}"));
            }
            WalletAnswer::Refused(_) if stands => {
                self.broke("a refused wallet has no standing claim", &format!("{answer:?}"));
            }
            WalletAnswer::Error(_) if stands && !unanswered => {
                self.broke("a COMMIT whose answer was lost is read back", &format!("{answer:?}"));
            }
            WalletAnswer::Ok | WalletAnswer::Refused(_) | WalletAnswer::Error(_) => {}
        }
    }

    /// Whoever deactivates gets an answer.
    pub fn check_deactivated(&mut self, id: WithdrawId, done: bool) {
        let status = self.mirror.withdraws.get(&id).map(|withdraw| withdraw.status);
        if done && status != Some(Status::Deactivated) {
            self.broke("deactivated is said only when it is", &id.to_string());
        }
    }

    /// The node is repaired, and there was time enough. With `explained`, a doubt that remains must be
    /// explained by a fault.
    pub fn check_end(&mut self, explained: bool) {
        for withdraw in self.mirror.withdraws.values().cloned().collect::<Vec<_>>() {
            let held = withdraw.attempt.is_some_and(|attempt| attempt.hold != Hold::Released);
            let waits = withdraw.reopens_at.is_some() || withdraw.late_success;
            if withdraw.status == Status::Active && !held && waits && !self.outside {
                self.broke("a request that is not paid opens again", &withdraw.id.to_string());
            }
        }
        for payment in self.mirror.payments.values().cloned().collect::<Vec<_>>() {
            let Some(invoice) = self.node.invoice_of(payment.payment_hash) else { continue };
            let name = format!("invoice {invoice} is {:?}", payment.state);
            match payment.state {
                State::Reserved if self.waits_for_an_operator() => {}
                State::Reserved | State::Sending | State::InFlight => {
                    self.broke("every attempt ends once the node is repaired", &name);
                }
                State::NeedsOperator { reason, .. } => {
                    if explained && !self.explains(reason, &payment) {
                        self.broke("a doubt has a reason that the table names", &name);
                    }
                }
                State::Failed { late, .. } => {
                    if self.node.settled(invoice) > 0 && late.is_none() {
                        self.broke("what was paid does not end as failed", &name);
                    }
                }
                State::Paid { .. } => {}
            }
        }
    }

    /// While a payment that the node was seen to know is in doubt and gone from the node, the table
    /// lets nothing new be sent: it may have lost its memory.
    pub fn waits_for_an_operator(&self) -> bool {
        self.mirror.payments.values().any(|payment| {
            let invoice = self.node.invoice_of(payment.payment_hash);
            let known = invoice.is_some_and(|invoice| self.node.records[0].contains_key(&invoice));
            matches!(payment.state, State::NeedsOperator { .. }) && !known
        })
    }

    /// Whether something that did happen explains a doubt.
    fn explains(&self, reason: OperatorReason, payment: &Payment) -> bool {
        let did = |faults: &[Fault]| faults.iter().any(|fault| self.faults.contains(fault));
        match reason {
            OperatorReason::KnownBeforeSend => did(&[Fault::Foreign]),
            OperatorReason::Foreign => did(&[Fault::Foreign, Fault::Doubled]),
            OperatorReason::WrongPreimage => did(&[Fault::ZeroPreimage]),
            OperatorReason::AnswerMismatch => did(&[Fault::OtherAmount]),
            OperatorReason::RefusedAfterRepeats => payment.sends.count() > 1,
            OperatorReason::Vanished => did(&[Fault::Forgotten, Fault::Wiped, Fault::Switched]),
            OperatorReason::NodeChanged => did(&[Fault::Switched]),
            OperatorReason::NodeForgot => did(&[Fault::Wiped, Fault::Forgotten]),
            OperatorReason::SendUnanswered => did(&[Fault::Stalled]),
            OperatorReason::ResultLost => did(&[Fault::ResultLost]),
        }
    }
}

const fn is_paid(state: &State) -> bool {
    matches!(state, State::Paid { .. })
}
