//! Whether the instance can pay at this moment, and how much: what holds for all requests at once.
//!
//! A request is claimable by itself alone (see [`crate::domain::Withdraw::unclaimable`]); this is the other
//! half. What was accepted before goes on, whatever stands here.

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

/// What a node last said of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// The node that pays.
    pub node: NodeId,
    /// Its name for people.
    pub alias: String,
    /// The network that it is on.
    pub network: Network,
    /// When it was asked. What it says holds at least since then.
    pub at: Timestamp,
    /// It has followed the chain to the tip.
    pub synced: bool,
    /// It knows the newest payment that it was seen to know.
    pub remembers: bool,
    /// The last sends to it were answered, or are not overdue: see [`Halt::NodeNotPaying`].
    pub answers_sends: bool,
    /// What its active channels can send now, less their reserves.
    pub can_send: Msat,
    /// How many channels can be used.
    pub active_channels: i64,
    /// HTLCs that we have out on the channel that has most of them; channels take 483.
    pub busiest_channel_htlcs: i64,
}

/// What somebody did to the instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Act {
    /// Who, and why.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// Why the instance has fenced itself: the database may have lost commits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum FenceReason {
    /// A commit that a caller had been told of is gone.
    MarkLost,
    /// The node knows payments that the database does not.
    UnknownPayments,
    /// An operator said so.
    ByHand,
}

impl FenceReason {
    /// The name that proto, SQL and docs use.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What a person, or the instance itself, does to all of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Turn {
    /// From here on nothing new is claimed or sent; what is in flight is followed.
    Pause(Act),
    /// The end of a pause.
    Resume(Act),
    /// As a pause, until somebody has looked at what the database may have lost.
    Fence(FenceReason, Act),
    /// The end of the fence of that instant, and of no later one: somebody has looked.
    Acknowledge(Timestamp, Act),
}

impl Turn {
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

/// What the database knows of the whole instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Nothing new is claimed or sent, because a person said so.
    pub paused: Option<Act>,
    /// The same, because the database may have lost commits.
    pub fenced: Option<(Timestamp, FenceReason)>,
    /// The database calls the server that answers now verified, and this process misses nothing there.
    pub verified: bool,
    /// The database took the last write by which this process tried it.
    pub writable: bool,
    /// The node that pays.
    pub node: Option<NodeId>,
    /// What that node last said; none before its first word.
    pub heartbeat: Option<Heartbeat>,
    /// What keeps the node's word from us, or its services, if anything does.
    pub trouble: Option<NodeTrouble>,
    /// Amounts and fee limits of open attempts that the heartbeat cannot have counted: they were not
    /// out yet.
    pub unseen: Msat,
    /// Attempts in flight.
    pub in_flight: i64,
    /// What was accepted within the last 24 hours and did not fail: amounts and fee limits while it is open,
    /// amounts and fees once it is paid. Zero while no limit asks for it.
    pub spent_24h: Msat,
}

/// What may be paid. The same in every replica, by configuration.
#[derive(Clone, Copy, Debug)]
pub struct PayingLimits {
    /// A node that has been silent for longer is down.
    pub heartbeat_stale: Millis,
    /// How far replicas' clocks may disagree.
    pub clock_skew: Millis,
    /// The most of one request.
    pub max_amount: Option<Sat>,
    /// The most that is accepted within 24 hours, fees included.
    pub rolling_24h: Option<Sat>,
    /// So many payments in flight for each active channel, and no more are begun: the rest of its 483
    /// HTLC slots is for parts, for others and for ending what is out.
    pub max_in_flight_per_channel: i64,
}

/// Why nothing new is accepted. Wallets are told no more than that it is so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum Halt {
    /// An operator has paused the instance.
    Paused,
    /// The instance is fenced: the database may have lost commits.
    Fenced,
    /// This process has not yet made sure that the database has lost nothing.
    Unverified,
    /// The database takes no writes.
    StoreReadOnly,
    /// The node has not been heard of for too long, or is another one.
    NodeSilent,
    /// The node no longer knows the newest payment that it was seen to know: nothing is sent by it.
    NodeForgot,
    /// The node refuses our credentials, or they do not permit what paying needs.
    NodeNotPermitted,
    /// Several sends in a row were not answered: the node may not be able to store payments.
    NodeNotPaying,
    /// The node does not follow the chain.
    NodeUnsynced,
    /// Too many payments are in flight.
    ChannelsFull,
    /// The node cannot send as much.
    NoLiquidity,
    /// What may be paid within 24 hours is spent, or one request may not pay out so much.
    LimitSpent,
}

