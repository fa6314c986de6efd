//! Turns a decision of the table into the rows that one transaction writes.

use super::{
    Answer, FailureReason, LateSuccess, Next, OperatorReason, Payment, Reopening, RequestFacts,
    Send, State,
};
use crate::domain::{Change, Hold, NodeId, Status, Timestamp, Withdraw};

/// One step of an attempt: every row of its transaction.
#[derive(Clone, Debug)]
pub struct Advance {
    /// The attempt after the step; its version is one above the row's.
    pub payment: Payment,
    /// A send to commit before the node is asked.
    pub new_send: Option<Send>,
    /// A send that was answered: its number, fencing token and answer.
    pub answered: Option<(i64, i64, Answer)>,
    /// The change of the request, and the event.
    pub change: Option<Change>,
    /// When to look up again; None for never.
    pub due_at: Option<Timestamp>,
    /// Lookups so far in this state.
    pub lookups: i64,
    /// When the node was seen to know the payment, in flight or paid.
    pub known_at: Option<Timestamp>,
    /// The node is not expected to know the payment any more, so that its absence is no sign of lost
    /// records: an operator ended it, and the node does not report it as paid.
    pub unknown_to_node: bool,
    /// For a send: the version that the request must still have.
    pub send_on_version: Option<i64>,
    /// The number of the database server on which the step was decided. A step that closes the attempt
    /// is written on no other server: another one may have a send that can still arrive.
    pub decided_on: Option<i64>,
}

impl Advance {
    /// Whether it closes the attempt as failed: nothing may be paid for it from then on.
    pub const fn closes(&self) -> bool {
        match self.payment.state {
            State::Failed { late: None, .. } => self.change.is_some(),
            State::Failed { late: Some(_), .. }
            | State::Reserved
            | State::Sending
            | State::InFlight
            | State::Paid { .. }
            | State::NeedsOperator { .. } => false,
        }
    }
}

/// Who makes a send, and when.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The fencing token of the lease under which the send is made.
    pub fencing_token: i64,
    /// The node that is asked to pay.
    pub node: NodeId,
    /// When, by the process's own clock.
    pub at: Timestamp,
    /// The same, by the earlier of the process's and the database's clock.
    pub begun_at: Timestamp,
}

impl Payment {
    /// What the table must know about this attempt's request.
    pub fn request_facts(&self, withdraw: &Withdraw) -> RequestFacts {
        let other = withdraw
            .attempt
            .is_some_and(|attempt| attempt.hold != Hold::Released && attempt.id != self.id);
        RequestFacts {
            active: withdraw.status == Status::Active,
            open_or_paid: other || withdraw.status == Status::Paid,
            paid_late: withdraw.late_success,
        }
    }

    /// Records how a send was answered. Do this before the table decides on the answer.
    #[must_use]
    pub fn answered(mut self, number: i64, fencing_token: i64, answer: Answer) -> Self {
        self.sends.mark(number, fencing_token, answer);
        self
    }

    /// The step that commits a send. The node refuses the send after `send_deadline`, if it checks
    /// deadlines.
    pub fn send(mut self, withdraw: &Withdraw, by: Sender, send_deadline: Timestamp) -> Advance {
        let number = self.sends.next_number();
        let Sender { fencing_token, node, at, begun_at } = by;
        let send = Send {
            number,
            fencing_token,
            node,
            sent_at: at,
            begun_at,
            send_deadline,
            answer: None,
            sequence: None,
        };
        self.sends.push(send.clone());
        self.state = State::Sending;
        let mut advance = self.into_advance();
        advance.new_send = Some(send);
        advance.send_on_version = Some(withdraw.version);
        advance
    }

    /// The step that follows from `next`, which is not [`Next::Send`] (see [`Self::send`]).
    /// [`Next::Witness`] leaves the attempt unchanged.
    pub fn follow(
        mut self,
        next: Next,
        withdraw: Withdraw,
        reopening: &Reopening,
        now: Timestamp,
    ) -> Advance {
        let id = self.id;
        let change = match next {
            Next::Stay | Next::Send | Next::Witness => None,
            Next::Note(reason) => {
                self.noted = Some(reason);
                None
            }
            Next::InFlight => {
                self.state = State::InFlight;
                None
            }
            Next::Pay { preimage, fee } => {
                self.state = State::Paid { preimage, fee, at: now };
                Some(withdraw.pay(id, now))
            }
            Next::Fail(reason) => Some(self.fail(reason, withdraw, reopening, now)),
            Next::Doubt(reason) => Some(self.doubt(reason, withdraw, now)),
            Next::LateSuccess { preimage, fee } => {
                if let State::Failed { late, .. } = &mut self.state {
                    *late = Some(LateSuccess { preimage, fee, at: now });
                }
                Some(withdraw.note_late_success(id, now))
            }
        };
        let known = matches!(self.state, State::InFlight | State::Paid { .. });
        let mut advance = self.into_advance();
        advance.change = change;
        advance.known_at = known.then_some(now);
        advance
    }

    fn fail(
        &mut self,
        reason: FailureReason,
        withdraw: Withdraw,
        reopening: &Reopening,
        now: Timestamp,
    ) -> Change {
        self.state = State::Failed { reason, at: now, late: None };
        let reopens_at = reopening.reopens_at(self, now);
        withdraw.reopen(self.id, reason, reopens_at, reopening.claim_grace, now)
    }

    fn doubt(&mut self, reason: OperatorReason, withdraw: Withdraw, now: Timestamp) -> Change {
        self.state = State::NeedsOperator { reason, at: now };
        withdraw.doubt(self.id, reason, now)
    }

    fn into_advance(mut self) -> Advance {
        self.version += 1;
        Advance {
            payment: self,
            new_send: None,
            answered: None,
            change: None,
            due_at: None,
            lookups: 0,
            known_at: None,
            unknown_to_node: false,
            send_on_version: None,
            decided_on: None,
        }
    }
}
