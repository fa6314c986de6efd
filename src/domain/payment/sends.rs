//! The sends of an attempt: each a row that was committed before the node was asked.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::{Millis, NodeId, Timestamp};

/// What became of a send, as far as it was heard. A send that was given up, or whose connection or
/// process was lost, has none: it is *unanswered*.
#[derive(Clone, Copy, PartialEq, Eq, Debug, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Answer {
    /// Nothing of it left this process. It is over.
    Unsent,
    /// The node ended the call with an error of its own: whatever the call was to do is done or never
    /// will be.
    Refused,
    /// The node knew the payment already.
    AlreadyExists,
    /// A record of the payment that was not final: the node has stored it.
    Stored,
    /// A final status. The send is over.
    Final,
}

impl Answer {
    /// The name that SQL uses.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether no effect of the send is to come, whatever the time.
    const fn ends_the_send(self) -> bool {
        match self {
            Self::Unsent | Self::Final => true,
            Self::Refused | Self::AlreadyExists | Self::Stored => false,
        }
    }
}

/// One request to the node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Send {
    /// 1 for the first.
    pub number: i64,
    /// Of the lease under which it was committed: tells two workers' rows apart.
    pub epoch: i64,
    /// The node that was asked.
    pub node: NodeId,
    /// When it was committed, by the clock of the process that sent it.
    pub sent_at: Timestamp,
    /// The same by the earlier of that clock and the database's: when it counts as begun.
    pub begun_at: Timestamp,
    /// The instant after which the node itself refuses the request.
    pub send_deadline: Timestamp,
    /// How it was answered; none while it is unanswered.
    pub answer: Option<Answer>,
    /// The store's own order of sends; none until it is read back.
    pub sequence: Option<i64>,
}

/// How long a send may still take effect after its deadline, and how often to try.
#[derive(Clone, Copy, Debug)]
pub struct SendLimits {
    /// How far clocks may disagree.
    pub clock_skew: Millis,
    /// How long the node may take from checking the deadline to storing the payment: an assumption.
    pub node_slack: Millis,
    /// So many sends refused by the node itself, and no further is made.
    pub max_refusals: usize,
    /// How long after `send_until` an unanswered send may still be shown to be over. Then a person looks.
    pub doubt_after: Millis,
}

impl SendLimits {
    /// When the time of a send with this deadline has passed, by every clock.
    pub fn passes_at(&self, send_deadline: Timestamp) -> Timestamp {
        send_deadline.plus(self.clock_skew).plus(self.node_slack)
    }
}

/// Sends that were never answered. The node may hold one that it checked in time and could not store
/// since: it is over only once a *write witness* was seen (see [`super::Pending`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unanswered {
    /// When the time of the last of them has passed.
    pub until: Timestamp,
    /// The last of them in the store's order; none if that is not known.
    pub sequence: Option<i64>,
}

impl Unanswered {
    /// Both as one.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let known = self.sequence.zip(other.sequence);
        Self {
            until: self.until.max(other.until),
            sequence: known.map(|(one, other)| one.max(other)),
        }
    }
}

/// All sends of an attempt, in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sends(Vec<Send>);

impl Sends {
    /// The sends that rows hold, in order of their numbers.
    pub const fn from_rows(sends: Vec<Send>) -> Self {
        Self(sends)
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Send> {
        self.0.iter()
    }

    /// How many were committed.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The last one.
    pub fn last(&self) -> Option<&Send> {
        self.0.last()
    }

    /// Whether nothing was ever sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number that the next send gets.
    pub fn next_number(&self) -> i64 {
        self.0.last().map_or(1, |send| send.number + 1)
    }

    /// How many the node itself refused.
    pub fn refusals(&self) -> usize {
        self.0.iter().filter(|send| send.answer == Some(Answer::Refused)).count()
    }

    /// How many did not reach the node.
    pub fn unsent(&self) -> usize {
        self.0.iter().filter(|send| send.answer == Some(Answer::Unsent)).count()
    }

    /// Whether the only send that was ever made has got its final answer.
    pub fn only_one_and_answered(&self) -> bool {
        matches!(self.0.as_slice(), [only] if only.answer == Some(Answer::Final))
    }

    /// When the time of the last send that may still have an effect passes; none if there is none.
    pub fn pass_at(&self, limits: &SendLimits) -> Option<Timestamp> {
        let pending = self.0.iter().filter(|send| !send.answer.is_some_and(Answer::ends_the_send));
        let last = pending.map(|send| send.send_deadline).max()?;
        Some(limits.passes_at(last))
    }

    /// The sends that were never answered.
    pub fn unanswered(&self, limits: &SendLimits) -> Option<Unanswered> {
        let unanswered = self.0.iter().filter(|send| send.answer.is_none());
        let each = unanswered.map(|send| Unanswered {
            until: limits.passes_at(send.send_deadline),
            sequence: send.sequence,
        });
        each.reduce(Unanswered::and)
    }

    pub(super) fn push(&mut self, send: Send) {
        self.0.push(send);
    }

    /// Marks an answer. The first one stays, but for the final one.
    pub(super) fn mark(&mut self, number: i64, epoch: i64, answer: Answer) {
        let send = self.0.iter_mut().find(|send| send.number == number && send.epoch == epoch);
        if let Some(send) = send
            && (send.answer.is_none() || answer == Answer::Final)
        {
            send.answer = Some(answer);
        }
    }
}
