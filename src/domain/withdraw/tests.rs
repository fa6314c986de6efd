//! The life of a withdraw request, from its creation to its end.

use crate::domain::{
    Amount, Attempt, Change, Currency, EventKind, FailureReason, Hold, MasterKey, Millis,
    NotDeactivatable, OperatorReason, PaymentId, Sat, SecretHash, Status, Terms, Timestamp,
    Unclaimable, Withdraw, WithdrawId,
};

/// When the request of these tests was created.
pub(crate) const MADE: Timestamp = Timestamp::from_ms(1_700_000_000_000);
const TTL: Millis = Millis::from_secs(3600);
const GRACE: Millis = Millis::from_secs(600);

/// A fresh request for 5 to 10 sats, claimable for an hour.
pub(crate) fn request() -> Withdraw {
    let terms = Terms {
        min_amount: Amount::ONE,
        max_amount: Amount::ONE,
        currency: Currency::Sats,
        target_currency: Currency::Sats,
        exchange_rate: Amount::ONE,
        ttl_s: TTL.as_ms() / 1000,
        target_min: Sat::new(5).unwrap(),
        target_max: Sat::new(10).unwrap(),
        memo: String::new(),
        statement_descriptor: None,
        pass_thru: None,
    };
    let id = WithdrawId::new(MADE, &[1; 10]);
    let key = MasterKey::from_bytes([1; 32]).id();
    Withdraw::new(id, None, terms, key, SecretHash::from_bytes([2; 32]))
}

/// An attempt whose invoice was accepted `s` seconds after the request was created.
pub(crate) fn attempt_at(s: i64) -> PaymentId {
    PaymentId::new(at(s), &[3; 10])
}

/// The instant `s` seconds after the request was created.
pub(crate) fn at(s: i64) -> Timestamp {
    MADE.plus(Millis::from_secs(s))
}

fn claimed() -> Withdraw {
    request().claim(attempt_at(10), at(10)).unwrap().next
}

fn failed_at(s: i64, reopens_at: Timestamp) -> Change {
    let reason = FailureReason::NoRoute;
    claimed().reopen(attempt_at(10), reason, reopens_at, GRACE, at(s))
}

fn paid() -> Withdraw {
    claimed().pay(attempt_at(10), at(20)).next
}

fn in_doubt() -> Withdraw {
    claimed().doubt(attempt_at(10), OperatorReason::Vanished, at(20)).next
}

fn deactivated() -> Withdraw {
    request().deactivate(at(20)).unwrap().unwrap().next
}

/// A request whose attempt failed, and that waits for the old invoice to expire at second 1,000.
fn waiting() -> Withdraw {
    failed_at(20, at(1000)).next
}

#[test]
fn a_fresh_request_is_claimable_until_the_instant_of_its_expiry() {
    let fresh = request();
    assert_eq!(fresh.created_event().version, fresh.version);
    assert_eq!(fresh.expires_at, MADE.plus(TTL));
    assert_eq!(fresh.unclaimable(MADE), None);

    let last = fresh.expires_at.minus(Millis::from_ms(1));
    assert_eq!(fresh.unclaimable(last), None);
    assert!(fresh.clone().claim(attempt_at(10), last).is_ok());
    let expired = Some(Unclaimable::AlreadyExpired);
    assert_eq!(fresh.unclaimable(fresh.expires_at), expired);
}

#[test]
fn a_claim_excludes_all_others() {
    let change = request().claim(attempt_at(10), at(10)).unwrap();
    assert_eq!(change.event.kind, EventKind::Claimed);
    assert_eq!(change.event.payment, Some(attempt_at(10)));

    let held = change.next;
    let attempt = Attempt { id: attempt_at(10), hold: Hold::Open };
    assert_eq!(held.attempt, Some(attempt));
    assert!(!held.claimable);
    let second = held.claim(attempt_at(11), at(11));
    assert_eq!(second.unwrap_err(), Unclaimable::PaymentInFlight);
}

#[test]
fn a_claim_is_refused_with_the_reason_for_each_status() {
    let later = Unclaimable::ReopensLater(at(1000));
    for (withdraw, why) in [
        (claimed(), Unclaimable::PaymentInFlight),
        (in_doubt(), Unclaimable::NeedsOperator),
        (paid(), Unclaimable::AlreadyPaid),
        (deactivated(), Unclaimable::AlreadyDeactivated),
        (waiting(), later),
    ] {
        assert_eq!(withdraw.clone().claim(attempt_at(30), at(30)), Err(why));
        // Long after its expiry the reason is the same: a status or an attempt takes precedence.
        if why != later {
            assert_eq!(withdraw.unclaimable(at(100_000)), Some(why));
        }
    }
}

