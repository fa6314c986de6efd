//! The withdraw request: its terms, its status, and every change to it.
//!
//! A change is a value: the next state of the request and its event. The store writes both or neither,
//! and only if the row still has the version that was read.

mod draft;
mod field;
mod order;
mod pass_thru;
mod quote;
mod status;
mod terms;
#[cfg(test)]
pub(crate) mod tests;

pub use draft::{Draft, DraftTtl, REQUEST_ID_RULE, is_request_id};
pub use field::WithdrawField;
pub use order::Order;
pub use pass_thru::{PassThru, PassThruFault};
pub use quote::{Quote, Rate};
pub use status::{Attempt, Hold, NotDeactivatable, Status, Unclaimable};
pub use terms::Terms;

use crate::domain::{
    Actor, Event, EventKind, FailureReason, KeyId, Millis, OperatorReason, PaymentId, SecretHash,
    Timestamp, TraceContext, WithdrawId,
};

/// A withdraw request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Withdraw {
    /// Its timestamp is when it was created.
    pub id: WithdrawId,
    /// Incremented by every change; each write names the version that it read.
    pub version: i64,
    /// The caller's idempotency key.
    pub request_id: Option<String>,
    /// The caller that `request_id` belongs to: [`crate::domain::Principal::caller`].
    pub caller: String,
    /// The terms that were requested.
    pub terms: Terms,
    /// The key that its secret derives from.
    pub key: KeyId,
    /// The hash that the secret is found by.
    pub secret_hash: SecretHash,
    /// Its status.
    pub status: Status,
    /// `created` + ttl. Never changes.
    pub expires_at: Timestamp,
    /// No claim from this instant on: `expires_at`, or later if a grace period follows a failed
    /// payment.
    pub claimable_until: Timestamp,
    /// No claim before this instant. Set while the node might still pay the last attempt's invoice.
    pub reopens_at: Option<Timestamp>,
    /// A copy of [`Self::unclaimable`]'s result for the index; the expiry job updates it.
    pub claimable: bool,
    /// The open or last attempt.
    pub attempt: Option<Attempt>,
    /// An attempt that was closed as failed was paid after all while another one was open. Unless the
    /// other one is paid, too, that late payment is the one that pays this request, so the request
    /// stays closed to claims.
    pub late_success: bool,
    /// Created before the database was restored, which may have lost a payment of it. Nothing is
    /// claimed or sent until an operator releases it.
    pub withheld: bool,
    /// When it last changed.
    pub modified: Timestamp,
    /// The trace context of the call that created it.
    pub trace_parent: Option<TraceContext>,
}

/// A change of a request: its next state and the event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The request after the change; its version is one above the row's.
    pub next: Withdraw,
    /// The event, with the version of `next`.
    pub event: Event,
}

impl Change {
    /// The same, decided by this actor.
    #[must_use]
    pub fn signed(mut self, by: Actor) -> Self {
        self.event.by = Some(by);
        self
    }
}

impl Withdraw {
    /// A new request.
    pub fn new(
        id: WithdrawId,
        request_id: Option<String>,
        terms: Terms,
        key: KeyId,
        secret_hash: SecretHash,
    ) -> Self {
        let expires_at = id.created().plus(Millis::from_secs(terms.ttl_s));
        Self {
            id,
            version: 1,
            request_id,
            caller: String::new(),
            terms,
            key,
            secret_hash,
            status: Status::Active,
            expires_at,
            claimable_until: expires_at,
            reopens_at: None,
            claimable: true,
            attempt: None,
            late_success: false,
            withheld: false,
            modified: id.created(),
            trace_parent: None,
        }
    }

    /// The event of its creation.
    pub const fn created_event(&self) -> Event {
        Event {
            withdraw: self.id,
            version: self.version,
            kind: EventKind::Created,
            payment: None,
            detail: None,
            at: self.modified,
            by: None,
        }
    }

    /// Why it cannot be claimed at this instant; None if it can be.
    pub fn unclaimable(&self, now: Timestamp) -> Option<Unclaimable> {
        match self.status {
            Status::Paid => return Some(Unclaimable::AlreadyPaid),
            Status::Deactivated => return Some(Unclaimable::AlreadyDeactivated),
            Status::Active => {}
        }
        match self.attempt.map(|attempt| attempt.hold) {
            Some(Hold::Open) => return Some(Unclaimable::PaymentInFlight),
            Some(Hold::InDoubt) => return Some(Unclaimable::NeedsOperator),
            // Paid late, but not recorded as PAID yet: the payer is about to do that.
            Some(Hold::Released) | None if self.late_success => {
                return Some(Unclaimable::NeedsOperator);
            }
            Some(Hold::Released) | None if self.withheld => {
                return Some(Unclaimable::NeedsOperator);
            }
            Some(Hold::Released) | None => {}
        }
        match self.reopens_at {
            Some(at) if now < at => Some(Unclaimable::ReopensLater(at)),
            _ if now >= self.claimable_until => Some(Unclaimable::AlreadyExpired),
            _ => None,
        }
    }