impl Halt {
    /// The name that proto, logs and docs use.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What the instance's switches say. A fence comes first: the end of a pause does not end it.
    pub const fn by_switches(paused: bool, fenced: bool) -> Option<Self> {
        match (paused, fenced) {
            (_, true) => Some(Self::Fenced),
            (true, false) => Some(Self::Paused),
            (false, false) => None,
        }
    }

    /// What keeps out even the least claim.
    pub fn of_all(room: Result<Room, Self>) -> Option<Self> {
        match room {
            Ok(room) => (room.most.get() == 0).then_some(room.bound),
            Err(halt) => Some(halt),
        }
    }
}

impl Standing {
    /// The most that one claim can get now, and what bounds it if anything does. Liquidity beyond our
    /// own channels is not known: a claim within this room can still fail, and then reopens.
    pub fn room(
        &self,
        limits: &PayingLimits,
        fees: &FeePolicy,
        now: Timestamp,
    ) -> Result<Room, Halt> {
        if let Some(halt) = Halt::by_switches(self.paused.is_some(), self.fenced.is_some()) {
            return Err(halt);
        }
        // Before what follows from it: without a word of the node nothing is verified.
        if self.trouble.as_ref().is_some_and(|trouble| trouble.kind.is_about_us()) {
            return Err(Halt::NodeNotPermitted);
        }
        if !self.verified {
            return Err(Halt::Unverified);
        }
        // Before the node: without writes its heartbeat grows old, too.
        if !self.writable {
            return Err(Halt::StoreReadOnly);
        }
        let Some(beat) = &self.heartbeat else {
            return Err(Halt::NodeSilent);
        };
        // Either way: one from the future is of a clock that has been set back since.
        if now.since(beat.at).abs() > limits.heartbeat_stale {
            return Err(Halt::NodeSilent);
        }
        if !beat.remembers {
            return Err(Halt::NodeForgot);
        }
        if !beat.answers_sends {
            return Err(Halt::NodeNotPaying);
        }
        if !beat.synced {
            return Err(Halt::NodeUnsynced);
        }
        if self.channels_full(limits) {
            return Err(Halt::ChannelsFull);
        }
        let free = beat.can_send.get().saturating_sub(self.unseen.get()).max(0);
        let sendable = Msat::new(free).map_or(Sat::MAX, |free| fees.largest_within(free));
        let mut room = Room { most: sendable, bound: Halt::NoLiquidity };
        if let Some(limit) = limits.rolling_24h {
            // With its fee limit, like what is open.
            let left = limit.to_msat().get().saturating_sub(self.spent_24h.get()).max(0);
            let most = Msat::new(left).map_or(Sat::MAX, |left| fees.largest_within(left));
            room = room.and(most, Halt::LimitSpent);
        }
        Ok(limits.max_amount.map_or(room, |most| room.and(most, Halt::LimitSpent)))
    }

    /// Whether nothing is sent, not even a repeat. What was accepted waits; a node that has been silent is
    /// looked up, and answers that by itself.
    pub fn sends_nothing(&self, limits: &PayingLimits) -> bool {
        let answers_sends = self.heartbeat.as_ref().is_none_or(|beat| beat.answers_sends);
        let full = self.channels_full(limits);
        let barred = self.trouble.as_ref().is_some_and(|trouble| trouble.kind.is_about_us());
        full || barred
            || !answers_sends
            || self.paused.is_some()
            || self.fenced.is_some()
            || !self.verified
    }

    /// Whether no further payment may be begun because too many are in flight. With no channel at all
    /// the node says so by what it can send.
    pub fn channels_full(&self, limits: &PayingLimits) -> bool {
        let channels = self.heartbeat.as_ref().map_or(1, |beat| beat.active_channels.max(1));
        self.in_flight >= limits.max_in_flight_per_channel.saturating_mul(channels)
    }
}

/// How much one claim can get now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// The most.
    pub most: Sat,
    /// What bounds it.
    pub bound: Halt,
}

impl Room {
    const fn and(self, most: Sat, bound: Halt) -> Self {
        if most.get() < self.most.get() { Self { most, bound } } else { self }
    }
}
