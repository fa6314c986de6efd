//! Converts messages about the instance, and operators' requests, to domain values and back.

use super::{
    payments,
    times::{read_time, wire_time},
};
use crate::{
    domain::{
        FenceReason, HaltReason, Heartbeat, InstanceField, InstanceStatus, Timestamp, Verdict,
        Violation, payment::RecordState,
    },
    pb::{self, instance},
    service::{InstanceView, Line, ListedPayment, Pair, ReleaseScope},
};

/// The payments that an operator assigns to requests.
pub fn pairs(given: Vec<pb::acknowledge_restore_request::Pair>) -> Vec<Pair> {
    let pair = |pair: pb::acknowledge_restore_request::Pair| Pair {
        withdraw: pair.withdraw_id,
        payment_hash: pair.payment_hash,
    };
    given.into_iter().map(pair).collect()
}

/// Which requests an operator releases.
pub fn release_scope(all: bool, ids: Vec<String>) -> ReleaseScope {
    if all { ReleaseScope::All } else { ReleaseScope::Ids(ids) }
}

/// A count, in the wire's type.
pub fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The period that an operator asks about.
pub fn range(
    message: &pb::ReconcileRequest,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), Vec<Violation>> {
    let mut violations = Vec::new();
    let mut read = |field, given: Option<&prost_types::Timestamp>, absent: Option<Timestamp>| {
        let time = given.map_or_else(|| absent.ok_or("is required"), read_time);
        time.unwrap_or_else(|rule| {
            violations.push(Violation::new(field, rule));
            Timestamp::MIN
        })
    };
    let from = read(InstanceField::From, message.from.as_ref(), None);
    let to = read(InstanceField::To, message.to.as_ref(), Some(now));
    if violations.is_empty() { Ok((from, to)) } else { Err(violations) }
}

/// A line of a comparison.
pub fn reconcile_line(line: Line) -> pb::ReconcileLine {
    let there = line
        .there
        .map(|record| node_payment(ListedPayment { record, invoice: String::new(), index: 0 }));
    pb::ReconcileLine {
        payment_hash: line.payment_hash.to_string(),
        verdict: wire_verdict(line.verdict).into(),
        explanation: line.verdict.explanation().to_owned(),
        here: line.here.map(payments::view),
        there,
    }
}

const fn wire_verdict(verdict: Verdict) -> pb::reconcile_line::Verdict {
    use pb::reconcile_line::Verdict as Wire;

    match verdict {
        Verdict::Matches => Wire::Matches,
        Verdict::UnderWay => Wire::UnderWay,
        Verdict::PaidOnlyThere => Wire::PaidOnlyThere,
        Verdict::PaidOnlyHere => Wire::PaidOnlyHere,
        Verdict::FeeDiffers => Wire::FeeDiffers,
        Verdict::AmountDiffers => Wire::AmountDiffers,
        Verdict::StillUnderWayThere => Wire::StillUnderWayThere,
        Verdict::UnknownHere => Wire::UnknownHere,
        Verdict::NeedsOperator => Wire::NeedsOperator,
        Verdict::ResultLostThere => Wire::ResultLostThere,
    }
}

/// A payment as the node lists it.
pub fn node_payment(listed: ListedPayment) -> pb::NodePayment {
    use pb::node_payment::State;

    let record = listed.record;
    let (state, fee_msat) = match record.state {
        RecordState::InFlight => (State::InFlight, None),
        RecordState::Succeeded { fee, .. } => (State::Succeeded, Some(fee.get())),
        RecordState::Failed(_) => (State::Failed, None),
        // Never as FAILED: an operator would release the request, and it would be paid again.
        RecordState::ResultLost => (State::ResultLost, None),
    };
    pb::NodePayment {
        payment_hash: record.payment_hash.to_string(),
        invoice: listed.invoice,
        amount_msat: record.amount.get(),
        fee_msat,
        state: state.into(),
        // The port has this value for a time that the node does not report.
        created: (record.created != Timestamp::MAX).then(|| wire_time(record.created)),
    }
}

/// The instance as operators see it.
pub fn instance(view: InstanceView) -> pb::Instance {
    let (halt, most) = (view.halt(), view.most());
    let InstanceStatus { paused, fenced, heartbeat, trouble, unseen, in_flight, spent_24h, .. } =
        view.status;
    pb::Instance {
        halt: halt.map_or(pb::Halt::Unspecified, wire_halt).into(),
        max_withdrawable_sat: most,
        paused: paused.map(|act| instance::Act {
            operator: act.by.name,
            reason: act.by.reason,
            at: Some(wire_time(act.at)),
        }),
        fence_reason: fenced
            .map_or(instance::FenceReason::Unspecified, |(_, reason)| wire_fence(reason))
            .into(),
        fenced_at: fenced.map(|(at, _)| wire_time(at)),
        node: heartbeat.map(node),
        in_flight,
        unseen_msat: unseen.get(),
        spent_24h_msat: spent_24h.get(),
        node_error: trouble.map(|trouble| trouble.to_string()).unwrap_or_default(),
    }
}

fn node(beat: Heartbeat) -> instance::Node {
    instance::Node {
        identity: beat.node.to_string(),
        alias: beat.alias,
        network: beat.network.name().to_owned(),
        heartbeat_at: Some(wire_time(beat.at)),
        synced: beat.synced,
        can_send_msat: beat.can_send.get(),
        active_channels: beat.active_channels,
        busiest_channel_htlcs: beat.busiest_channel_htlcs,
    }
}

const fn wire_halt(halt: HaltReason) -> pb::Halt {
    match halt {
        HaltReason::Paused => pb::Halt::Paused,
        HaltReason::Fenced => pb::Halt::Fenced,
        HaltReason::Unverified => pb::Halt::Unverified,
        HaltReason::NodeSilent => pb::Halt::NodeSilent,
        HaltReason::NodeForgot => pb::Halt::NodeForgot,
        HaltReason::NodeNotPermitted => pb::Halt::NodeNotPermitted,
        HaltReason::NodeNotPaying => pb::Halt::NodeNotPaying,
        HaltReason::StoreReadOnly => pb::Halt::StoreReadOnly,
        HaltReason::NodeUnsynced => pb::Halt::NodeUnsynced,
        HaltReason::ChannelsFull => pb::Halt::ChannelsFull,
        HaltReason::NoLiquidity => pb::Halt::NoLiquidity,
        HaltReason::LimitSpent => pb::Halt::LimitSpent,
    }
}

const fn wire_fence(reason: FenceReason) -> instance::FenceReason {
    match reason {
        FenceReason::MarkLost => instance::FenceReason::MarkLost,
        FenceReason::UnknownPayments => instance::FenceReason::UnknownPayments,
        FenceReason::ByHand => instance::FenceReason::ByHand,
    }
}
