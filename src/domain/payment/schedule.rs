//! When to look up an attempt again. Nothing here decides about money.

use super::{NodeReport, OperatorReason, Payment, RequestFacts, SendLimits, State, Trust};
use crate::domain::{Millis, Timestamp};

/// How often to look up. Tests and operators can change the steps.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The delay after the first lookup that brought nothing new; doubled each time.
    pub first: Millis,
    /// The longest delay for an attempt that is sending or newly in flight.
    pub slowest: Millis,
    /// An attempt in flight for longer than this is looked up at the slow pace, and no longer counts
    /// against the limit on concurrent payments.
    pub fresh_for: Millis,
    /// The slow pace, also for attempts in doubt.
    pub slow: Millis,
    /// When to look up a failed attempt that was sent, in case it was paid late.
    pub after_failure: AfterFailure,
}

/// When to look up a failed attempt that was sent, counted from the failure.
#[derive(Clone, Copy, Debug)]
pub struct AfterFailure {
    /// The first lookup.
    pub first: Millis,
    /// The second and last lookup.
    pub second: Millis,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            first: Millis::from_ms(500),
            slowest: Millis::from_secs(30),
            fresh_for: Millis::from_secs(60),
            slow: Millis::from_secs(300),
            after_failure: AfterFailure {
                first: Millis::from_secs(3600),
                second: Millis::from_secs(24 * 3600),
            },
        }
    }
}

/// When to look up `payment` next; None for never. `lookups` counts those so far in this state.
/// `jitter`, a random number below 1,000, spreads lookups that are due together.
pub fn next_lookup(
    payment: &Payment,
    lookups: i64,
    now: Timestamp,
    jitter: u16,
    pace: &Pace,
    limits: &SendLimits,
) -> Option<Timestamp> {
    let spread = |span: Millis| {
        // Between 75 % and 125 % of the span.
        let ms = span.as_ms();
        now.plus(Millis::from_ms(ms * 3 / 4 + ms / 2 * i64::from(jitter % 1000) / 1000))
    };
    match payment.state {
        State::Paid { .. } => None,
        State::Failed { .. } if payment.sends.is_empty() => None,
        // An operator resolves it; or the request is not settled yet after a late success.
        State::NeedsOperator { .. } | State::Failed { late: Some(_), .. } => {
            Some(spread(pace.slow))
        }
        State::Failed { at, .. } => {
            let AfterFailure { first, second } = pace.after_failure;
            [first, second].map(|span| at.plus(span)).into_iter().find(|at| *at > now)
        }
        // One with a noted failure waits only until its last send is over, not for the payee.
        State::InFlight if payment.noted.is_none() && is_old(payment, now, pace) => {
            Some(spread(pace.slow))
        }
        State::Reserved | State::Sending | State::InFlight => {
            // A send that did not reach the node is repeated right after the next lookup, so unsent
            // sends also slow down the lookups.
            let unsent = i64::try_from(payment.sends.unsent()).unwrap_or(i64::MAX);
            let doubled = pace.first.as_ms() << lookups.saturating_add(unsent).clamp(0, 16);
            let backed_off = spread(Millis::from_ms(doubled.min(pace.slowest.as_ms())));
            // Looks up as soon as the time window of the last send has passed.
            let over_at = payment.sends.pass_at(limits).map(|at| at.plus(Millis::from_ms(1)));
            Some(over_at.filter(|at| *at > now).map_or(backed_off, |at| at.min(backed_off)))
        }
    }
}

/// How to go on after a lookup that changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FollowUp {
    /// Look up again as scheduled.
    AsPlanned,
    /// The answer could not be trusted: repeat this lookup, since a closed attempt has only two.
    Retry,
    /// The attempt is closed, but the node is paying it or has paid it: keep looking up until the request
    /// is settled.
    Watch,
    /// The attempt is closed, and the node has a record that only an operator can judge: the payee may have
    /// been paid. Report it, and look up again as scheduled.
    Contradicted(OperatorReason),
    /// Do not look up again: the request was settled otherwise.
    Never,
}

/// Decides how to go on after a lookup that changed nothing.
pub fn follow_up(
    payment: &Payment,
    report: NodeReport,
    trust: Trust,
    request: RequestFacts,
) -> FollowUp {
    // Like a proof of payment, it counts without intact records.
    if let (State::Failed { late: None, .. }, NodeReport::Contradiction(why, _)) =
        (payment.state, report)
        && trust != Trust::OtherNode
        && !payment.sends.is_empty()
    {
        return FollowUp::Contradicted(why);
    }
    match payment.state {
        State::Failed { late: Some(_), .. } if !request.active => FollowUp::Never,
        _ if trust != Trust::Same => FollowUp::Retry,
        State::Failed { late: Some(_), .. } => FollowUp::Watch,
        // A delayed send restarts the payment, and a hold invoice can keep it in flight for days.
        State::Failed { .. }
            if matches!(report, NodeReport::InFlight(_)) && !payment.sends.is_empty() =>
        {
            FollowUp::Watch
        }
        State::Reserved
        | State::Sending
        | State::InFlight
        | State::Paid { .. }
        | State::Failed { .. }
        | State::NeedsOperator { .. } => FollowUp::AsPlanned,
    }
}

fn is_old(payment: &Payment, now: Timestamp, pace: &Pace) -> bool {
    payment.sends.last().is_none_or(|send| now.since(send.sent_at) > pace.fresh_for)
}
