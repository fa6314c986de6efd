//! The table: what follows from a node's word. Each arm is a row of it.
//!
//! Every wording that looks fussy is there because a model search found a history of 10 to 20 steps
//! that pays twice without it. Change nothing here without running the model.
//!
#![doc = include_str!("table.md")]

use super::{Age, FailureReason, OperatorReason, Payment, Pending, State, Word};
use crate::domain::{Msat, Preimage};

/// What follows for an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing is known that was not known before.
    Stay,
    /// Commit a send, then ask the node to pay.
    Send,
    /// Nothing changes; what is missing is a write witness, and nothing of this attempt may bring one.
    Witness,
    /// Remember a failure; a send may still arrive and start the payment anew.
    Note(FailureReason),
    /// The node says that it is on its way.
    InFlight,
    /// Paid.
    Pay {
        /// The proof.
        preimage: Preimage,
        /// What routing cost.
        fee: Msat,
    },
    /// Nothing was paid, and nothing can be any more.
    Fail(FailureReason),
    /// A person has to look.
    Doubt(OperatorReason),
    /// Paid after the attempt was closed, and the request is no longer free.
    LateSuccess {
        /// The proof.
        preimage: Preimage,
        /// What routing cost.
        fee: Msat,
    },
}

/// What else the request holds when a closed attempt turns out to be paid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beside {
    /// The request is ACTIVE.
    pub active: bool,
    /// Another attempt of it is open or PAID.
    pub open_or_paid: bool,
    /// A closed attempt of it turned out to be paid: nothing more may be sent for it.
    pub paid_late: bool,
}

/// Whether the node that answered is the one whose word counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// It is the node that was (or would be) asked to pay, with its memory intact.
    Same,
    /// Its identity is another one.
    OtherNode,
    /// It no longer knows the newest payment that it was seen to know.
    Forgetful,
}

/// A look-up's answer and its circumstances.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "circumstances, each given or not")]
pub struct LookedUp {
    /// What the node said.
    pub word: Word,
    /// Whether a send could still take effect when the look-up *began*.
    pub pending: Pending,
    /// Clocks agree, from before the look-up to after it, and the database server is one that this
    /// process has met: without that nothing is sent or closed.
    pub settled: bool,
    /// No send is allowed any more, by the later clock.
    pub too_late: bool,
    /// A write witness was waited for long enough, by the later clock.
    pub too_late_for_a_witness: bool,
    /// Nothing is sent now: a pause, a fence, a node that does not answer sends, full channels, or a
    /// request that is withheld.
    pub halted: bool,
    /// Whose word it is.
    pub trust: Trust,
    /// The node refuses a second payment of the same hash, so that the same send can be repeated.
    pub node_dedupes: bool,
    /// So many sends refused by the node itself are enough.
    pub max_refusals: usize,
}

/// What was heard on a send's own response stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A status, checked against the attempt.
    Word(Word),
    /// The node refused because it knows this payment hash.
    AlreadyExists,
    /// An error, the end of the stream: it tells nothing of the payment.
    Nothing,
}

/// What was heard on a send's own stream, and its circumstances.
#[derive(Clone, Copy, Debug)]
pub struct OnStream {
    /// What.
    pub heard: Heard,
    /// As in [`LookedUp::settled`].
    pub settled: bool,
    /// The attempt came with the database server, which may have lost a send of it: that one could start
    /// the payment anew.
    pub carried_over: bool,
}

/// A look-up's answer.
pub fn looked_up(payment: &Payment, look: &LookedUp, beside: Beside) -> Next {
    match look.trust {
        Trust::Same => {}
        Trust::OtherNode => return distrusted(payment, OperatorReason::NodeChanged, false),
        // A proof is a proof, and "on its way" costs nothing to believe. The rest is amnesia.
        Trust::Forgetful => match look.word {
            Word::Succeeded { .. } | Word::InFlight(_) | Word::Contradiction(..) => {}
            Word::NotFound | Word::Failed(..) => {
                let gone = look.too_late && look.settled;
                return distrusted(payment, OperatorReason::NodeForgot, gone);
            }
        },
    }
    match payment.state {
        State::Reserved => reserved(look, beside),
        State::Sending => sending(payment, look, beside),
        State::InFlight => in_flight(payment, look),
        State::NeedsOperator { reason, .. } => in_doubt(reason, look.word),
        State::Failed { .. } => after_failure(payment, look.word, beside),
        State::Paid { .. } => Next::Stay,
    }
}