/// A payee whose payment failed needs time for another try: there is a grace period, even past the
/// expiry.
#[test]
fn a_failure_reopens_the_request_for_a_grace_period_past_its_expiry() {
    let change = failed_at(4000, at(4000));
    assert_eq!(change.event.kind, EventKind::PaymentFailed);
    assert_eq!(change.event.detail, Some("NO_ROUTE"));

    let open = change.next;
    assert!(open.claimable);
    assert_eq!(open.reopens_at, None);
    assert_eq!(open.expires_at, MADE.plus(TTL), "never changes");
    assert_eq!(open.unclaimable(at(4599)), None);
    let expired = Some(Unclaimable::AlreadyExpired);
    assert_eq!(open.unclaimable(at(4600)), expired);
}

#[test]
fn the_grace_period_never_shortens_the_time_to_claim() {
    let open = failed_at(20, at(20)).next;
    assert_eq!(open.claimable_until, MADE.plus(TTL));
}

#[test]
fn a_request_can_wait_for_an_old_invoice_and_then_reopens() {
    let waiting = waiting();
    assert!(!waiting.claimable);
    let later = Some(Unclaimable::ReopensLater(at(1000)));
    assert_eq!(waiting.unclaimable(at(999)), later);
    assert_eq!(waiting.clone().refresh_claimable(at(999)), None);
    // Claims do not depend on the `claimable` column, which may be out of date.
    assert_eq!(waiting.unclaimable(at(1000)), None);

    let open = waiting.refresh_claimable(at(1000)).unwrap();
    assert_eq!(open.event.kind, EventKind::Reopened);
    assert!(open.next.claimable);
    assert_eq!(open.next.reopens_at, None);
}

/// The node cannot be prevented from paying the old invoice, so no reopening time is known.
#[test]
fn a_request_that_never_reopens_can_only_be_deactivated() {
    let shut = failed_at(20, Timestamp::MAX).next;
    let never = Some(Unclaimable::ReopensLater(Timestamp::MAX));
    assert_eq!(shut.unclaimable(at(1_000_000_000)), never);
    assert_eq!(shut.clone().refresh_claimable(at(1_000_000_000)), None);
    assert_eq!(shut.claimable_until, Timestamp::MAX);
    let ended = shut.deactivate(at(30)).unwrap().unwrap().next;
    assert_eq!(ended.reopens_at, None);
}

#[test]
fn an_unheld_request_can_be_deactivated() {
    let expired = request();
    let reopened = failed_at(20, at(20)).next;
    for (free, now) in
        [(request(), at(20)), (expired, at(100_000)), (waiting(), at(30)), (reopened, at(30))]
    {
        let change = free.deactivate(now).unwrap().unwrap();
        assert_eq!(change.event.kind, EventKind::Deactivated);
        assert_eq!(change.next.status, Status::Deactivated);
        assert!(!change.next.claimable);
    }
    assert_eq!(deactivated().deactivate(at(30)), Ok(None), "repeating it changes nothing");
}

#[test]
fn a_held_or_paid_request_cannot_be_deactivated() {
    for (held, why) in [
        (claimed(), NotDeactivatable::PaymentInFlight),
        (in_doubt(), NotDeactivatable::NeedsOperator),
        (paid(), NotDeactivatable::AlreadyPaid),
    ] {
        // Not even after the expiry.
        assert_eq!(held.clone().deactivate(at(30)), Err(why));
        assert_eq!(held.deactivate(at(100_000)), Err(why));
    }
}

#[test]
fn the_expiry_job_marks_once_and_only_unheld_requests() {
    assert_eq!(request().refresh_claimable(at(3599)), None);
    let expired = request().refresh_claimable(at(3600)).unwrap();
    assert_eq!(expired.event.kind, EventKind::Expired);
    assert_eq!(expired.next.status, Status::Active, "expiry is not a status");
    assert_eq!(expired.next.refresh_claimable(at(3601)), None);
    for held in [claimed(), in_doubt(), paid(), deactivated()] {
        assert_eq!(held.refresh_claimable(at(100_000)), None);
    }
}

