//! Whether the instance can pay now, and how much. This holds for all requests at once.
//!
//! Whether one request is claimable depends on that request only (see
//! [`crate::domain::Withdraw::unclaimable`]); this is the other condition of a claim. Payments that
//! were accepted before continue regardless.

mod field;
mod node_trouble;
mod restore;
#[cfg(test)]
mod tests;

pub use field::InstanceField;
pub use node_trouble::{NodeTrouble, TroubleKind};
pub use restore::{NotRestorable, Restored, can_be_ours};

use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::{Actor, FeePolicy, Millis, Msat, Network, NodeId, Sat, Timestamp};

/// A node's last report about itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// The node that pays.
    pub node: NodeId,
    /// Its alias.
    pub alias: String,
    /// Its network.
    pub network: Network,
    /// When it was asked. The report is at least as recent.
    pub at: Timestamp,
    /// It is synced to the chain tip.
    pub synced: bool,
    /// It still knows the newest payment that it was seen to know, so its records are intact.
    pub remembers: bool,
    /// The last sends to it were answered, or are not overdue (see [`HaltReason::NodeNotPaying`]).
    pub answers_sends: bool,
    /// What its active channels can send now, less their reserves.
    pub can_send: Msat,
    /// The number of active channels.
    pub active_channels: i64,
    /// The outgoing HTLCs on the channel that has the most of them, forwards included. BOLT 2 allows at
    /// most 483 in each direction.
    pub busiest_channel_htlcs: i64,
}

/// Who acted on the instance, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Act {
    /// Who, and why.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// Why the instance is fenced: the database may have lost commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum FenceReason {
    /// A commit that was acknowledged to a caller is gone.
    MarkLost,
    /// The node knows payments that the database does not know.
    UnknownPayments,
    /// An operator fenced it.
    ByHand,
}

impl FenceReason {
    /// The name that proto, SQL and docs use.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A command to the whole instance, from an operator or the service itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InstanceCommand {
    /// Stops new claims and sends. What is in flight is followed.
    Pause(Act),
    /// Ends a pause.
    Resume(Act),
    /// Stops the same as a pause, until an operator has examined which commits the database may have
    /// lost.
    Fence(FenceReason, Act),
    /// Ends the fence that was set at this instant, and no later one: an operator has examined the
    /// loss.
    Acknowledge(Timestamp, Act),
}

impl InstanceCommand {
    /// Who, when and why.
    pub const fn act(&self) -> &Act {
        match self {
            Self::Pause(act)
            | Self::Resume(act)
            | Self::Fence(_, act)
            | Self::Acknowledge(_, act) => act,
        }
    }

    /// The name that SQL and logs use.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pause(_) => "PAUSE",
            Self::Resume(_) => "RESUME",
            Self::Fence(..) => "FENCE",
            Self::Acknowledge(..) => "ACKNOWLEDGE",
        }
    }
}

/// The status of the whole instance, as read from the database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstanceStatus {
    /// Set while an operator has paused the instance: nothing new is claimed or sent.
    pub paused: Option<Act>,
    /// Set while the instance is fenced, since the database may have lost commits: nothing new is
    /// claimed or sent.
    pub fenced: Option<(Timestamp, FenceReason)>,
    /// The database records the answering server as verified, and this process has found all its marks
    /// there.
    pub verified: bool,
    /// The last test write of this process succeeded.
    pub writable: bool,
    /// The node that pays.
    pub node: Option<NodeId>,
    /// That node's last heartbeat; None before its first.
    pub heartbeat: Option<Heartbeat>,
    /// Why the node cannot be used, if it cannot.
    pub trouble: Option<NodeTrouble>,
    /// Amounts and fee limits of open attempts that the heartbeat cannot reflect yet: they were not in
    /// flight when it was taken.
    pub unseen: Msat,
    /// The number of attempts in flight.
    pub in_flight: i64,
    /// What was accepted within the last 24 hours and did not fail: amount and fee limit while an
    /// attempt is open, amount and fee once it is paid. Zero if no limit needs it.
    pub spent_24h: Msat,
}

/// The configured limits on paying. The same in every replica.
#[derive(Clone, Copy, Debug)]
pub struct PayingLimits {
    /// A node whose heartbeat is older than this counts as down.
    pub heartbeat_stale: Millis,
    /// The maximum difference between replicas' clocks.
    pub clock_skew: Millis,
    /// The maximum of one request.
    pub max_amount: Option<Sat>,
    /// The maximum accepted within 24 hours, fees included.
    pub rolling_24h: Option<Sat>,
    /// The maximum number of payments in flight per active channel. The rest of its (at most 483)
    /// outgoing HTLC slots is left for the parts of multi-part payments and for other traffic.
    pub max_in_flight_per_channel: i64,
}

