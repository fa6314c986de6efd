//! `[payments]`: which invoices are accepted, how they are sent, and how often the node is asked.

use serde::Deserialize;

use super::{Config, check::Check};
use crate::{
    domain::{
        ClaimRules, FeePolicy, InvoiceRules, Millis, Msat, Network,
        payment::{AfterFailure, Pace, SendLimits},
    },
    integrity::VerifierOptions,
    jobs::{ExpiryOptions, HeartbeatOptions},
    lookup::LookupOptions,
    payer::PayerOptions,
};

/// The most time between the creation of an attempt and its commit: far above every timeout of a claim.
const COMMIT_DELAY: Millis = Millis::from_secs(120);
/// How long the verifier takes to find a server, in addition to the database's timeouts: it waits a little
/// longer for the answer, and the next run comes a moment later.
const TIME_TO_FIND_A_SERVER: Millis = Millis::from_secs(3);

/// `[payments]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Payments {
    pub fee_ppm: i64,
    pub fee_floor_msat: i64,
    pub cltv_limit: i64,
    pub min_invoice_life_at_send_s: i64,
    pub max_route_hints: i64,
    pub send_for_s: i64,
    pub send_life_ms: i64,
    pub clock_skew_ms: i64,
    pub node_slack_ms: i64,
    pub max_send_refusals: i64,
    pub answer_overdue_ms: i64,
    pub doubt_after_s: i64,
    pub max_sending: i64,
    pub max_following: i64,
    pub max_in_flight_per_channel: i64,
    pub lease_ms: i64,
    pub poll_ms: i64,
    pub first_look_ms: i64,
    pub slowest_look_ms: i64,
    pub fresh_for_s: i64,
    pub slow_look_s: i64,
    pub late_looks_s: [i64; 2],
    pub claim_grace_s: i64,
    pub expiry_poll_ms: i64,
}

impl Payments {
    pub(super) fn check_cltv_limit(&self, check: &mut Check) -> u32 {
        check.number("payments.cltv_limit", self.cltv_limit, &(1..=i64::from(i32::MAX)))
    }

    fn check_pace(&self, check: &mut Check) -> Pace {
        let [first_late, second_late] = self.late_looks_s;
        let after_failure = AfterFailure {
            first: check.s("payments.late_looks_s", first_late),
            second: check.s("payments.late_looks_s", second_late),
        };
        if first_late >= second_late {
            check.refuse("payments.late_looks_s", "must be in rising order");
        }
        Pace {
            first: check.ms("payments.first_look_ms", self.first_look_ms),
            slowest: check.ms("payments.slowest_look_ms", self.slowest_look_ms),
            fresh_for: check.s("payments.fresh_for_s", self.fresh_for_s),
            slow: check.s("payments.slow_look_s", self.slow_look_s),
            after_failure,
        }
    }

    fn check_send_limits(&self, check: &mut Check) -> SendLimits {
        SendLimits {
            clock_skew: check.ms("payments.clock_skew_ms", self.clock_skew_ms),
            node_slack: check.ms("payments.node_slack_ms", self.node_slack_ms),
            max_refusals: check.count("payments.max_send_refusals", self.max_send_refusals),
            doubt_after: check.s("payments.doubt_after_s", self.doubt_after_s),
        }
    }
}

impl Config {
    pub(super) fn check_claim_rules(&self, network: Network, check: &mut Check) -> ClaimRules {
        let payments = &self.payments;
        let min_life_at_send =
            check.s("payments.min_invoice_life_at_send_s", payments.min_invoice_life_at_send_s);
        let send_life = check.ms("payments.send_life_ms", payments.send_life_ms);
        let clock_skew = check.ms("payments.clock_skew_ms", payments.clock_skew_ms);
        let max_route_hints =
            check.within("payments.max_route_hints", payments.max_route_hints, &(0..=1_000_000));
        let floor =
            check.within("payments.fee_floor_msat", payments.fee_floor_msat, &(0..=i64::MAX));
        ClaimRules {
            invoice: InvoiceRules {
                network,
                // What must be left when it is sent, plus the time that the first send may take, plus the
                // clock skew.
                min_life: min_life_at_send.plus(send_life).plus(clock_skew),
                cltv_limit: payments.check_cltv_limit(check),
                max_route_hints: usize::try_from(max_route_hints).unwrap_or_default(),
            },
            fees: FeePolicy {
                // A share of the amount: all of it at most.
                ppm: check.number("payments.fee_ppm", payments.fee_ppm, &(0..=1_000_000)),
                floor: Msat::new(floor).unwrap_or(Msat::ZERO),
            },
            send_for: check.s("payments.send_for_s", payments.send_for_s),
            min_life_at_send,
            paying: self.check_paying_limits(check),
        }
    }

    pub(super) fn check_payer(&self, check: &mut Check) -> PayerOptions {
        let payments = &self.payments;
        let lookup = LookupOptions {
            limits: payments.check_send_limits(check),
            send_life: check.ms("payments.send_life_ms", payments.send_life_ms),
            answer_overdue: check.ms("payments.answer_overdue_ms", payments.answer_overdue_ms),
            pace: payments.check_pace(check),
            claim_grace: check.s("payments.claim_grace_s", payments.claim_grace_s),
            paying: self.check_paying_limits(check),
        };
        let lease = check.ms("payments.lease_ms", payments.lease_ms);
        if lease <= lookup.pace.fresh_for {
            check.refuse("payments.lease_ms", "must be longer than fresh_for_s");
        }
        PayerOptions {
            lookup,
            lease,
            max_sending: check.count("payments.max_sending", payments.max_sending),
            max_following: check.count("payments.max_following", payments.max_following),
        }
    }

    pub(super) fn check_verifier(&self, check: &mut Check) -> VerifierOptions {
        let limits = self.payments.check_send_limits(check);
        let send_life = check.ms("payments.send_life_ms", self.payments.send_life_ms);
        let timeouts = self.store.check_timeouts(check);
        let one_run = timeouts.acquire.plus(timeouts.statement).plus(TIME_TO_FIND_A_SERVER);
        VerifierOptions {
            node_is_shared: self.node.shared,
            // Two runs: the first may be spent on a dead connection.
            patience: one_run.plus(one_run),
            commit_delay: COMMIT_DELAY.plus(limits.clock_skew),
            hold: send_life.plus(limits.clock_skew).plus(limits.node_slack),
        }
    }

    pub(super) fn check_heartbeat(
        &self,
        rules: &ClaimRules,
        check: &mut Check,
    ) -> HeartbeatOptions {
        HeartbeatOptions {
            limits: rules.paying,
            fees: rules.fees,
            answer_overdue: check.ms("payments.answer_overdue_ms", self.payments.answer_overdue_ms),
            every: self.node.check_heartbeat(check).every,
        }
    }

    pub(super) fn check_expiry(&self, payer: &PayerOptions, check: &mut Check) -> ExpiryOptions {
        let LookupOptions { pace, limits, .. } = payer.lookup;
        let longest = pace.slow.max(pace.slowest).max(payer.lease);
        ExpiryOptions {
            // Enough for the jitter, and some more.
            reach: longest.plus(longest).plus(limits.clock_skew),
            every: check.ms("payments.expiry_poll_ms", self.payments.expiry_poll_ms),
        }
    }
}
