//! When a send is over, when it is too late for another, and when to look next.

use super::*;
use crate::domain::payment::{Pace, next_look};

const TICK: Millis = Millis::from_ms(1);
const FINAL: Option<Answer> = Some(Answer::Final);
/// `sent` commits send n at second 100·n and gives it 15 seconds.
const OVER_AFTER: Millis = Millis::from_secs(15 + 5 + 60);

#[test]
fn a_send_is_over_only_after_its_deadline_the_skew_and_the_nodes_slack() {
    let payment = sending(&[None]);
    let last = at(100).plus(OVER_AFTER);
    assert!(!payment.all_over(at(100), &LIMITS));
    assert!(!payment.all_over(last, &LIMITS), "at that very instant");
    assert!(payment.all_over(last.plus(TICK), &LIMITS));
}

/// An RPC error says nothing about whether the request arrived.
#[test]
fn only_a_final_status_ends_a_send_before_its_deadline() {
    for answer in [None, Some(Answer::Error), Some(Answer::AlreadyExists)] {
        assert!(!sending(&[answer]).all_over(at(101), &LIMITS), "{answer:?}");
    }
    assert!(sending(&[FINAL]).all_over(at(101), &LIMITS));
    assert!(attempt().all_over(at(0), &LIMITS), "nothing was sent");
}

#[test]
fn the_last_unanswered_send_is_waited_for_whatever_its_number() {
    let payment = sending(&[None, FINAL]);
    assert_eq!(payment.sends.over_at(&LIMITS), Some(at(100).plus(OVER_AFTER)));
    let payment = sending(&[FINAL, None, FINAL]);
    assert_eq!(payment.sends.over_at(&LIMITS), Some(at(200).plus(OVER_AFTER)));
    let payment = sending(&[FINAL, FINAL]);
    assert_eq!(payment.sends.over_at(&LIMITS), None);
}

/// Where the node enforces no deadline, a send that was not answered is never over.
#[test]
fn a_send_without_a_deadline_is_never_over() {
    let sent = attempt().send(&request(), 1, node(1), at(20), Timestamp::MAX).payment;
    assert!(!sent.all_over(Timestamp::MAX, &LIMITS));
    assert!(sent.answered(1, 1, Answer::Final).all_over(at(21), &LIMITS));
}

#[test]
fn no_send_from_send_until_on() {
    let payment = attempt();
    assert!(!payment.too_late(payment.send_until.minus(TICK)));
    assert!(payment.too_late(payment.send_until));
}

fn looks_at(payment: &Payment, looks: i64, now: Timestamp, jitter: u16) -> Option<Timestamp> {
    next_look(payment, looks, now, jitter, &Pace::default(), &LIMITS)
}

#[test]
fn what_has_ended_for_good_is_never_looked_at() {
    assert_eq!(looks_at(&sent(paid(), &[FINAL]), 0, NOW, 0), None);
    let never_sent = sent(failed(None), &[]);
    assert_eq!(looks_at(&never_sent, 0, NOW, 0), None);
}

/// `failed` learned of the failure at second 500.
#[test]
fn a_failure_after_a_send_is_looked_at_again_an_hour_and_a_day_later() {
    let closed = sent(failed(None), &[FINAL]);
    let (hour, day) = (at(500 + 3_600), at(500 + 86_400));
    assert_eq!(looks_at(&closed, 0, at(500), 0), Some(hour));
    assert_eq!(looks_at(&closed, 0, hour.minus(TICK), 999), Some(hour));
    assert_eq!(looks_at(&closed, 1, hour, 0), Some(day));
    assert_eq!(looks_at(&closed, 2, day, 0), None);
}

#[test]
fn looks_back_off_and_never_stop_while_an_attempt_is_open() {
    // Long after its only send was over, so that only the back-off is seen.
    let now = at(10_000);
    let wait = |payment: &Payment, looks, jitter| {
        let next = looks_at(payment, looks, now, jitter).unwrap();
        next.since(now).as_ms()
    };
    let payment = sending(&[None]);
    assert_eq!(wait(&payment, 0, 0), 375);
    assert_eq!(wait(&payment, 0, 999), 624);
    assert_eq!(wait(&payment, 3, 500), 4_000);
    for looks in [6, 100, i64::MAX] {
        assert_eq!(wait(&payment, looks, 500), 30_000, "at most half a minute");
    }
    assert_eq!(wait(&payment, -1, 500), 500);
    // Slowly: what a person looks at, and what is held in flight for days.
    let doubt = sent(in_doubt(OperatorReason::Vanished), &[None]);
    assert_eq!(wait(&doubt, 50, 500), 300_000);
    assert_eq!(wait(&in_flight(&[None]), 0, 500), 300_000);
}

#[test]
fn a_payment_in_flight_turns_slow_after_a_minute() {
    let payment = in_flight(&[FINAL]);
    let fresh = looks_at(&payment, 0, at(160), 500).unwrap();
    assert_eq!(fresh, at(160).plus(Millis::from_ms(500)));
    let old = at(160).plus(TICK);
    assert_eq!(looks_at(&payment, 0, old, 500), Some(old.plus(Millis::from_secs(300))));
}

/// Whatever the back-off: the first look that can tell something is not missed, and it begins
/// when the send *is* over.
#[test]
fn the_end_of_the_last_send_is_worth_a_look_of_its_own() {
    let payment = sending(&[None]);
    let over = at(100).plus(OVER_AFTER);
    let shortly_before = over.minus(Millis::from_secs(2));
    let look = looks_at(&payment, 10, shortly_before, 0).unwrap();
    assert_eq!(look, over.plus(TICK));
    assert!(payment.all_over(look, &LIMITS));
}
