//! Whether a payment's HTLC may be out, by what lnd tells of its channels.
//!
//! lnd lists a channel's HTLCs from its own commitment transaction. The peer's may hold one more, for
//! as long as the two are not through with an update: lnd hangs up on a peer that is not within a
//! minute, so that a channel which is active and at rest shows all. One whose peer is away does not, and
//! of a channel that closes no payment hash is told. Such a channel counts only if the payment was tried
//! through it: lnd stores every try before it makes it.

use super::proto::lnrpc::{Channel, HtlcAttempt, Payment, PendingChannelsResponse};
use crate::domain::PaymentHash;

/// `payment` is what lnd knows of it; where it knows nothing, every channel counts.
pub(super) fn may_be_out(
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
    payment.htlcs.iter().any(|attempt| match tried_through(attempt, channels) {
        Through::Open(channel) => !channel.active,
        // It has closed, or closes.
        Through::Other => is_closing,
        Through::Untold => true,
    })
}

enum Through<'a> {
    Open(&'a Channel),
    Other,
    Untold,
}

fn tried_through<'a>(attempt: &HtlcAttempt, channels: &'a [Channel]) -> Through<'a> {
    let Some(first) = attempt.route.as_ref().and_then(|route| route.hops.first()) else {
        return Through::Untold;
    };
    let open = channels.iter().find(|channel| {
        channel.chan_id == first.chan_id
            || channel.zero_conf_confirmed_scid == first.chan_id
            || channel.alias_scids.contains(&first.chan_id)
    });
    open.map_or(Through::Other, Through::Open)
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

    fn tried(chan_ids: &[u64]) -> Payment {
        let through = |&chan_id| HtlcAttempt {
            route: Some(Route { hops: vec![Hop { chan_id }, Hop { chan_id: 99 }] }),
            ..HtlcAttempt::default()
        };
        Payment { htlcs: chan_ids.iter().map(through).collect(), ..Payment::default() }
    }

    fn at_rest() -> PendingChannelsResponse {
        PendingChannelsResponse::default()
    }

    fn closing() -> [PendingChannelsResponse; 2] {
        let waiting_close_channels = vec![WaitingCloseChannel::default()];
        let pending_force_closing_channels = vec![ForceClosedChannel::default()];
        [
            PendingChannelsResponse { waiting_close_channels, ..at_rest() },
            PendingChannelsResponse { pending_force_closing_channels, ..at_rest() },
        ]
    }

    #[test]
    fn an_htlc_that_a_channel_shows_is_out_whatever_the_record_says() {
        for payment in [None, Some(&tried(&[])), Some(&tried(&[5]))] {
            let out = |channel| may_be_out(HASH, payment, &[channel], &at_rest());
            assert!(out(with_htlc(false, [7; 32])));
            assert!(!out(with_htlc(true, [7; 32])), "a peer's");
            assert!(!out(with_htlc(false, [8; 32])), "another payment's");
        }
    }

    #[test]
    fn a_channel_that_cannot_be_asked_counts_if_the_payment_was_tried_through_it() {
        let alias = Channel { alias_scids: vec![30, 31], ..channel(3, false) };
        let zero_conf = Channel { zero_conf_confirmed_scid: 40, ..channel(4, false) };
        let channels = [channel(1, true), channel(2, false), alias, zero_conf];
        let out = |tried_through: &[u64]| {
            may_be_out(HASH, Some(&tried(tried_through)), &channels, &at_rest())
        };
        assert!(!out(&[]));
        assert!(!out(&[1]));
        for away in [2, 3, 31, 4, 40] {
            assert!(out(&[1, away]), "{away}");
        }
        assert!(!out(&[77]), "closed and resolved");
        let untold = Payment { htlcs: vec![HtlcAttempt::default()], ..Payment::default() };
        assert!(may_be_out(HASH, Some(&untold), &channels, &at_rest()));
    }

    #[test]
    fn a_channel_that_closes_may_hold_what_was_tried_through_no_open_one() {
        for pending in closing() {
            let out =
                |chan_id| may_be_out(HASH, Some(&tried(&[chan_id])), &[channel(1, true)], &pending);
            assert!(!out(1));
            assert!(out(77));
        }
    }

    #[test]
    fn of_a_payment_that_the_node_does_not_know_every_channel_must_tell() {
        let out = |active, pending: &_| may_be_out(HASH, None, &[channel(1, active)], pending);
        assert!(!out(true, &at_rest()));
        assert!(out(false, &at_rest()));
        assert!(closing().iter().all(|pending| out(true, pending)));
    }
}