/// A claim just before the expiry keeps its payment: the request stays held.
#[test]
fn a_payment_may_end_after_the_expiry() {
    let last = request().expires_at.minus(Millis::from_ms(1));
    let held = request().claim(attempt_at(3599), last).unwrap().next;
    let change = held.pay(attempt_at(3599), at(5000));
    assert_eq!(change.event.kind, EventKind::Paid);
    assert_eq!(change.next.status, Status::Paid);
}

/// The node paid a closed attempt after all, and nobody has claimed since: that attempt has paid
/// the request, even if it is not the last one.
#[test]
fn a_late_success_pays_a_request_that_was_free() {
    let (first, second) = (attempt_at(10), attempt_at(30));
    let free = failed_at(20, at(20)).next;
    let held = free.claim(second, at(30)).unwrap().next;
    let free_again = held.reopen(second, FailureReason::Timeout, at(40), GRACE, at(40)).next;

    let paid = free_again.pay(first, at(50)).next;
    let attempt = Attempt { id: first, hold: Hold::Released };
    assert_eq!(paid.attempt, Some(attempt));
    assert_eq!(paid.status, Status::Paid);
    assert!(!paid.claimable && paid.reopens_at.is_none());
}

/// A success that comes too late to pay the request changes only the `late_success` flag.
#[test]
fn a_late_success_changes_only_the_flag() {
    let before = deactivated();
    let change = before.clone().note_late_success(attempt_at(10), at(50));
    assert_eq!(change.event.kind, EventKind::LateSuccess);
    let next = change.next;
    let without_the_flag = Withdraw {
        version: before.version,
        modified: before.modified,
        late_success: false,
        ..next.clone()
    };
    assert!(next.late_success);
    assert_eq!(without_the_flag, before);
}

/// Once an attempt is known to be paid, the failure of another attempt reopens nothing.
#[test]
fn a_request_that_was_paid_late_is_not_free_again() {
    let (first, second) = (attempt_at(10), attempt_at(20));
    let held = request().claim(first, at(10)).unwrap().next;
    let free = held.reopen(first, FailureReason::NoRoute, at(15), GRACE, at(15)).next;
    let held = free.claim(second, at(20)).unwrap().next;
    let marked = held.note_late_success(first, at(25)).next;
    let failed = marked.reopen(second, FailureReason::Timeout, at(30), GRACE, at(30)).next;

    assert!(!failed.claimable);
    assert_eq!(failed.unclaimable(at(31)), Some(Unclaimable::NeedsOperator));
    assert!(failed.clone().claim(attempt_at(31), at(31)).is_err());
    assert!(failed.clone().deactivate(at(31)).is_err());
    assert_eq!(failed.pay(first, at(40)).next.status, Status::Paid);
}

type Transition = fn(Withdraw) -> Change;

fn stepped_back() -> Timestamp {
    at(-500)
}

/// Events are keyed by the version that they produced, and the store writes a change only over the
/// version before it. So versions must not skip, repeat or run backwards.
#[test]
fn each_change_raises_the_version_by_one_and_time_never_goes_back() {
    let changes: [(Withdraw, Transition); 9] = [
        (request(), |w| w.claim(attempt_at(10), stepped_back()).unwrap()),
        (claimed(), |w| w.pay(attempt_at(10), stepped_back())),
        (claimed(), |w| {
            let reason = FailureReason::NoRoute;
            w.reopen(attempt_at(10), reason, stepped_back(), GRACE, stepped_back())
        }),
        (claimed(), |w| w.doubt(attempt_at(10), OperatorReason::Foreign, stepped_back())),
        (deactivated(), |w| w.note_late_success(attempt_at(10), stepped_back())),
        (request(), |w| w.deactivate(stepped_back()).unwrap().unwrap()),
        (request(), |w| w.refresh_claimable(at(3600)).unwrap()),
        (waiting(), |w| w.refresh_claimable(at(1000)).unwrap()),
        (in_doubt(), |w| w.pay(attempt_at(10), stepped_back())),
    ];
    for (before, change) in changes {
        let (id, version, modified) = (before.id, before.version, before.modified);
        let Change { next, event } = change(before);
        assert_eq!(next.version, version + 1);
        assert_eq!(event.version, next.version);
        assert_eq!(event.withdraw, id);
        assert_eq!(event.at, next.modified);
        assert!(next.modified >= modified, "{:?}", event.kind);
    }
}
