//! What wallets may do: read an offer, and claim it with an invoice.

mod error;

use std::sync::Arc;

use super::{Notifier, failure::finished};
use crate::{
    domain::{
        Claim, ClaimRules, InstanceStatus, PaymentId, Presented, PublicUrl, Refusal, Sat, Secret,
        Timestamp, WithdrawView,
    },
    ports::{ClaimOutcome, PublicStore, Recorder, StoreError},
    runtime::Runtime,
    trace,
};

pub use error::ClaimError;

/// How often to try while the request keeps changing. By then another claim has won.
const TRIES: usize = 10;

/// What the first GET answers (LUD-03).
#[derive(Clone, Debug)]
pub struct Offer {
    /// Where to send the invoice.
    pub callback: String,
    /// The bearer secret.
    pub k1: Secret,
    /// The request's memo.
    pub default_description: String,
    /// The least that can be withdrawn.
    pub min: Sat,
    /// The most that can be withdrawn: the request's maximum, or what can be paid now if that is less.
    pub max: Sat,
}

/// The public side's use cases.
#[derive(Clone)]
pub struct ClaimService {
    store: Arc<dyn PublicStore>,
    rules: ClaimRules,
    public_url: PublicUrl,
    runtime: Runtime,
    notifier: Notifier,
    recorder: Arc<dyn Recorder>,
}

impl ClaimService {
    /// Use cases over this store; `notifier` is notified after each accepted claim.
    pub fn new(
        store: Arc<dyn PublicStore>,
        rules: ClaimRules,
        public_url: PublicUrl,
        runtime: Runtime,
        notifier: Notifier,
        recorder: Arc<dyn Recorder>,
    ) -> Self {
        Self { store, rules, public_url, runtime, notifier, recorder }
    }

    /// The first GET. Changes nothing.
    pub async fn offer(&self, secret: &str) -> Result<Offer, ClaimError> {
        let Some(k1) = Secret::from_wallet(secret) else {
            return Err(Refusal::Unknown.into());
        };
        let Some(view) = self.store.by_secret(&k1.hash()).await? else {
            return Err(Refusal::Unknown.into());
        };
        trace::link_create(&view.withdraw);
        let now = self.runtime.clock.now();
        if let Some(why) = view.withdraw.unclaimable(now) {
            return Err(Refusal::Unclaimable(why, now).into());
        }
        let terms = view.withdraw.terms;
        let status = self.instance_status(now).await?;
        let bounds = terms.bounds();
        let most = self.rules.most_now(&status, bounds, now)?;
        Ok(Offer {
            callback: self.public_url.callback(),
            k1,
            default_description: terms.memo,
            min: terms.target_min,
            max: most,
        })
    }

    /// The callback. OK means that the invoice is reserved, durably, and will be paid once or reported as
    /// failed. Runs to its end even if the wallet hangs up.
    pub async fn claim(&self, k1: &str, pr: &str) -> Result<(), ClaimError> {
        let Some(secret) = Secret::from_wallet(k1) else {
            return Err(Refusal::Unknown.into());
        };
        let presented = match Presented::read(pr) {
            Ok(presented) => presented,
            Err(fault) => return Err(self.refuse(&secret, fault).await),
        };
        let service = self.clone();
        let work = async move { service.decide(&secret, &presented).await };
        finished(self.runtime.detached(work)).await
    }

    /// The refusal of an unreadable invoice. If the link is unknown or cannot be claimed, that is the reason
    /// instead: a new invoice would not help.
    async fn refuse(&self, secret: &Secret, fault: Refusal) -> ClaimError {
        let view = match self.store.by_secret(&secret.hash()).await {
            Ok(Some(view)) => view,
            Ok(None) => return Refusal::Unknown.into(),
            Err(error) => return error.into(),
        };
        trace::link_create(&view.withdraw);
        let now = self.runtime.clock.now();
        let why = view.withdraw.unclaimable(now);
        why.map_or(fault, |why| Refusal::Unclaimable(why, now)).into()
    }

    async fn decide(&self, secret: &Secret, presented: &Presented) -> Result<(), ClaimError> {
        let mut doubtful: Option<Claim> = None;
        for tries in 0..TRIES {
            let Some(view) = self.store.by_secret(&secret.hash()).await? else {
                return Err(Refusal::Unknown.into());
            };
            if tries == 0 {
                trace::link_create(&view.withdraw);
            }
            if presented.is_repeat(&view) {
                // If it is the claim of an earlier try whose COMMIT answer was lost, that COMMIT succeeded:
                // only now can it be reported.
                let id = view.payment.as_ref().map(|payment| payment.id);
                let written = |claim: &Claim| id == Some(claim.payment.id);
                if let Some(claim) = doubtful.filter(written) {
                    self.accepted(&claim);
                }
                return Ok(());
            }
            let claim = self.judge(view, presented).await?;
            match self.store.claim(&claim).await {
                Ok(ClaimOutcome::Accepted) => {
                    self.accepted(&claim);
                    return Ok(());
                }
                Ok(ClaimOutcome::HashUsed) => return Err(Refusal::InvoiceUsed.into()),
                Ok(ClaimOutcome::Halted(halt)) => return Err(Refusal::CannotPay(halt).into()),
                // Read it again: a faster claim may have come with the same invoice, and a COMMIT whose
                // answer was lost may have succeeded.
                Err(StoreError::Unknown(_)) => doubtful = Some(claim),
                Ok(ClaimOutcome::Stale) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Stale.into())
    }

    async fn judge(&self, view: WithdrawView, presented: &Presented) -> Result<Claim, ClaimError> {
        let now = self.runtime.clock.now();
        let status = self.instance_status(now).await?;
        let payment = PaymentId::new(now, &self.runtime.id_bits());
        let claim = presented.claim(view, &self.rules, &status, payment, now)?;
        Ok(claim.traced(trace::current()))
    }

    async fn instance_status(&self, now: Timestamp) -> Result<InstanceStatus, StoreError> {
        self.store
            .instance_status(self.rules.paying.clock_skew, self.rules.allowance_since(now))
            .await
    }

    fn accepted(&self, claim: &Claim) {
        let payment = &claim.payment;
        tracing::info!(
            withdraw = %payment.withdraw,
            payment = %payment.id,
            payment_hash = %payment.payment_hash,
            amount_msat = payment.amount.get(),
            "claimed"
        );
        self.recorder.claimed();
        self.notifier.notify();
    }
}
