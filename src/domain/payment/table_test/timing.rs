//! When a send is over, when it is too late for another, and when to look next.

use super::*;
use crate::domain::{
    ClockBounds,
    payment::{Pace, PendingFacts, Reopening, Unanswered, next_lookup},
};

const TICK: Millis = Millis::from_ms(1);
const FINAL: Option<Answer> = Some(Answer::Final);
/// `sent` commits send n at second 100·n and gives it 15 seconds.
const OVER_AFTER: Millis = Millis::from_secs(15 + 5 + 60);

const REOPENING: Reopening = Reopening {
    node_refuses_late_sends: true,
    node_refuses_expired_invoices: true,
    clock_skew: LIMITS.clock_skew,
    claim_grace: Millis::from_secs(600),
};

/// Whether a send can still take effect at this instant, while clocks agree.
fn pending_at(payment: &Payment, earlier: Timestamp, witnessed: bool) -> Pending {
    let unanswered = payment.unanswered(None, &REOPENING, Millis::from_secs(15), &LIMITS);
    payment.pending(&PendingFacts { earlier, settled: true, unanswered, witnessed }, &LIMITS)
}

const REFUSED: Option<Answer> = Some(Answer::Refused);

#[test]
fn a_send_is_over_only_after_its_deadline_the_skew_and_the_nodes_slack() {
    let payment = sending(&[REFUSED]);
    let last = at(100).plus(OVER_AFTER);
    assert_eq!(pending_at(&payment, at(100), false), Pending::Until(last));
    assert_eq!(pending_at(&payment, last, false), Pending::Until(last), "at that very instant");
    assert_eq!(pending_at(&payment, last.plus(TICK), false), Pending::Over);
}

/// The node may hold what it checked in time and could not store: no clock ends that.
#[test]
fn a_send_that_was_never_answered_is_over_only_with_a_witness() {
    for answers in [&[None][..], &[REFUSED, None], &[None, FINAL], &[None, REFUSED, None]] {
        let payment = sending(answers);
        assert_eq!(pending_at(&payment, at(1_000_000), false), Pending::Unwitnessed, "{answers:?}");
        assert_eq!(pending_at(&payment, at(1_000_000), true), Pending::Over, "{answers:?}");
    }
    // A witness from before its time had passed is none: that is the store's to compare.
    let sends = sending(&[None, None, FINAL]).sends.unanswered(&LIMITS);
    let until = at(200).plus(OVER_AFTER);
    assert_eq!(sends, Some(Unanswered { until, sequence: Some(2) }));
}

/// A send that was not read back has no place in the order: nothing is a witness of it.
#[test]
fn a_send_that_was_not_read_back_cannot_be_witnessed() {
    let sent = attempt().send(&request(), super::steps::by(1, 20), at(35)).payment;
    assert_eq!(sent.sends.unanswered(&LIMITS).unwrap().sequence, None);
}

/// A send that another database server may have known of, and that was lost with it.
#[test]
fn what_came_with_the_database_waits_for_its_time_and_a_witness() {
    let carried_over = Some(Unanswered { until: at(400), sequence: Some(9) });
    let payment = sending(&[FINAL]);
    let unanswered = payment.unanswered(carried_over, &REOPENING, Millis::from_secs(15), &LIMITS);
    assert_eq!(unanswered, carried_over);
    let facts = PendingFacts { earlier: at(400), settled: true, unanswered, witnessed: true };
    assert_eq!(payment.pending(&facts, &LIMITS), Pending::Until(at(400)));
    let later = PendingFacts { earlier: at(401), ..facts };
    assert_eq!(payment.pending(&later, &LIMITS), Pending::Over);
    let unwitnessed = PendingFacts { witnessed: false, ..later };
    assert_eq!(payment.pending(&unwitnessed, &LIMITS), Pending::Unwitnessed);
    let unsettled = PendingFacts { settled: false, ..later };
    assert_eq!(payment.pending(&unsettled, &LIMITS), Pending::Unsettled);
}

/// An RPC error says nothing about whether the request arrived before.
#[test]
fn only_a_final_status_ends_a_send_before_its_deadline() {
    let time_passes = |answer| sending(&[answer]).sends.pass_at(&LIMITS).is_some();
    for answer in [None, REFUSED, Some(Answer::AlreadyExists), Some(Answer::Stored)] {
        assert!(time_passes(answer), "{answer:?}");
    }
    assert!(!time_passes(FINAL));
    assert!(!time_passes(Some(Answer::Unsent)), "nothing of it can arrive");
    assert_eq!(pending_at(&attempt(), at(0), false), Pending::Over, "nothing was sent");
}

#[test]
fn the_last_send_without_an_end_is_waited_for_whatever_its_number() {
    let payment = sending(&[None, FINAL]);
    assert_eq!(payment.sends.pass_at(&LIMITS), Some(at(100).plus(OVER_AFTER)));
    let payment = sending(&[FINAL, None, FINAL]);
    assert_eq!(payment.sends.pass_at(&LIMITS), Some(at(200).plus(OVER_AFTER)));
    let payment = sending(&[FINAL, FINAL]);
    assert_eq!(payment.sends.pass_at(&LIMITS), None);
}

/// Where the node enforces no deadline, a send that was not answered is never over.
#[test]
fn a_send_without_a_deadline_is_never_over() {
    let sent = attempt().send(&request(), super::steps::by(1, 20), Timestamp::MAX).payment;
    assert_eq!(pending_at(&sent, Timestamp::MAX, true), Pending::Until(Timestamp::MAX));
    let answered = sent.answered(1, 1, Answer::Final);
    assert_eq!(pending_at(&answered, at(21), false), Pending::Over);
}

#[test]
fn a_witness_is_waited_for_half_an_hour_beyond_the_last_send() {
    let payment = attempt();
    let end = payment.send_until.plus(LIMITS.doubt_after);
    let too_late = |now: Timestamp, since| {
        payment.too_late_for_a_witness(ClockBounds { earlier: now, later: now }, since, &LIMITS)
    };
    assert!(!too_late(end.minus(TICK), Some(at(0))));
    assert!(too_late(end, Some(at(0))));
    // Nobody has asked the node yet, or not for long.
    assert!(!too_late(end, None));
    let (late, first) = (at(100_000), at(100_000).minus(LIMITS.doubt_after));
    assert!(!too_late(late, Some(first.plus(TICK))));
    assert!(too_late(late, Some(first)));
}

#[test]
fn no_send_from_send_until_on() {
    let payment = attempt();
    assert!(!payment.too_late(payment.send_until.minus(TICK)));
    assert!(payment.too_late(payment.send_until));
}

fn looks_at(payment: &Payment, lookups: i64, now: Timestamp, jitter: u16) -> Option<Timestamp> {
    next_lookup(payment, lookups, now, jitter, &Pace::default(), &LIMITS)
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
    let wait = |payment: &Payment, lookups, jitter| {
        let next = looks_at(payment, lookups, now, jitter).unwrap();
        next.since(now).as_ms()
    };
    let payment = sending(&[None]);
    assert_eq!(wait(&payment, 0, 0), 375);
    assert_eq!(wait(&payment, 0, 999), 624);
    assert_eq!(wait(&payment, 3, 500), 4_000);
    for lookups in [6, 100, i64::MAX] {
        assert_eq!(wait(&payment, lookups, 500), 30_000, "at most half a minute");
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
    assert_eq!(pending_at(&payment, look, true), Pending::Over);
}