/// Why claims are refused. Wallets are not given the reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum HaltReason {
    /// An operator has paused the instance.
    Paused,
    /// The instance is fenced: the database may have lost commits.
    Fenced,
    /// This process has not yet verified that the database lost no commits.
    Unverified,
    /// The database takes no writes.
    StoreReadOnly,
    /// The last heartbeat of the node that pays is missing or too old: it is down, or another node
    /// answers.
    NodeSilent,
    /// The node no longer knows the newest payment that it was seen to know: nothing is sent to it.
    NodeForgot,
    /// The node refuses our credentials or our terms, or its wallet is locked.
    NodeNotPermitted,
    /// Several sends in a row were not answered: the node may be unable to store payments.
    NodeNotPaying,
    /// The node is not synced to the chain.
    NodeUnsynced,
    /// Too many payments are in flight.
    ChannelsFull,
    /// The node's channels cannot send enough.
    NoLiquidity,
    /// The 24-hour limit is used up, or the limit per request is too low.
    LimitSpent,
}

impl HaltReason {
    /// The name that proto, logs and docs use.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The reason if the instance is paused or fenced. The fence comes first, since the end of a pause
    /// does not end it.
    pub const fn by_switches(paused: bool, fenced: bool) -> Option<Self> {
        match (paused, fenced) {
            (_, true) => Some(Self::Fenced),
            (true, false) => Some(Self::Paused),
            (false, false) => None,
        }
    }

    /// The reason why even the smallest claim is refused, if it is.
    pub fn of_all(capacity: Result<Capacity, Self>) -> Option<Self> {
        match capacity {
            Ok(capacity) => (capacity.most.get() == 0).then_some(capacity.bound),
            Err(reason) => Some(reason),
        }
    }
}

impl InstanceStatus {
    /// The most that one claim can get now, and what limits it. Liquidity beyond our own channels is
    /// unknown: a claim within this capacity can still fail, and its request then reopens.
    pub fn capacity(
        &self,
        limits: &PayingLimits,
        fees: &FeePolicy,
        now: Timestamp,
    ) -> Result<Capacity, HaltReason> {
        if let Some(reason) = HaltReason::by_switches(self.paused.is_some(), self.fenced.is_some())
        {
            return Err(reason);
        }
        // Checked before its consequence: without an answer from the node nothing gets verified.
        if self.trouble.as_ref().is_some_and(|trouble| trouble.kind.needs_operator()) {
            return Err(HaltReason::NodeNotPermitted);
        }
        if !self.verified {
            return Err(HaltReason::Unverified);
        }
        // Checked before the node: without writes its heartbeat grows old, too.
        if !self.writable {
            return Err(HaltReason::StoreReadOnly);
        }
        let Some(beat) = &self.heartbeat else {
            return Err(HaltReason::NodeSilent);
        };
        // In either direction: a heartbeat from the future was written by a clock that was set back
        // since.
        if now.since(beat.at).abs() > limits.heartbeat_stale {
            return Err(HaltReason::NodeSilent);
        }
        if !beat.remembers {
            return Err(HaltReason::NodeForgot);
        }
        if !beat.answers_sends {
            return Err(HaltReason::NodeNotPaying);
        }
        if !beat.synced {
            return Err(HaltReason::NodeUnsynced);
        }
        if self.channels_full(limits) {
            return Err(HaltReason::ChannelsFull);
        }
        let free = beat.can_send.get().saturating_sub(self.unseen.get()).max(0);
        let sendable = Msat::new(free).map_or(Sat::MAX, |free| fees.largest_within(free));
        let mut capacity = Capacity { most: sendable, bound: HaltReason::NoLiquidity };
        if let Some(limit) = limits.rolling_24h {
            // Includes the fee limit, as for open attempts.
            let left = limit.to_msat().get().saturating_sub(self.spent_24h.get()).max(0);
            let most = Msat::new(left).map_or(Sat::MAX, |left| fees.largest_within(left));
            capacity = capacity.and(most, HaltReason::LimitSpent);
        }
        Ok(limits.max_amount.map_or(capacity, |most| capacity.and(most, HaltReason::LimitSpent)))
    }

    /// Whether nothing may be sent, not even a repeat. Accepted attempts wait. A node that was silent
    /// does not block sends: the lookup before each send shows whether it answers.
    pub fn sends_nothing(&self, limits: &PayingLimits) -> bool {
        let answers_sends = self.heartbeat.as_ref().is_none_or(|beat| beat.answers_sends);
        let full = self.channels_full(limits);
        let barred = self.trouble.as_ref().is_some_and(|trouble| trouble.kind.needs_operator());
        full || barred
            || !answers_sends
            || self.paused.is_some()
            || self.fenced.is_some()
            || !self.verified
    }

    /// Whether too many payments are in flight to start another one. A node without channels counts as
    /// having one: it has no liquidity, which refuses claims anyway.
    pub fn channels_full(&self, limits: &PayingLimits) -> bool {
        let channels = self.heartbeat.as_ref().map_or(1, |beat| beat.active_channels.max(1));
        self.in_flight >= limits.max_in_flight_per_channel.saturating_mul(channels)
    }
}

/// What one claim can get now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capacity {
    /// The maximum.
    pub most: Sat,
    /// The reason for this limit.
    pub bound: HaltReason,
}

impl Capacity {
    const fn and(self, most: Sat, bound: HaltReason) -> Self {
        if most.get() < self.most.get() { Self { most, bound } } else { self }
    }
}