    /// Accepts an invoice: from then on nobody else can claim.
    pub fn claim(self, payment: PaymentId, now: Timestamp) -> Result<Change, Unclaimable> {
        if let Some(why) = self.unclaimable(now) {
            return Err(why);
        }
        let attempt = Some(Attempt { id: payment, hold: Hold::Open });
        let next = Self { attempt, reopens_at: None, ..self };
        Ok(next.changed(EventKind::Claimed, Some(payment), None, now))
    }

    /// Records that the payee has the money. `payment` is the open attempt, or a failed one that was
    /// paid late while the request was free.
    pub fn pay(self, payment: PaymentId, now: Timestamp) -> Change {
        let attempt = Some(Attempt { id: payment, hold: Hold::Released });
        let next =
            Self { status: Status::Paid, attempt, reopens_at: None, withheld: false, ..self };
        next.changed(EventKind::Paid, Some(payment), None, now)
    }

    /// Records that the open attempt failed. The request reopens at `reopens_at`, for at least `grace`.
    pub fn reopen(
        self,
        payment: PaymentId,
        reason: FailureReason,
        reopens_at: Timestamp,
        grace: Millis,
        now: Timestamp,
    ) -> Change {
        let must_wait = reopens_at > now;
        // Only once: a claim made within the grace period does not extend it, or it would never end.
        let claimable_until = if payment.created() < self.expires_at {
            self.claimable_until.max(reopens_at.max(now).plus(grace))
        } else {
            self.claimable_until
        };
        let next = Self {
            attempt: Some(Attempt { id: payment, hold: Hold::Released }),
            reopens_at: (must_wait && !self.late_success).then_some(reopens_at),
            claimable_until,
            ..self
        };
        next.changed(EventKind::PaymentFailed, Some(payment), Some(reason.name()), now)
    }

    /// Records that the open attempt is in doubt.
    pub fn doubt(self, payment: PaymentId, reason: OperatorReason, now: Timestamp) -> Change {
        let attempt = Some(Attempt { id: payment, hold: Hold::InDoubt });
        let next = Self { attempt, ..self };
        next.changed(EventKind::NeedsOperator, Some(payment), Some(reason.name()), now)
    }

    /// Records that a closed attempt was paid after all, while the request was not free.
    pub fn note_late_success(self, payment: PaymentId, now: Timestamp) -> Change {
        Self { late_success: true, ..self }.changed(
            EventKind::LateSuccess,
            Some(payment),
            None,
            now,
        )
    }

    /// Withholds the request after a database restore, which may have lost a payment of it. None if
    /// nothing changes.
    pub fn withhold(self, now: Timestamp) -> Option<Change> {
        if self.status != Status::Active || self.withheld {
            return None;
        }
        let next = Self { withheld: true, ..self };
        Some(next.changed(EventKind::Withheld, None, None, now))
    }

    /// Releases a withheld request: an operator found that it was not paid. None if nothing changes.
    pub fn release(self, by: Actor, now: Timestamp) -> Option<Change> {
        if !self.withheld {
            return None;
        }
        let next = Self { withheld: false, ..self };
        Some(next.changed(EventKind::Released, None, None, now).signed(by))
    }

    /// Deactivates the request for its creator, even if it has expired. None if it is deactivated
    /// already.
    pub fn deactivate(mut self, now: Timestamp) -> Result<Option<Change>, NotDeactivatable> {
        // Safe for a withheld request: it ensures that nothing more is paid.
        self.withheld = false;
        match self.unclaimable(now) {
            Some(Unclaimable::AlreadyPaid) => Err(NotDeactivatable::AlreadyPaid),
            Some(Unclaimable::PaymentInFlight) => Err(NotDeactivatable::PaymentInFlight),
            Some(Unclaimable::NeedsOperator) => Err(NotDeactivatable::NeedsOperator),
            Some(Unclaimable::AlreadyDeactivated) => Ok(None),
            Some(Unclaimable::AlreadyExpired | Unclaimable::ReopensLater(_)) | None => {
                let next = Self { status: Status::Deactivated, reopens_at: None, ..self };
                Ok(Some(next.changed(EventKind::Deactivated, None, None, now)))
            }
        }
    }

    /// Brings [`Self::claimable`] up to date once the request has expired or reopened: the work of the
    /// expiry job. None if nothing changes.
    pub fn refresh_claimable(self, now: Timestamp) -> Option<Change> {
        match (self.claimable, self.unclaimable(now)) {
            // Includes a request that reopened and expired between two runs of the job.
            (claimable, Some(Unclaimable::AlreadyExpired))
                if claimable || self.reopens_at.is_some() =>
            {
                let next = Self { reopens_at: None, ..self };
                Some(next.changed(EventKind::Expired, None, None, now))
            }
            (false, None) => {
                let next = Self { reopens_at: None, ..self };
                Some(next.changed(EventKind::Reopened, None, None, now))
            }
            (true | false, _) => None,
        }
    }

    fn changed(
        mut self,
        kind: EventKind,
        payment: Option<PaymentId>,
        detail: Option<&'static str>,
        now: Timestamp,
    ) -> Change {
        self.version += 1;
        self.claimable = self.unclaimable(now).is_none();
        // A clock that was set back must not make a change older than the one before.
        self.modified = self.modified.max(now);
        let at = self.modified;
        let (withdraw, version) = (self.id, self.version);
        let event = Event { withdraw, version, kind, payment, detail, at, by: None };
        Change { next: self, event }
    }
}
