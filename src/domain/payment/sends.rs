//! The sends of an attempt: each a row that was committed before the node was asked.

use crate::domain::{Millis, NodeId, Timestamp};

/// How a send was answered on its own response stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// An RPC error, of whatever text. It does not make the send over.
    Error,
    /// The node knew the payment already.
    AlreadyExists,
    /// A final status. The send is over.
    Final,
}

impl Answer {
    /// The name that SQL uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Final => "FINAL",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Error, Self::AlreadyExists, Self::Final].into_iter().find(|a| a.name() == name)
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
    /// When it was committed.
    pub sent_at: Timestamp,
    /// The instant after which the node itself refuses the request.
    pub send_deadline: Timestamp,
    /// How it was answered; none while it is not.
    pub answer: Option<Answer>,
}

/// How long a send may still take effect after its deadline, and how often to try.
#[derive(Clone, Copy, Debug)]
pub struct SendLimits {
    /// How far clocks may disagree.
    pub clock_skew: Millis,
    /// How long the node may take from checking the deadline to storing the payment: an assumption.
    pub node_slack: Millis,
    /// So many sends answered with an error, and no further is made.
    pub max_errors: usize,
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

    /// How many were answered with an error.
    pub fn errors(&self) -> usize {
        self.0.iter().filter(|send| send.answer == Some(Answer::Error)).count()
    }

    /// Whether the only send that was ever made has got its final answer.
    pub fn only_one_and_answered(&self) -> bool {
        matches!(self.0.as_slice(), [only] if only.answer == Some(Answer::Final))
    }

    /// When the last send that is not answered finally will be over by its deadline; none if all
    /// were answered (or nothing was sent).
    pub fn over_at(&self, limits: &SendLimits) -> Option<Timestamp> {
        let pending = self.0.iter().filter(|send| send.answer != Some(Answer::Final));
        let last = pending.map(|send| send.send_deadline).max()?;
        Some(last.plus(limits.clock_skew).plus(limits.node_slack))
    }

    /// Whether no send can take effect any more, at the earlier of the clocks.
    pub fn all_over(&self, earlier: Timestamp, limits: &SendLimits) -> bool {
        self.over_at(limits).is_none_or(|over_at| earlier > over_at)
    }

    pub(super) fn push(&mut self, send: Send) {
        self.0.push(send);
    }

    /// Marks an answer. A final one stays; an error never replaces anything.
    pub(super) fn mark(&mut self, number: i64, epoch: i64, answer: Answer) {
        let send = self.0.iter_mut().find(|send| send.number == number && send.epoch == epoch);
        if let Some(send) = send
            && (send.answer.is_none() || answer == Answer::Final)
        {
            send.answer = Some(answer);
        }
    }
}
