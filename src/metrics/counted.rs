//! The counters of this process.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::labels::{Call, Ended, Request};
use strum::VariantArray;

use crate::{
    domain::{
        FailureReason, Millis, Msat, OperatorReason, Payment, Timestamp,
        payment::{PaidAfter, StateKind, Transition},
    },
    ports::Recorder,
};

/// For calls and requests: the buckets that OpenTelemetry recommends.
const CALL_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// From a claim to its payment: hold invoices can take days.
const PAYMENT_BUCKETS: [f64; 13] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 14_400.0, 86_400.0];

/// The state label of a payment that was closed as FAILED and that the node settled afterwards.
const LATE_SUCCESS: &str = "LATE_SUCCESS";
/// The reason label of a payment that was closed as FAILED and afterwards settled its request: it is PAID.
const AFTER_FAILURE: &str = "AFTER_FAILURE";
const NO_REASON: &str = "";

type Durations<L> = Family<L, Histogram, fn() -> Histogram>;

/// The counters of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Durations<Call>,
    requests: Durations<Request>,
    claims: Counter,
    payments: Family<Ended, Counter>,
    paid_msat: Counter,
    fees_msat: Counter,
    claim_to_paid: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All counters at zero.
    pub fn new() -> Self {
        let call_durations: fn() -> Histogram = || Histogram::new(CALL_BUCKETS);
        let metrics = Self {
            registry: Registry::default(),
            calls: Family::new_with_constructor(call_durations),
            requests: Family::new_with_constructor(call_durations),
            claims: Counter::default(),
            payments: Family::default(),
            paid_msat: Counter::default(),
            fees_msat: Counter::default(),
            claim_to_paid: Histogram::new(PAYMENT_BUCKETS),
        };
        // Prometheus's `increase` misses the first event of a counter that did not exist before it.
        for (state, reason) in ends() {
            drop(metrics.payments.get_or_create(&Ended { state, reason }));
        }
        metrics.registered()
    }

    fn registered(mut self) -> Self {
        let msat = || Unit::Other("msat".to_owned());
        let registry = &mut self.registry;
        registry.register_with_unit(
            "rpc_server_call_duration",
            "Calls over gRPC, from their headers to their status",
            Unit::Seconds,
            self.calls.clone(),
        );
        registry.register_with_unit(
            "withdrawd_lnurl_request_duration",
            "Requests of wallets",
            Unit::Seconds,
            self.requests.clone(),
        );
        registry.register("withdrawd_claims", "Claims accepted", self.claims.clone());
        registry.register(
            "withdrawd_payments",
            "Payments that this process moved to this state",
            self.payments.clone(),
        );
        registry.register_with_unit(
            "withdrawd_paid",
            "Amounts of the payments that were paid, late ones included",
            msat(),
            self.paid_msat.clone(),
        );
        registry.register_with_unit(
            "withdrawd_routing_fees",
            "Routing fees of these payments",
            msat(),
            self.fees_msat.clone(),
        );
        registry.register_with_unit(
            "withdrawd_claim_to_paid",
            "From an accepted claim to its payment",
            Unit::Seconds,
            self.claim_to_paid.clone(),
        );
        self
    }

    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Counts a gRPC call that has ended. `method` is one of ours, or the one name for all others.
    pub fn called(&self, method: &str, code: &'static str, took: Millis) {
        let rpc_method = method.to_owned();
        let call = Call { rpc_method, rpc_response_status_code: code };
        self.calls.get_or_create(&call).observe(seconds(took));
    }

    /// Counts an answer to a wallet.
    pub fn answered(&self, endpoint: &'static str, answer: &'static str, took: Millis) {
        self.requests.get_or_create(&Request { endpoint, answer }).observe(seconds(took));
    }

    fn ended(&self, state: &'static str, reason: &'static str) {
        self.payments.get_or_create(&Ended { state, reason }).inc();
    }

    fn paid(&self, payment: &Payment, fee: Msat, at: Timestamp) {
        self.paid_msat.inc_by(u64::try_from(payment.amount.get()).unwrap_or(0));
        self.fees_msat.inc_by(u64::try_from(fee.get()).unwrap_or(0));
        self.claim_to_paid.observe(seconds(at.since(payment.id.created())));
    }
}

/// In which states, and for which reasons, a payment can end or wait for an operator.
fn ends() -> impl Iterator<Item = (&'static str, &'static str)> {
    let (paid, failed) = (StateKind::Paid.name(), StateKind::Failed.name());
    let doubt = StateKind::NeedsOperator.name();
    [(paid, NO_REASON), (paid, AFTER_FAILURE), (LATE_SUCCESS, NO_REASON)]
        .into_iter()
        .chain(FailureReason::VARIANTS.iter().map(move |reason| (failed, reason.name())))
        .chain(OperatorReason::VARIANTS.iter().map(move |reason| (doubt, reason.name())))
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of centuries are exact")]
pub(super) fn seconds(span: Millis) -> f64 {
    span.as_ms().max(0) as f64 / 1000.0
}

impl Recorder for Metrics {
    fn claimed(&self) {
        self.claims.inc();
    }

    fn transition(&self, payment: &Payment, transition: Transition) {
        match transition {
            Transition::Paid { fee, at, after } => {
                let reason = match after {
                    PaidAfter::Open => NO_REASON,
                    PaidAfter::Failure | PaidAfter::LateSuccess => AFTER_FAILURE,
                };
                self.ended(StateKind::Paid.name(), reason);
                // Its amount and fee were counted with the late success.
                if after != PaidAfter::LateSuccess {
                    self.paid(payment, fee, at);
                }
            }
            Transition::LateSuccess { fee, at } => {
                self.ended(LATE_SUCCESS, NO_REASON);
                self.paid(payment, fee, at);
            }
            Transition::Failed(reason) => self.ended(StateKind::Failed.name(), reason.name()),
            Transition::NeedsOperator(reason) => {
                self.ended(StateKind::NeedsOperator.name(), reason.name());
            }
            Transition::Advanced(_) => {}
        }
    }
}