/// A word on the own stream of a send, which is already marked in `payment.sends`.
pub fn heard(payment: &Payment, on: &OnStream, beside: Beside) -> Next {
    let word = match on.heard {
        Heard::Word(word) => word,
        Heard::AlreadyExists if is_foreign(payment) => return Next::Doubt(OperatorReason::Foreign),
        Heard::AlreadyExists | Heard::Nothing => return Next::Stay,
    };
    match (payment.state, word) {
        (State::Sending | State::InFlight, Word::Succeeded { preimage, fee, .. }) => {
            Next::Pay { preimage, fee }
        }
        (State::Sending | State::InFlight, Word::Contradiction(why, _)) => Next::Doubt(why),
        (State::Sending, Word::InFlight(_)) => Next::InFlight,
        (State::Sending | State::InFlight, Word::Failed(reason, _)) => {
            if refused_after_repeats(payment, reason) {
                Next::Doubt(OperatorReason::RefusedAfterRepeats)
            } else if payment.sends.only_one_and_answered() && on.settled && !on.carried_over {
                Next::Fail(reason)
            } else {
                // Another send may still arrive. A look-up begun after all are over decides.
                Next::Note(reason)
            }
        }
        (State::NeedsOperator { reason, .. }, word) => in_doubt(reason, word),
        (State::Failed { .. }, word) => after_failure(payment, word, beside),
        (State::Reserved | State::Paid { .. }, _)
        | (State::Sending | State::InFlight, Word::NotFound)
        | (State::InFlight, Word::InFlight(_)) => Next::Stay,
    }
}

/// Somebody else sent it: the node knew it when our only send arrived.
fn is_foreign(payment: &Payment) -> bool {
    payment.state == State::Sending && payment.sends.count() == 1
}

/// The payee may have been paid by a send whose record is gone.
fn refused_after_repeats(payment: &Payment, reason: FailureReason) -> bool {
    reason == FailureReason::IncorrectPaymentDetails && payment.sends.count() > 1
}

/// `gone`: the answer will not get better, and it is too late to send.
fn distrusted(payment: &Payment, why: OperatorReason, gone: bool) -> Next {
    match payment.state {
        State::Sending | State::InFlight => Next::Doubt(why),
        // It would wait for ever: a node does not remember again.
        State::Reserved if gone => Next::Doubt(why),
        // Nothing was sent, or it is closed, or a person looks already.
        State::Reserved
        | State::NeedsOperator { .. }
        | State::Failed { .. }
        | State::Paid { .. } => Next::Stay,
    }
}

fn reserved(look: &LookedUp, beside: Beside) -> Next {
    use Age::{BeforeAttempt, BeforeWithdraw, Since};

    // It may seem too late to send, and a record older than it is.
    if !look.settled {
        return Next::Stay;
    }
    match look.word {
        Word::NotFound | Word::Failed(_, BeforeWithdraw | BeforeAttempt) => {
            if look.too_late || beside.paid_late {
                close(FailureReason::NotSent, look)
            } else if look.halted {
                Next::Stay
            } else {
                Next::Send
            }
        }
        // A record about another payment has that one's age: it tells nothing about ours.
        Word::Contradiction(why @ OperatorReason::AnswerMismatch, _) => Next::Doubt(why),
        Word::InFlight(BeforeWithdraw)
        | Word::Succeeded { age: BeforeWithdraw, .. }
        | Word::Contradiction(_, BeforeWithdraw) => close(FailureReason::InvoiceKnownToNode, look),
        // Our own SENDING may have been lost with the database.
        Word::InFlight(BeforeAttempt | Since)
        | Word::Succeeded { age: BeforeAttempt | Since, .. }
        | Word::Contradiction(_, BeforeAttempt | Since)
        | Word::Failed(_, Since) => Next::Doubt(OperatorReason::KnownBeforeSend),
    }
}

