//! `[limits]`: what may be paid out.

use serde::Deserialize;

use super::Config;
use super::check::Check;
use crate::domain::PayingLimits;

/// The HTLC slots of a channel (BOLT2).
const HTLC_SLOTS: i64 = 483;

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Limits {
    pub max_amount_sat: i64,
    pub rolling_24h_sat: i64,
}

impl Config {
    /// What the whole instance may pay.
    pub(super) fn check_paying_limits(&self, check: &mut Check) -> PayingLimits {
        let (limits, payments) = (&self.limits, &self.payments);
        let per_channel =
            ("payments.max_in_flight_per_channel", payments.max_in_flight_per_channel);
        PayingLimits {
            heartbeat_stale: self.node.check_heartbeat(check).stale,
            clock_skew: check.ms("payments.clock_skew_ms", payments.clock_skew_ms),
            max_amount: check.limit("limits.max_amount_sat", limits.max_amount_sat),
            rolling_24h: check.limit("limits.rolling_24h_sat", limits.rolling_24h_sat),
            max_in_flight_per_channel: check.within(
                per_channel.0,
                per_channel.1,
                &(1..=HTLC_SLOTS),
            ),
        }
    }
}
