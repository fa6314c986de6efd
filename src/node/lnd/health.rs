//! What lnd can send, by its own numbers.

use super::proto::lnrpc::Channel;
use crate::{
    domain::Msat,
    ports::{Introduction, NodeHealth},
};

/// Of a commitment transaction with anchors, the heaviest kind.
const COMMITMENT_WEIGHT: i64 = 1_124;
/// Of every HTLC in it.
const HTLC_WEIGHT: i64 = 172;
const MSAT_PER_SAT: i64 = 1_000;

/// What the node can do, by the `channels` that are active.
pub(super) fn of(introduction: Introduction, synced: bool, channels: &[Channel]) -> NodeHealth {
    let can_send = channels.iter().map(can_send_sat).fold(0, i64::saturating_add);
    NodeHealth {
        introduction,
        synced,
        can_send: Msat::new(can_send.saturating_mul(MSAT_PER_SAT)).unwrap_or(Msat::MAX),
        busiest_channel_htlcs: channels.iter().map(outgoing).max().unwrap_or_default(),
        active_channels: u32::try_from(channels.len()).unwrap_or(u32::MAX),
    }
}

/// Its balance less its reserve and, in a channel that the node opened, less what lnd holds back to
/// pay for the commitment.
fn can_send_sat(channel: &Channel) -> i64 {
    let reserve =
        channel.local_constraints.as_ref().map_or(channel.local_chan_reserve_sat, |constraints| {
            i64::try_from(constraints.chan_reserve_sat).unwrap_or(i64::MAX)
        });
    let held_back = if channel.initiator { fee_buffer_sat(channel) } else { 0 };
    channel.local_balance.saturating_sub(reserve).saturating_sub(held_back).max(0)
}

/// Who opened a channel must be able to pay for a commitment with the new HTLC and one of the peer's
/// at twice the fee rate (BOLT 2), or lnd finds no route through it (v0.21, to the satoshi). The fee
/// of today's commitment is taken off the balance already.
fn fee_buffer_sat(channel: &Channel) -> i64 {
    let htlcs = i64::try_from(channel.pending_htlcs.len()).unwrap_or(i64::MAX);
    let weight = htlcs.saturating_mul(HTLC_WEIGHT).saturating_add(COMMITMENT_WEIGHT);
    let fee = |rate: i64, weight: i64| rate.saturating_mul(weight) / 1_000;
    let rate = channel.fee_per_kw;
    fee(rate.saturating_mul(2), weight.saturating_add(2 * HTLC_WEIGHT))
        .saturating_sub(fee(rate, weight))
}

fn outgoing(channel: &Channel) -> u32 {
    let htlcs = channel.pending_htlcs.iter().filter(|htlc| !htlc.incoming).count();
    u32::try_from(htlcs).unwrap_or(u32::MAX)
}
