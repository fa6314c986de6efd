//! When to look at an attempt again. None of it decides anything about money.

use super::{Beside, Payment, SendLimits, State, Trust, Word};
use crate::domain::{Millis, Timestamp};

/// How often to look. The steps are for tests and operators to change.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// After the first look that told nothing; doubled each time.
    pub first: Millis,
    /// The slowest look at an attempt that is sending or newly in flight.
    pub slowest: Millis,
    /// In flight for longer than this, an attempt is followed slowly and no longer counts against
    /// the limit on concurrent payments.
    pub fresh_for: Millis,
    /// The pace of the slow ones, and of those in doubt.
    pub slow: Millis,
    /// When a failed attempt that was sent is looked up again, in case it was paid late.
    pub after_failure: AfterFailure,
}

/// When a failed attempt that was sent is looked up again: how long after it failed.
#[derive(Clone, Copy, Debug)]
pub struct AfterFailure {
    /// Once.
    pub first: Millis,
    /// And for the last time.
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

/// When to look at `payment` next: none for never. `looks` counts the looks so far in this state,
/// `jitter` is a random number below 1,000 that spreads a herd.
pub fn next_look(
    payment: &Payment,
    looks: i64,
    now: Timestamp,
    jitter: u16,
    pace: &Pace,
    limits: &SendLimits,
) -> Option<Timestamp> {
    let spread = |span: Millis| {
        // From three quarters to five quarters of the span.
        let ms = span.as_ms();
        now.plus(Millis::from_ms(ms * 3 / 4 + ms / 2 * i64::from(jitter % 1000) / 1000))
    };
    match payment.state {
        State::Paid { .. } => None,
        State::Failed { .. } if payment.sends.is_empty() => None,
        // A person looks; or the request beside a late success is not settled yet.
        State::NeedsOperator { .. } | State::Failed { late: Some(_), .. } => {
            Some(spread(pace.slow))
        }
        State::Failed { at, .. } => {
            let AfterFailure { first, second } = pace.after_failure;
            [first, second].map(|span| at.plus(span)).into_iter().find(|look| *look > now)
        }
        // One that has failed waits for its last send to be over, and no longer for a payee.
        State::InFlight if payment.noted.is_none() && is_old(payment, now, pace) => {
            Some(spread(pace.slow))
        }
        State::Reserved | State::Sending | State::InFlight => {
            // A send that did not reach the node is repeated at once, so that those spread the looks too.
            let unsent = i64::try_from(payment.sends.unsent()).unwrap_or(i64::MAX);
            let doubled = pace.first.as_ms() << looks.saturating_add(unsent).clamp(0, 16);
            let backed_off = spread(Millis::from_ms(doubled.min(pace.slowest.as_ms())));
            // The instant when the time of the last send has passed is worth a look of its own.
            let over_at = payment.sends.pass_at(limits).map(|at| at.plus(Millis::from_ms(1)));
            Some(over_at.filter(|at| *at > now).map_or(backed_off, |at| at.min(backed_off)))
        }
    }
}

/// When to look at an attempt again that a look-up has left as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// As planned.
    AsPlanned,
    /// Nothing was learned: a look that was planned for now is not used up.
    NotUsedUp,
    /// It is closed, and the node pays it, or has paid it: it is followed until the request is settled.
    Followed,
    /// Never: the request was settled beside it, and nothing follows.
    Never,
}

/// What a look-up that changed nothing means for the next one.
pub fn again(payment: &Payment, word: Word, trust: Trust, beside: Beside) -> Again {
    match payment.state {
        State::Failed { late: Some(_), .. } if !beside.active => Again::Never,
        _ if trust != Trust::Same => Again::NotUsedUp,
        State::Failed { late: Some(_), .. } => Again::Followed,
        // A delayed send restarts it, and a hold invoice can keep it out for days.
        State::Failed { .. } if matches!(word, Word::InFlight(_)) && !payment.sends.is_empty() => {
            Again::Followed
        }
        State::Reserved
        | State::Sending
        | State::InFlight
        | State::Paid { .. }
        | State::Failed { .. }
        | State::NeedsOperator { .. } => Again::AsPlanned,
    }
}

fn is_old(payment: &Payment, now: Timestamp, pace: &Pace) -> bool {
    payment.sends.last().is_none_or(|send| now.since(send.sent_at) > pace.fresh_for)
}
