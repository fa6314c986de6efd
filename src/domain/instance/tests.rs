//! What one claim can get, and what stops all claims.

use super::*;
use crate::domain::TroubleKind;

const NOW: Timestamp = Timestamp::from_ms(1_800_000_000_000);
const FEES: FeePolicy = FeePolicy { ppm: 10_000, floor: Msat::new(1000).unwrap() };
const LIMITS: PayingLimits = PayingLimits {
    heartbeat_stale: Millis::from_secs(15),
    clock_skew: Millis::from_secs(5),
    max_amount: None,
    rolling_24h: None,
    max_in_flight_per_channel: 400,
};

fn sat(n: i64) -> Sat {
    Sat::new(n).unwrap()
}

fn healthy() -> InstanceStatus {
    let node = NodeId::parse(&format!("02{}", "ab".repeat(32))).unwrap();
    InstanceStatus {
        trouble: None,
        paused: None,
        fenced: None,
        verified: true,
        writable: true,
        node: Some(node.clone()),
        heartbeat: Some(Heartbeat {
            node,
            alias: String::new(),
            network: Network::Regtest,
            at: NOW,
            synced: true,
            remembers: true,
            answers_sends: true,
            can_send: sat(1010).to_msat(),
            active_channels: 2,
            busiest_channel_htlcs: 0,
        }),
        unseen: Msat::new(0).unwrap(),
        in_flight: 0,
        spent_24h: Msat::new(0).unwrap(),
    }
}

fn capacity(
    status: &InstanceStatus,
    limits: &PayingLimits,
) -> Result<(i64, HaltReason), HaltReason> {
    status.capacity(limits, &FEES, NOW).map(|capacity| (capacity.most.get(), capacity.bound))
}

#[test]
fn capacity_is_what_the_node_can_send_less_the_fee_limit() {
    assert_eq!(capacity(&healthy(), &LIMITS), Ok((1000, HaltReason::NoLiquidity)));
    let some_unseen = InstanceStatus { unseen: sat(505).to_msat(), ..healthy() };
    assert_eq!(capacity(&some_unseen, &LIMITS), Ok((500, HaltReason::NoLiquidity)));
    let all_unseen = InstanceStatus { unseen: sat(5000).to_msat(), ..healthy() };
    assert_eq!(capacity(&all_unseen, &LIMITS), Ok((0, HaltReason::NoLiquidity)));
}

#[test]
fn limits_reduce_the_capacity() {
    let limits = PayingLimits { rolling_24h: Some(sat(900)), ..LIMITS };
    assert_eq!(capacity(&healthy(), &limits), Ok((891, HaltReason::LimitSpent)));
    let spent = InstanceStatus { spent_24h: Msat::new(600_500).unwrap(), ..healthy() };
    assert_eq!(capacity(&spent, &limits), Ok((296, HaltReason::LimitSpent)));
    let overspent = InstanceStatus { spent_24h: sat(1000).to_msat(), ..healthy() };
    assert_eq!(capacity(&overspent, &limits), Ok((0, HaltReason::LimitSpent)));
    let limits = PayingLimits { max_amount: Some(sat(7)), ..limits };
    assert_eq!(capacity(&spent, &limits), Ok((7, HaltReason::LimitSpent)));
}

#[test]
fn claims_are_refused_for_the_right_reason() {
    let act = Act { by: Actor::unnamed("ann", "audit"), at: NOW };
    let beat = |change: fn(&mut Heartbeat)| {
        let mut status = healthy();
        status.heartbeat.as_mut().map(change);
        status
    };
    let trouble = |kind: TroubleKind| InstanceStatus { trouble: Some(kind.into()), ..healthy() };
    let cases = [
        (InstanceStatus { paused: Some(act.clone()), ..healthy() }, HaltReason::Paused),
        (
            InstanceStatus { fenced: Some((NOW, FenceReason::ByHand)), ..healthy() },
            HaltReason::Fenced,
        ),
        // Ending the pause would change nothing.
        (
            InstanceStatus {
                paused: Some(act),
                fenced: Some((NOW, FenceReason::ByHand)),
                ..healthy()
            },
            HaltReason::Fenced,
        ),
        (InstanceStatus { verified: false, ..healthy() }, HaltReason::Unverified),
        (trouble(TroubleKind::NotPermitted), HaltReason::NodeNotPermitted),
        (
            InstanceStatus { verified: false, ..trouble(TroubleKind::WalletLocked) },
            HaltReason::NodeNotPermitted,
        ),
        (InstanceStatus { writable: false, ..healthy() }, HaltReason::StoreReadOnly),
        // The heartbeat grows old while nothing can be written, which is not the node's fault.
        (
            InstanceStatus { writable: false, heartbeat: None, ..healthy() },
            HaltReason::StoreReadOnly,
        ),
        (InstanceStatus { heartbeat: None, ..healthy() }, HaltReason::NodeSilent),
        (beat(|beat| beat.at = NOW.minus(Millis::from_ms(15_001))), HaltReason::NodeSilent),
        (beat(|beat| beat.at = NOW.plus(Millis::from_ms(15_001))), HaltReason::NodeSilent),
        (beat(|beat| beat.remembers = false), HaltReason::NodeForgot),
        (beat(|beat| beat.answers_sends = false), HaltReason::NodeNotPaying),
        (beat(|beat| beat.synced = false), HaltReason::NodeUnsynced),
        (InstanceStatus { in_flight: 800, ..healthy() }, HaltReason::ChannelsFull),
    ];
    for (status, reason) in cases {
        assert_eq!(capacity(&status, &LIMITS), Err(reason));
    }
    capacity(&InstanceStatus { in_flight: 799, ..healthy() }, &LIMITS).unwrap();
    // Trouble of this kind stops claims only once the heartbeat is too old.
    capacity(&trouble(TroubleKind::NobodyListens), &LIMITS).unwrap();
    capacity(&beat(|beat| beat.at = NOW.minus(Millis::from_secs(15))), &LIMITS).unwrap();
}