fn sending(payment: &Payment, look: &LookedUp, beside: Beside) -> Next {
    match look.word {
        Word::Succeeded { preimage, fee, .. } => Next::Pay { preimage, fee },
        Word::Contradiction(why, _) => Next::Doubt(why),
        Word::InFlight(_) => Next::InFlight,
        Word::Failed(reason, _) => failed(payment, reason, look),
        Word::NotFound => match payment.noted {
            Some(reason) => close(reason, look),
            None => never_seen(payment, look, beside),
        },
    }
}

/// The node has no record of it, and never had one that we saw.
fn never_seen(payment: &Payment, look: &LookedUp, beside: Beside) -> Next {
    let may_repeat = !look.too_late
        && !beside.paid_late
        && look.node_dedupes
        && payment.sends.refusals() < look.max_refusals;
    match look.pending {
        // A request may still be on its way.
        Pending::Until(_) | Pending::Unsettled => Next::Stay,
        // The node pays one hash once: beside a send that it holds, the repeat changes nothing, and its
        // answer is a witness.
        Pending::Over | Pending::Unwitnessed if may_repeat => {
            if look.halted || !look.settled {
                Next::Stay
            } else {
                Next::Send
            }
        }
        Pending::Over | Pending::Unwitnessed => close(never_started(payment), look),
    }
}

fn in_flight(payment: &Payment, look: &LookedUp) -> Next {
    match look.word {
        Word::Succeeded { preimage, fee, .. } => Next::Pay { preimage, fee },
        Word::Contradiction(why, _) => Next::Doubt(why),
        Word::InFlight(_) => Next::Stay,
        Word::Failed(reason, _) => failed(payment, reason, look),
        Word::NotFound => match payment.noted {
            Some(reason) => close(reason, look),
            None => Next::Doubt(OperatorReason::Vanished),
        },
    }
}

/// A failure seen by a look-up: final only when no send can start the payment anew.
fn failed(payment: &Payment, reason: FailureReason, look: &LookedUp) -> Next {
    if refused_after_repeats(payment, reason) {
        return Next::Doubt(OperatorReason::RefusedAfterRepeats);
    }
    match close(reason, look) {
        Next::Stay | Next::Witness if payment.noted.is_none() => Next::Note(reason),
        next => next,
    }
}

/// Closes the attempt as failed, if nothing can pay it any more; otherwise what is waited for.
fn close(reason: FailureReason, look: &LookedUp) -> Next {
    match look.pending {
        Pending::Over if look.settled => Next::Fail(reason),
        Pending::Unwitnessed if !look.settled => Next::Stay,
        Pending::Unwitnessed if look.too_late_for_a_witness => {
            Next::Doubt(OperatorReason::SendUnanswered)
        }
        Pending::Unwitnessed => Next::Witness,
        Pending::Over | Pending::Until(_) | Pending::Unsettled => Next::Stay,
    }
}

/// lnd refuses some invoices at once and stores nothing.
fn never_started(payment: &Payment) -> FailureReason {
    if payment.sends.refusals() > 0 { FailureReason::NodeRefused } else { FailureReason::NotSent }
}

fn in_doubt(reason: OperatorReason, word: Word) -> Next {
    match word {
        Word::Succeeded { preimage, fee, .. } if reason != OperatorReason::Foreign => {
            Next::Pay { preimage, fee }
        }
        // A failure never closes it: only a person does.
        Word::Succeeded { .. }
        | Word::NotFound
        | Word::InFlight(_)
        | Word::Failed(..)
        | Word::Contradiction(..) => Next::Stay,
    }
}

/// lnd restarts a FAILED payment when a delayed send arrives.
fn after_failure(payment: &Payment, word: Word, beside: Beside) -> Next {
    let noted = matches!(payment.state, State::Failed { late: Some(_), .. });
    match word {
        Word::Succeeded { preimage, fee, .. } if !payment.sends.is_empty() => {
            if beside.active && !beside.open_or_paid {
                // Also when it was noted before: the attempt beside it has failed meanwhile.
                Next::Pay { preimage, fee }
            } else if noted {
                Next::Stay
            } else {
                Next::LateSuccess { preimage, fee }
            }
        }
        Word::Succeeded { .. }
        | Word::NotFound
        | Word::InFlight(_)
        | Word::Failed(..)
        | Word::Contradiction(..) => Next::Stay,
    }
}
