//! How much lnd can send, by its own numbers.

use super::proto::lnrpc::Channel;
use crate::{
    domain::Msat,
    ports::{Introduction, NodeHealth},
};

/// The weight of a commitment transaction with anchors, the heaviest kind.
const COMMITMENT_WEIGHT: i64 = 1_124;
/// The weight of each HTLC in it.
const HTLC_WEIGHT: i64 = 172;
const MSAT_PER_SAT: i64 = 1_000;

/// The node's health, from its active `channels`.
pub(super) fn node_health(
    introduction: Introduction,
    synced: bool,
    channels: &[Channel],
) -> NodeHealth {
    let can_send = channels.iter().map(can_send_sat).fold(0, i64::saturating_add);
    NodeHealth {
        introduction,
        synced,
        can_send: Msat::new(can_send.saturating_mul(MSAT_PER_SAT)).unwrap_or(Msat::MAX),
        busiest_channel_htlcs: channels.iter().map(outgoing_htlcs).max().unwrap_or_default(),
        active_channels: u32::try_from(channels.len()).unwrap_or(u32::MAX),
    }
}

/// The channel's balance less its reserve and, if the node opened it, less the fee buffer.
fn can_send_sat(channel: &Channel) -> i64 {
    let reserve =
        channel.local_constraints.as_ref().map_or(channel.local_chan_reserve_sat, |constraints| {
            i64::try_from(constraints.chan_reserve_sat).unwrap_or(i64::MAX)
        });
    let fee_buffer = if channel.initiator { fee_buffer_sat(channel) } else { 0 };
    channel.local_balance.saturating_sub(reserve).saturating_sub(fee_buffer).max(0)
}

/// The fee spike buffer (BOLT 2): what the opener of a channel must keep to pay for a commitment transaction
/// with the new HTLC and one of the peer's at twice the fee rate. lnd sends nothing that would use it (v0.21,
/// to the satoshi). The fee of the current commitment is already deducted from the balance.
fn fee_buffer_sat(channel: &Channel) -> i64 {
    let htlcs = i64::try_from(channel.pending_htlcs.len()).unwrap_or(i64::MAX);
    let weight = htlcs.saturating_mul(HTLC_WEIGHT).saturating_add(COMMITMENT_WEIGHT);
    let fee = |rate: i64, weight: i64| rate.saturating_mul(weight) / 1_000;
    let rate = channel.fee_per_kw;
    fee(rate.saturating_mul(2), weight.saturating_add(2 * HTLC_WEIGHT))
        .saturating_sub(fee(rate, weight))
}

fn outgoing_htlcs(channel: &Channel) -> u32 {
    let htlcs = channel.pending_htlcs.iter().filter(|htlc| !htlc.incoming).count();
    u32::try_from(htlcs).unwrap_or(u32::MAX)
}
