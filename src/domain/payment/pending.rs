//! Whether a send of an attempt can still take effect at the node. A send that cannot is *over*.
//!
//! A send that the node has answered is over at the latest when its time window (deadline, clock skew,
//! the node's slack) has passed. For a send that was never answered, time alone proves nothing: lnd
//! checks the deadline when the call arrives but stores the payment later. If lnd's database takes no
//! writes (a full volume, a frozen file system), the call can wait in between for hours, while lookups
//! are still answered. Such a send is over when its time window has passed **and** a *write witness* was
//! seen: a later payment, begun after that window, that the same node is known to have stored.
//!
//! Assumptions:
//! - The node refuses the call when it arrives after the deadline, by its own clock.
//! - A call that passed this check reaches the queue of the node's database within `node_slack`.
//! - That queue is served in order, so a witness that began later is stored later. lnd's default
//!   database (bbolt) has one writer at a time. ALREADY_EXISTS is no witness: a read may have produced
//!   it.
//! - No repeated send restarts a payment whose result the node has lost (lnd would then forget that
//!   loss). lnd loses results only when it starts, and a repeat is sent only on the connection on which
//!   the lookup before it found nothing.
//! - Clocks agree within `clock_skew` (jumps are detected: [`Pending::Unsettled`]). A witness from the
//!   future comes from a clock that was set back, and does not count.

use super::{OperatorReason, Payment, Reopening, SendLimits, State, Unanswered};
use crate::domain::{ClockBounds, Millis, Timestamp};

/// Whether a send can still take effect, as known before the node was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pending {
    /// No send can.
    Over,
    /// One can, until this instant.
    Until(Timestamp),
    /// The time window of all sends has passed, but one was never answered and no write witness was
    /// seen since.
    Unwitnessed,
    /// Unknown: a clock jumped a while ago, or this process has not registered the database server yet.
    Unsettled,
}

/// What is known in addition to the attempt's own rows.
#[derive(Clone, Copy, Debug)]
pub struct PendingFacts {
    /// The time before the node was asked, by the clock that is behind.
    pub earlier: Timestamp,
    /// Clocks can be trusted, and this process has registered the database server.
    pub settled: bool,
    /// From [`Payment::unanswered`].
    pub unanswered: Option<Unanswered>,
    /// A write witness was seen for these sends.
    pub witnessed: bool,
}

impl Payment {
    /// The sends that were never answered. `carried_over` stands for sends that a previous database
    /// server may have held and lost.
    pub fn unanswered(
        &self,
        carried_over: Option<Unanswered>,
        reopening: &Reopening,
        send_life: Millis,
        limits: &SendLimits,
    ) -> Option<Unanswered> {
        // The lost send was committed before the doubt arose. Its row is gone, so its sequence number is
        // unknown: 0 accepts any witness that began after its time window.
        let lost = match self.state {
            State::NeedsOperator { reason: OperatorReason::KnownBeforeSend, at } => {
                let deadline = reopening.send_deadline(self, at, send_life);
                Some(Unanswered { until: limits.passes_at(deadline), sequence: Some(0) })
            }
            State::NeedsOperator { .. }
            | State::Reserved
            | State::Sending
            | State::InFlight
            | State::Paid { .. }
            | State::Failed { .. } => None,
        };
        [self.sends.unanswered(limits), carried_over, lost]
            .into_iter()
            .flatten()
            .reduce(Unanswered::and)
    }

    /// Whether a send can still take effect.
    pub fn pending(&self, facts: &PendingFacts, limits: &SendLimits) -> Pending {
        let unanswered = facts.unanswered.map(|sends| sends.until);
        match self.sends.pass_at(limits).max(unanswered) {
            Some(at) if facts.earlier <= at => Pending::Until(at),
            Some(_) | None if !facts.settled => Pending::Unsettled,
            Some(_) | None if facts.unanswered.is_some() && !facts.witnessed => {
                Pending::Unwitnessed
            }
            Some(_) | None => Pending::Over,
        }
    }

    /// Whether no send is allowed any more, by the clock that is ahead.
    pub fn too_late(&self, later: Timestamp) -> bool {
        later >= self.send_until
    }

    /// Whether to stop waiting for a witness: no send has been allowed for `doubt_after`, and the node
    /// has been asked for witnesses in vain for as long. The second condition makes a service that was
    /// itself down ask first.
    pub fn too_late_for_a_witness(
        &self,
        clocks: ClockBounds,
        in_vain_since: Option<Timestamp>,
        limits: &SendLimits,
    ) -> bool {
        clocks.later >= self.send_until.plus(limits.doubt_after)
            && in_vain_since.is_some_and(|since| clocks.earlier >= since.plus(limits.doubt_after))
    }
}
