//! One attempt to pay one invoice, and the table that decides what follows from a node's report.
//!
//! The states are RESERVED → SENDING → IN_FLIGHT → PAID | FAILED, and NEEDS_OPERATOR. Everything here
//! is pure: a [`Payment`] and a report go in, [`Next`] comes out, and [`Payment::follow`] turns that
//! into the next payment and the change of its withdraw request.
//!
//! * [`node_report`]: checks a node's record against the attempt, which makes it a [`NodeReport`].
//! * [`table`]: state × report → [`Next`]. The only place where this is decided.
//! * [`list`]: which payments a list shows.
//! * [`resolution`]: what an operator requests, checked field by field.
//! * [`resolve`]: what an operator may decide when the table leaves a doubt.
//! * [`sends`]: what was sent, and how each send was answered.
//! * [`pending`]: whether a send can still take effect.
//! * [`schedule`]: when to look up again.

mod claim;
mod field;
mod follow;
mod list;
mod node_report;
mod pending;
mod reason;
mod reconcile;
mod reopening;
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

pub use claim::{Allowance, Claim, ClaimRules, Presented, Refusal};
pub use field::PaymentField;
pub use follow::{Advance, Sender};
pub use list::{PaymentFilter, PaymentQuery, StateKind, StateSelection};
pub use node_report::{Age, NodeReport, Record, RecordState};
pub use pending::{Pending, PendingFacts};
pub use reason::{FailureReason, OperatorReason};
pub use reconcile::Verdict;
pub use reopening::Reopening;
pub use resolution::{OutcomeDraft, Resolution, ResolutionDraft};
pub use resolve::{NodeSays, Outcome, Stranding, Unresolvable, resolvable, resolve};
pub use schedule::{AfterFailure, FollowUp, Pace, follow_up, next_lookup};
pub use sends::{Answer, Send, SendLimits, Sends, Unanswered};
pub use table::{
    LookupEvidence, Next, RequestFacts, StreamEvidence, StreamReport, Trust, decide_on_lookup,
    decide_on_stream,
};
pub use transition::{PaidAfter, Transition};

use super::{Msat, NodeId, PaymentHash, PaymentId, Preimage, Timestamp, TraceContext, WithdrawId};

/// One attempt to pay one invoice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Payment {
    /// Its timestamp is when the invoice was accepted.
    pub id: PaymentId,
    /// Incremented by every write; each write names the version that it read.
    pub version: i64,
    /// The withdraw request that it pays.
    pub withdraw: WithdrawId,
    /// Normalised (lower case, no prefix).
    pub invoice: String,
    /// Unique across all attempts of all requests.
    pub payment_hash: PaymentHash,
    /// What the invoice asks for.
    pub amount: Msat,
    /// The maximum routing fee.
    pub fee_limit: Msat,
    /// When the invoice expires.
    pub invoice_expires_at: Timestamp,
    /// No send is committed from this instant on.
    pub send_until: Timestamp,
    /// Its state.
    pub state: State,
    /// A failure that was reported while a send could still arrive.
    pub noted: Option<FailureReason>,
    /// Every send that was ever committed, in order.
    pub sends: Sends,
    /// The trace context of the call that claimed it.
    pub trace_parent: Option<TraceContext>,
}

/// The state of an attempt. All but [`State::Paid`] and [`State::Failed`] are open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// The invoice is accepted and nothing was sent. The wallet was or will be answered OK.
    Reserved,
    /// A send is committed. Whether the node has received it is unknown.
    Sending,
    /// The node reported the payment as in flight.
    InFlight,
    /// The payee has the money; the preimage proves it. Never changes.
    Paid {
        /// Hashes to the payment hash.
        preimage: Preimage,
        /// The routing fee, even if above the limit.
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
        /// Set if the node paid after all when the request was no longer free.
        late: Option<LateSuccess>,
    },
    /// In doubt, until an operator resolves it or the node reports it as paid with a valid preimage.
    NeedsOperator {
        /// Why.
        reason: OperatorReason,
        /// Since when.
        at: Timestamp,
    },
}

/// A payment that succeeded after its attempt was closed as failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LateSuccess {
    /// The proof of payment.
    pub preimage: Preimage,
    /// The routing fee.
    pub fee: Msat,
    /// When this was learned.
    pub at: Timestamp,
}

impl State {
    /// The kind of state, without its data.
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

    /// Whether the attempt still holds its request.
    pub const fn is_open(&self) -> bool {
        self.kind().is_open()
    }
}

/// An attempt as shown to callers. It lacks the sends, so nothing can be decided from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentView {
    /// Its timestamp is when the invoice was accepted.
    pub id: PaymentId,
    /// The withdraw request that it pays.
    pub withdraw: WithdrawId,
    /// Normalised (lower case, no prefix).
    pub invoice: String,
    /// Unique across all attempts of all requests.
    pub payment_hash: PaymentHash,
    /// What the invoice asks for.
    pub amount: Msat,
    /// The maximum routing fee.
    pub fee_limit: Msat,
    /// Its state.
    pub state: State,
}

/// An attempt as listed for operators, also without the sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PaymentEntry {
    /// What every caller sees.
    pub view: PaymentView,
    /// A failure that was reported while a send could still arrive.
    pub noted: Option<FailureReason>,
    /// No send is committed from this instant on.
    pub send_until: Timestamp,
    /// When the invoice expires.
    pub invoice_expires_at: Timestamp,
}

impl PaymentView {
    /// Whether this attempt is for the same invoice: same hash and same normalised text.
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
    /// The node of the last send; None if nothing was sent.
    pub fn node(&self) -> Option<&NodeId> {
        self.sends.last().map(|send| &send.node)
    }

    /// Splits it into what operators see in a list, and the sends.
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
