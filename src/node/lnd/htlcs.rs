//! Whether an HTLC of a payment may be in flight, by lnd's list of channels.
//!
//! lnd lists a channel's HTLCs from its own commitment transaction. During an update, the peer's commitment
//! may hold one more. lnd disconnects a peer that does not complete the update within a minute, so an active
//! channel lists all its HTLCs in the end. An inactive channel may lack one, and for a closing channel lnd
//! gives no payment hashes. An HTLC attempt through an inactive or closing channel therefore counts as in
//! flight. lnd stores every attempt before it sends the HTLC, so a channel without an attempt has no HTLC.

use super::proto::lnrpc::{Channel, HtlcAttempt, Payment, PendingChannelsResponse};
use crate::domain::PaymentHash;

/// If lnd has no record of the payment, any channel may hold one of its HTLCs.
pub(super) fn may_be_in_flight(
    hash: PaymentHash,
    payment: Option<&Payment>,
    channels: &[Channel],
    pending: &PendingChannelsResponse,
) -> bool {
    let is_closing = !pending.waiting_close_channels.is_empty()
        || !pending.pending_force_closing_channels.is_empty();
    if channels.iter().any(|channel| shows(channel, hash)) {
        return true;
    }
    let Some(payment) = payment else {
        return is_closing || channels.iter().any(|channel| !channel.active);
    };
    payment.htlcs.iter().any(|attempt| match first_channel(attempt, channels) {
        FirstChannel::Open(channel) => !channel.active,
        FirstChannel::ClosingOrClosed => is_closing,
        FirstChannel::Unknown => true,
    })
}

enum FirstChannel<'a> {
    Open(&'a Channel),
    ClosingOrClosed,
    Unknown,
}

/// The channel through which an attempt left this node.
fn first_channel<'a>(attempt: &HtlcAttempt, channels: &'a [Channel]) -> FirstChannel<'a> {
    let Some(first) = attempt.route.as_ref().and_then(|route| route.hops.first()) else {
        return FirstChannel::Unknown;
    };
    let open = channels.iter().find(|channel| {
        channel.chan_id == first.chan_id
            || channel.zero_conf_confirmed_scid == first.chan_id
            || channel.alias_scids.contains(&first.chan_id)
    });
    open.map_or(FirstChannel::ClosingOrClosed, FirstChannel::Open)
}

fn shows(channel: &Channel, hash: PaymentHash) -> bool {
    channel.pending_htlcs.iter().any(|htlc| !htlc.incoming && htlc.hash_lock == hash.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::lnd::proto::lnrpc::{
        Hop, Htlc, Route,
        pending_channels_response::{ForceClosedChannel, WaitingCloseChannel},
    };

    const HASH: PaymentHash = PaymentHash::from_bytes([7; 32]);

    fn channel(chan_id: u64, active: bool) -> Channel {
        Channel { active, chan_id, ..Channel::default() }
    }

    fn with_htlc(incoming: bool, hash: [u8; 32]) -> Channel {
        let pending_htlcs = vec![Htlc { incoming, hash_lock: hash.to_vec() }];
        Channel { pending_htlcs, ..channel(1, true) }
    }

    fn attempted(chan_ids: &[u64]) -> Payment {
        let through = |&chan_id| HtlcAttempt {
            route: Some(Route { hops: vec![Hop { chan_id }, Hop { chan_id: 99 }] }),
            ..HtlcAttempt::default()
        };
        Payment { htlcs: chan_ids.iter().map(through).collect(), ..Payment::default() }
    }

    fn none_closing() -> PendingChannelsResponse {
        PendingChannelsResponse::default()
    }

    fn closing() -> [PendingChannelsResponse; 2] {
        let waiting_close_channels = vec![WaitingCloseChannel::default()];
        let pending_force_closing_channels = vec![ForceClosedChannel::default()];
        [
            PendingChannelsResponse { waiting_close_channels, ..none_closing() },
            PendingChannelsResponse { pending_force_closing_channels, ..none_closing() },
        ]
    }

    #[test]
    fn a_listed_htlc_is_in_flight_whatever_the_record_says() {
        for payment in [None, Some(&attempted(&[])), Some(&attempted(&[5]))] {
            let in_flight = |channel| may_be_in_flight(HASH, payment, &[channel], &none_closing());
            assert!(in_flight(with_htlc(false, [7; 32])));
            assert!(!in_flight(with_htlc(true, [7; 32])), "incoming");
            assert!(!in_flight(with_htlc(false, [8; 32])), "another payment's");
        }
    }

    #[test]
    fn an_inactive_channel_counts_if_it_was_attempted() {
        let alias = Channel { alias_scids: vec![30, 31], ..channel(3, false) };
        let zero_conf = Channel { zero_conf_confirmed_scid: 40, ..channel(4, false) };
        let channels = [channel(1, true), channel(2, false), alias, zero_conf];
        let in_flight = |first_channels: &[u64]| {
            may_be_in_flight(HASH, Some(&attempted(first_channels)), &channels, &none_closing())
        };
        assert!(!in_flight(&[]));
        assert!(!in_flight(&[1]));
        for inactive in [2, 3, 31, 4, 40] {
            assert!(in_flight(&[1, inactive]), "{inactive}");
        }
        assert!(!in_flight(&[77]), "closed and resolved");
        let unknown = Payment { htlcs: vec![HtlcAttempt::default()], ..Payment::default() };
        assert!(may_be_in_flight(HASH, Some(&unknown), &channels, &none_closing()));
    }

    #[test]
    fn a_closing_channel_may_hold_an_attempt_through_no_open_one() {
        for pending in closing() {
            let in_flight = |chan_id| {
                may_be_in_flight(HASH, Some(&attempted(&[chan_id])), &[channel(1, true)], &pending)
            };
            assert!(!in_flight(1));
            assert!(in_flight(77));
        }
    }

    #[test]
    fn for_an_unknown_payment_every_channel_counts() {
        let in_flight =
            |active, pending: &_| may_be_in_flight(HASH, None, &[channel(1, active)], pending);
        assert!(!in_flight(true, &none_closing()));
        assert!(in_flight(false, &none_closing()));
        assert!(closing().iter().all(|pending| in_flight(true, pending)));
    }
}
