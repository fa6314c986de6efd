//! One attempt to pay one invoice, and the table that says what follows from a node's word.
//!
//! The rules are those of the payment state machine (RESERVED → SENDING → IN_FLIGHT → PAID | FAILED,
//! and NEEDS_OPERATOR). Everything here is pure: [`Payment`] and a word go in, [`Next`] comes out,
//! and [`Payment::follow`] turns that into the next payment and what its withdraw request becomes.
//!
//! * [`word`]: a node's record, checked against the attempt, becomes a [`Word`].
//! * [`table`]: state × word → [`Next`]. The only place where such a decision is made.
//! * [`list`]: which of them a list shows.
//! * [`resolution`]: what an operator asks for, field by field.
//! * [`resolve`]: what a person may decide when the table leaves a doubt.
//! * [`sends`]: what was sent, and how each was answered.
//! * [`pending`]: whether a send can still take effect.
//! * [`schedule`]: when to look again.

mod claim;
mod field;
mod follow;
mod list;
mod pending;
mod reason;
mod reconcile;
mod resolution;
mod resolve;
#[cfg(test)]
mod resolve_test;
mod schedule;
mod sends;
mod table;
#[cfg(test)]
mod table_test;
mod transition;
mod word;

pub use claim::{Allowance, Claim, ClaimRules, Presented, Refusal};
pub use field::PaymentField;
pub use follow::{Advance, Reopening, Sender};
pub use list::{PaymentFilter, PaymentQuery, Span, StateKind};
pub use pending::{Pending, PendingFacts};
pub use reason::{FailureReason, OperatorReason};
pub use reconcile::Verdict;
pub use resolution::{OutcomeDraft, Resolution, ResolutionDraft};
pub use resolve::{NodeSays, Outcome, Stranding, Unresolvable, resolvable, resolve};
pub use schedule::{AfterFailure, Again, Pace, again, next_look};
pub use sends::{Answer, Send, SendLimits, Sends, Unanswered};
pub use table::{Beside, Heard, LookedUp, Next, OnStream, Trust, heard, looked_up};
pub use transition::{PaidAfter, Transition};
pub use word::{Age, Record, RecordState, Word};

use super::{Msat, NodeId, PaymentHash, PaymentId, Preimage, Timestamp, TraceContext, WithdrawId};

/// One attempt to pay one invoice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payment {
    /// Its time is when the invoice was accepted.
    pub id: PaymentId,
    /// Raised by every write; each write names the one that it has read.
    pub version: i64,
    /// The request that it fulfils.
    pub withdraw: WithdrawId,
    /// Normalised (lower case, no prefix).
    pub invoice: String,
    /// Unique across all attempts of all requests.
    pub payment_hash: PaymentHash,
    /// What the invoice asks for.
    pub amount: Msat,
    /// The most that routing may cost.
    pub fee_limit: Msat,
    /// When the payee stops to accept the invoice.
    pub invoice_expires_at: Timestamp,
    /// No send from this instant on.
    pub send_until: Timestamp,
    /// Where it stands.
    pub state: State,
    /// A failure that was heard of while a send may still arrive.
    pub noted: Option<FailureReason>,
    /// Every send that was ever committed, in order.
    pub sends: Sends,
    /// The call that claimed it.
    pub trace_parent: Option<TraceContext>,
}

/// Where an attempt stands. Open are all but [`State::Paid`] and [`State::Failed`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Accepted; the wallet was or will be told OK; nothing was sent.
    Reserved,
    /// A send is committed. Whether the node knows of it is not known.
    Sending,
    /// The node said that it is on its way.
    InFlight,
    /// The payee has the money, and here is the proof. Never changes.
    Paid {
        /// Hashes to the payment hash.
        preimage: Preimage,
        /// What routing cost, also when that is above the limit.
        fee: Msat,
        /// When this was learned.
        at: Timestamp,
    },
    /// Nothing was paid.
    Failed {
        /// Why.
        reason: FailureReason,
        /// When this was learned.
        at: Timestamp,
        /// Set when the node paid after all while the request was no longer free.
        late: Option<LateSuccess>,
    },
    /// In doubt. A person decides, or the node's proof of payment.
    NeedsOperator {
        /// Why.
        reason: OperatorReason,
        /// Since when.
        at: Timestamp,
    },
}

/// A payment that came through after the attempt was closed as failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LateSuccess {
    /// The proof.
    pub preimage: Preimage,
    /// What routing cost.
    pub fee: Msat,
    /// When this was learned.
    pub at: Timestamp,
}

impl State {
    /// Which of them it is, without what is known of it.
    pub const fn kind(&self) -> StateKind {
        match self {
            Self::Reserved => StateKind::Reserved,
            Self::Sending => StateKind::Sending,
            Self::InFlight => StateKind::InFlight,
            Self::Paid { .. } => StateKind::Paid,
            Self::Failed { .. } => StateKind::Failed,
            Self::NeedsOperator { .. } => StateKind::NeedsOperator,
        }
    }

    /// The name that proto, SQL and docs use.
    pub fn name(&self) -> &'static str {
        self.kind().name()
    }

    /// Whether the attempt still holds its request (and later its reserve).
    pub const fn is_open(&self) -> bool {
        self.kind().is_open()
    }
}

/// What is shown of an attempt: no sends, so nothing can be decided by it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentView {
    /// Its time is when the invoice was accepted.
    pub id: PaymentId,
    /// The request that it fulfils.
    pub withdraw: WithdrawId,
    /// Normalised (lower case, no prefix).
    pub invoice: String,
    /// Unique across all attempts of all requests.
    pub payment_hash: PaymentHash,
    /// What the invoice asks for.
    pub amount: Msat,
    /// The most that routing may cost.
    pub fee_limit: Msat,
    /// Where it stands.
    pub state: State,
}

/// What an operator is shown of an attempt in a list: no sends either.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentEntry {
    /// What everybody is shown.
    pub view: PaymentView,
    /// A failure that was heard of while a send might still have arrived.
    pub noted: Option<FailureReason>,
    /// No send from this instant on.
    pub send_until: Timestamp,
    /// When the payee stops to accept the invoice.
    pub invoice_expires_at: Timestamp,
}

impl PaymentView {
    /// Whether this attempt is of the same invoice: same hash and same normalised text.
    pub fn is_of(&self, normalised: &str, hash: PaymentHash) -> bool {
        self.payment_hash == hash && self.invoice == normalised
    }

    /// When it became PAID or FAILED.
    pub const fn finished(&self) -> Option<Timestamp> {
        match self.state {
            State::Paid { at, .. } | State::Failed { at, .. } => Some(at),
            State::Reserved | State::Sending | State::InFlight | State::NeedsOperator { .. } => {
                None
            }
        }
    }
}

impl Payment {
    /// The node that was asked to pay; none if none was.
    pub fn node(&self) -> Option<&NodeId> {
        self.sends.last().map(|send| &send.node)
    }

    /// What an operator is shown of it, and its sends.
    pub fn into_entry(self) -> (PaymentEntry, Sends) {
        let view = PaymentView {
            id: self.id,
            withdraw: self.withdraw,
            invoice: self.invoice,
            payment_hash: self.payment_hash,
            amount: self.amount,
            fee_limit: self.fee_limit,
            state: self.state,
        };
        let entry = PaymentEntry {
            view,
            noted: self.noted,
            send_until: self.send_until,
            invoice_expires_at: self.invoice_expires_at,
        };
        (entry, self.sends)
    }
}
