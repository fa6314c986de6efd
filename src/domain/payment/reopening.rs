//! When a failed attempt releases its request, by what the node itself enforces.

use super::Payment;
use crate::domain::{Millis, Timestamp};

/// What determines when a failed attempt releases its request.
#[derive(Clone, Copy, Debug)]
pub struct Reopening {
    /// The node itself refuses a send after its deadline.
    pub node_refuses_late_sends: bool,
    /// The node itself refuses to pay an expired invoice.
    pub node_refuses_expired_invoices: bool,
    /// The maximum difference between clocks.
    pub clock_skew: Millis,
    /// How long after a failure the request can be claimed again, even past its expiry.
    pub claim_grace: Millis,
}

impl Reopening {
    pub(super) fn reopens_at(&self, payment: &Payment, now: Timestamp) -> Timestamp {
        if self.node_refuses_late_sends || payment.sends.is_empty() {
            now
        } else if self.node_refuses_expired_invoices {
            payment.invoice_expires_at.plus(self.clock_skew).max(now)
        } else {
            Timestamp::MAX
        }
    }

    /// The instant after which a send committed now can no longer take effect at the node.
    pub fn send_deadline(&self, payment: &Payment, now: Timestamp, life: Millis) -> Timestamp {
        if self.node_refuses_late_sends {
            now.plus(life)
        } else if self.node_refuses_expired_invoices {
            payment.invoice_expires_at
        } else {
            Timestamp::MAX
        }
    }
}
