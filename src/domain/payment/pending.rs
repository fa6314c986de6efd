//! Whether a send of an attempt can still take effect at the node.
//!
//! A send is over when the node answered it with a status of its own and its time has passed. A send that
//! was never answered is not over by any clock: lnd checks the deadline when the call arrives and stores
//! the payment later, and a database that takes no writes (a full volume, a frozen file system) can hold
//! the call in between for hours, while look-ups are answered. Such a send is over when its time has
//! passed **and** a *write witness* was seen: a later send, begun after that time, that the same node
//! answered in a way that had to pass the storing of a payment.
//!
//! What this rests on:
//! - The node refuses the call when it arrives after the deadline, by its own clock.
//! - What was checked in time reaches the queue of the node's database within `node_slack`.
//! - That queue is served in order, so that a witness that began later is stored later. lnd's own database
//!   (bbolt) has one writer at a time. ALREADY_EXISTS is no witness: it may have been read.
//! - No repeat starts a payment anew whose result the node has lost (lnd would forget with that what it had
//!   lost): lnd loses results only as it starts, and a repeat is sent on no other connection than the one on
//!   which the look-up before it found nothing.
//! - Clocks agree within `clock_skew` (jumps are noticed: [`Pending::Unsettled`]); a witness from the future
//!   is of a clock that was set back, and counts for nothing.

use super::{OperatorReason, Payment, Reopening, SendLimits, State, Unanswered};
use crate::domain::{ClockBounds, Millis, Timestamp};

/// Whether a send of ours can still reach the node, as known before the node was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pending {
    /// None can.
    Over,
    /// One can until then.
    Until(Timestamp),
    /// The time of all has passed, but one was never answered, and no write witness was seen since.
    Unwitnessed,
    /// Not known: a clock jumped a while ago, or the database server is one that this process has not
    /// met yet.
    Unsettled,
}

/// What is known beside the attempt's own rows.
#[derive(Clone, Copy, Debug)]
pub struct PendingFacts {
    /// The earlier of the clocks, read before the node was asked.
    pub earlier: Timestamp,
    /// Clocks can be believed, and the database server is the one that was met.
    pub settled: bool,
    /// Of [`Payment::unanswered`].
    pub unanswered: Option<Unanswered>,
    /// A write witness was seen for these.
    pub witnessed: bool,
}

impl Payment {
    /// The sends that nobody answered. `carried_over` stands for those that another database server may
    /// have known of, and that may have been lost with it.
    pub fn unanswered(
        &self,
        carried_over: Option<Unanswered>,
        reopening: &Reopening,
        send_life: Millis,
        limits: &SendLimits,
    ) -> Option<Unanswered> {
        // A send that was lost with a part of the database was committed before the doubt was. The store
        // never had it, so that any witness counts that began after its time.
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

    /// Whether nothing can be sent any more, by the later clock.
    pub fn too_late(&self, later: Timestamp) -> bool {
        later >= self.send_until
    }

    /// Whether a witness was waited for long enough: no send has been allowed for that time, and the node
    /// was asked for witnesses in vain for as long. A service that was away itself asks first.
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
