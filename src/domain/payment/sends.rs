//! The sends of an attempt. Each is a row that was committed before the node was asked.

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::{Millis, NodeId, Timestamp};

/// The outcome of a send, as far as it is known. A send whose caller gave up, or whose connection or
/// process was lost, has none: it is *unanswered*.
#[derive(Clone, Copy, PartialEq, Eq, Debug, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Answer {
    /// It had no effect and will have none: it never left this process, or the node rejected it unread.
    /// It is over.
    Unsent,
    /// The node itself ended the call with an error: the call has no further effect.
    Refused,
    /// The node refused because it already had a payment of this hash.
    AlreadyExists,
    /// A record that is not final: the node has stored the payment.
    Stored,
    /// A final status. The send is over.
    Final,
}

impl Answer {
    /// The name that SQL uses.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Whether the send is over at once, before its time window has passed.
    const fn ends_the_send(self) -> bool {
        match self {
            Self::Unsent | Self::Final => true,
            Self::Refused | Self::AlreadyExists | Self::Stored => false,
        }
    }
}

/// One request to the node to pay.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Send {
    /// 1 for the first.
    pub number: i64,
    /// The fencing token of the lease under which it was committed; it distinguishes the rows of two
    /// workers.
    pub fencing_token: i64,
    /// The node that was asked.
    pub node: NodeId,
    /// When it was committed, by the clock of the process that sent it.
    pub sent_at: Timestamp,
    /// The same instant, by the earlier of that clock and the database's. Witnesses are compared by it.
    pub begun_at: Timestamp,
    /// The instant after which the node itself refuses the request.
    pub send_deadline: Timestamp,
    /// How it was answered; None while it is unanswered.
    pub answer: Option<Answer>,
    /// Its sequence number in the store; None until it is read back.
    pub sequence: Option<i64>,
}

/// How long a send may take effect after its deadline, and how often to retry.
#[derive(Clone, Copy, Debug)]
pub struct SendLimits {
    /// The maximum difference between clocks.
    pub clock_skew: Millis,
    /// How long the node may take from checking the deadline to queueing the payment for storage: an
    /// assumption.
    pub node_slack: Millis,
    /// After this many sends refused by the node itself, no further send is made.
    pub max_refusals: usize,
    /// How long after `send_until` to wait for proof that an unanswered send is over. Then an operator
    /// must resolve it.
    pub doubt_after: Millis,
}

impl SendLimits {
    /// When the time window of a send with this deadline has passed, by every clock.
    pub fn passes_at(&self, send_deadline: Timestamp) -> Timestamp {
        send_deadline.plus(self.clock_skew).plus(self.node_slack)
    }
}

/// Sends that were never answered. The node may hold one that it accepted in time but could not store
/// yet, so they are over only once a *write witness* was seen (see [`super::Pending`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unanswered {
    /// When the time window of the last of them has passed.
    pub until: Timestamp,
    /// The highest sequence number among them; None if unknown.
    pub sequence: Option<i64>,
}

impl Unanswered {
    /// Both combined.
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
    /// Sends read from rows, in order of their numbers.
    pub const fn from_rows(sends: Vec<Send>) -> Self {
        Self(sends)
    }

    /// The sends in order.
    pub fn iter(&self) -> impl Iterator<Item = &Send> {
        self.0.iter()
    }

    /// How many were committed.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The last send.
    pub fn last(&self) -> Option<&Send> {
        self.0.last()
    }

    /// Whether nothing was ever sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of the next send.
    pub fn next_number(&self) -> i64 {
        self.0.last().map_or(1, |send| send.number + 1)
    }

    /// How many the node itself refused.
    pub fn refusals(&self) -> usize {
        self.0.iter().filter(|send| send.answer == Some(Answer::Refused)).count()
    }

    /// How many had no effect at the node.
    pub fn unsent(&self) -> usize {
        self.0.iter().filter(|send| send.answer == Some(Answer::Unsent)).count()
    }

    /// Whether there is exactly one send and it has its final answer.
    pub fn only_one_and_answered(&self) -> bool {
        matches!(self.0.as_slice(), [only] if only.answer == Some(Answer::Final))
    }

    /// When the time window passes of the last send that may still have an effect; None if there is no
    /// such send.
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

    /// Records an answer. The first one stays, unless the new one is final.
    pub(super) fn mark(&mut self, number: i64, fencing_token: i64, answer: Answer) {
        let send = self
            .0
            .iter_mut()
            .find(|send| send.number == number && send.fencing_token == fencing_token);
        if let Some(send) = send
            && (send.answer.is_none() || answer == Answer::Final)
        {
            send.answer = Some(answer);
        }
    }
}
