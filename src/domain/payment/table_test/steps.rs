//! What a step writes: the attempt, its sends, its request, and when that opens again.

use super::*;
use crate::domain::{
    EventKind, Hold, Status, Unclaimable, Withdraw, payment::Reopening, withdraw_test::MADE,
};

const GRACE: Millis = Millis::from_secs(600);

/// What lnd promises.
const ENFORCES: Reopening = Reopening {
    node_refuses_late_sends: true,
    node_refuses_expired_invoices: true,
    clock_skew: LIMITS.clock_skew,
    claim_grace: GRACE,
};
/// A node that only refuses invoices that have expired.
const REFUSES_EXPIRED: Reopening = Reopening { node_refuses_late_sends: false, ..ENFORCES };
/// A node that pays whatever it is handed, whenever that arrives.
const PROMISES_NOTHING: Reopening =
    Reopening { node_refuses_expired_invoices: false, ..REFUSES_EXPIRED };

/// The request, held by [`attempt`].
fn held() -> Withdraw {
    request().claim(attempt().id, at(10)).unwrap().next
}

/// This lease's worker, at the node, at this second.
pub(super) fn by(fencing_token: i64, second: i64) -> Sender {
    Sender { fencing_token, node: node(1), at: at(second), begun_at: at(second - 1) }
}

fn released(payment: &Payment) -> Withdraw {
    held().reopen(payment.id, FailureReason::NoRoute, at(500), GRACE, at(500)).next
}

#[test]
fn a_send_is_numbered_and_carries_the_lease_the_node_and_the_deadline() {
    let first = attempt().send(&request(), by(31, 20), at(35));
    assert_eq!(first.payment.state, State::Sending);
    assert_eq!(first.payment.version, attempt().version + 1);
    assert!(first.change.is_none() && first.answered.is_none());
    let row = first.new_send.unwrap();
    assert_eq!((row.number, row.fencing_token, row.answer), (1, 31, None));
    assert_eq!((row.sent_at, row.begun_at, row.send_deadline), (at(20), at(19), at(35)));
    assert_eq!(first.payment.sends.last(), Some(&row));
    assert_eq!(first.payment.node(), Some(&node(1)));

    let again = first.payment.send(&request(), by(32, 200), at(215));
    assert_eq!(again.new_send.unwrap().number, 2);
    assert_eq!(again.payment.sends.count(), 2);
}

/// Two workers' rows are told apart by the fencing token; an error never hides what was heard before.
#[test]
fn an_answer_marks_its_own_send_and_a_final_one_stays() {
    let answers = |payment: &Payment| {
        let answers = payment.sends.iter().map(|send| send.answer);
        answers.collect::<Vec<_>>()
    };
    let payment = sending(&[None, None]);
    let another_workers = payment.clone().answered(1, 11, Answer::Final);
    assert_eq!(answers(&another_workers), [None, None]);

    let refused = payment.answered(1, 10, Answer::Refused);
    assert_eq!(answers(&refused), [Some(Answer::Refused), None]);
    let exists = refused.answered(1, 10, Answer::AlreadyExists);
    assert_eq!(answers(&exists), [Some(Answer::Refused), None]);
    let finally = exists.answered(1, 10, Answer::Final);
    assert_eq!(answers(&finally), [Some(Answer::Final), None]);
    let late_refusal = finally.answered(1, 10, Answer::Refused);
    assert_eq!(answers(&late_refusal), [Some(Answer::Final), None]);
}

#[test]
fn every_step_raises_the_version_by_one_and_touches_no_send() {
    let before = sending(&[None]);
    for next in [
        Next::Stay,
        Next::Note(FailureReason::NoRoute),
        Next::InFlight,
        PAY,
        Next::Fail(FailureReason::NoRoute),
        Next::Doubt(OperatorReason::Foreign),
    ] {
        let advance = before.clone().follow(next, held(), &ENFORCES, NOW);
        assert_eq!(advance.payment.version, before.version + 1, "{next:?}");
        assert_eq!(advance.payment.sends, before.sends, "{next:?}");
        assert!(advance.new_send.is_none(), "{next:?}");
        if let Some(change) = advance.change {
            assert_eq!(change.next.version, held().version + 1, "{next:?}");
            assert_eq!(change.event.version, change.next.version, "{next:?}");
            assert_eq!(change.event.payment, Some(before.id), "{next:?}");
        }
    }
}

#[test]
fn what_decides_nothing_leaves_the_request_alone() {
    let follow = |next| sending(&[None]).follow(next, held(), &ENFORCES, NOW);
    let note = follow(Next::Note(FailureReason::Timeout));
    assert_eq!(note.payment.noted, Some(FailureReason::Timeout));
    assert_eq!(note.payment.state, State::Sending);
    assert_eq!(follow(Next::InFlight).payment.state, State::InFlight);
    for next in [Next::Stay, Next::InFlight, Next::Note(FailureReason::Timeout)] {
        assert_eq!(follow(next).change, None, "{next:?}");
    }
}

#[test]
fn a_payment_and_its_request_end_in_one_step() {
    let advance = in_flight(&[None]).follow(PAY, held(), &ENFORCES, NOW);
    let State::Paid { preimage, fee, at } = advance.payment.state else {
        panic!("{:?}", advance.payment.state);
    };
    assert_eq!((preimage, fee, at), (PREIMAGE, msat(3), NOW));
    let change = advance.change.unwrap();
    assert_eq!(change.event.kind, EventKind::Paid);
    assert_eq!(change.next.status, Status::Paid);
}

#[test]
fn doubt_keeps_its_hold_on_the_request() {
    let doubt = Next::Doubt(OperatorReason::Vanished);
    let advance = in_flight(&[None]).follow(doubt, held(), &ENFORCES, NOW);
    assert!(advance.payment.state.is_open());
    let change = advance.change.unwrap();
    assert_eq!(change.event.detail, Some("VANISHED"));
    let hold = change.next.attempt.map(|attempt| attempt.hold);
    assert_eq!(hold, Some(Hold::InDoubt));
    let blocked = Some(Unclaimable::NeedsOperator);
    assert_eq!(change.next.unclaimable(NOW), blocked);
}

fn fail(payment: Payment, reopening: &Reopening, now: Timestamp) -> Withdraw {
    let next = Next::Fail(FailureReason::NoRoute);
    let advance = payment.follow(next, held(), reopening, now);
    assert!(!advance.payment.state.is_open());
    advance.change.unwrap().next
}

#[test]
fn a_failure_opens_the_request_at_once_where_the_node_refuses_late_sends() {
    let open = fail(sending(&[None]), &ENFORCES, NOW);
    assert_eq!(open.unclaimable(NOW), None);
    assert_eq!(open.reopens_at, None);
}

/// Nothing was sent, nothing can arrive: whatever the node promises.
#[test]
fn what_was_never_sent_opens_the_request_at_once_on_any_node() {
    let open = fail(attempt(), &PROMISES_NOTHING, NOW);
    assert_eq!(open.unclaimable(NOW), None);
}

/// Another invoice may be paid only when nobody can pay this one any more.
#[test]
fn without_deadlines_the_old_invoice_must_have_expired_by_more_than_the_skew() {
    let waiting = fail(sending(&[None]), &REFUSES_EXPIRED, NOW);
    let over = at(3610).plus(LIMITS.clock_skew);
    let waits = Some(Unclaimable::ReopensLater(over));
    assert_eq!(waiting.unclaimable(NOW), waits);
    assert_eq!(waiting.unclaimable(over), None);
    // There is the whole grace to make a new invoice in.
    assert_eq!(waiting.claimable_until, over.plus(GRACE));
    // Already expired when the failure is learned: at once.
    let now = over.plus(Millis::from_secs(1));
    let open = fail(sending(&[None]), &REFUSES_EXPIRED, now);
    assert_eq!(open.unclaimable(now), None);
}

#[test]
fn a_node_that_promises_nothing_never_lets_the_request_go() {
    let shut = fail(sending(&[None]), &PROMISES_NOTHING, NOW);
    let never = Some(Unclaimable::ReopensLater(Timestamp::MAX));
    assert_eq!(shut.unclaimable(NOW), never);
}

/// What is written into a send's row is what the node itself can be held to.
#[test]
fn a_sends_deadline_is_the_strongest_that_the_node_enforces() {
    let life = Millis::from_secs(15);
    let deadline = |reopening: &Reopening| reopening.send_deadline(&attempt(), at(20), life);
    assert_eq!(deadline(&ENFORCES), at(35));
    assert_eq!(deadline(&REFUSES_EXPIRED), at(3610));
    assert_eq!(deadline(&PROMISES_NOTHING), Timestamp::MAX);
}

#[test]
fn a_late_success_is_kept_with_its_proof_and_told() {
    let closed = sent(failed(None), &[None]);
    let advance = closed.clone().follow(LATE, released(&closed), &ENFORCES, at(600));
    assert_eq!(advance.payment.state, failed(Some(late())));
    let change = advance.change.unwrap();
    assert_eq!(change.event.kind, EventKind::LateSuccess);
    assert_eq!(change.next.status, Status::Active);
}

/// What counts as "another" is never the attempt itself.
#[test]
fn an_attempt_sees_what_else_its_request_holds() {
    let payment = attempt();
    let other = attempt_at(600);
    let free = released(&payment);
    let held_by_other = free.clone().claim(other, at(600)).unwrap().next;
    let paid_by_other = held_by_other.clone().pay(other, at(700)).next;
    let doubted = held_by_other.clone().doubt(other, OperatorReason::Vanished, at(700)).next;
    let failed_too =
        held_by_other.clone().reopen(other, FailureReason::NoRoute, at(700), GRACE, at(700)).next;
    let ended = free.clone().deactivate(at(600)).unwrap().unwrap().next;
    let beside = |active, open_or_paid| RequestFacts { active, open_or_paid, paid_late: false };
    for (withdraw, expected) in [
        (held(), FREE),
        (free, FREE),
        (failed_too, FREE),
        (held_by_other, beside(true, true)),
        (doubted, beside(true, true)),
        (paid_by_other, beside(false, true)),
        (ended, beside(false, false)),
    ] {
        assert_eq!(payment.request_facts(&withdraw), expected, "{withdraw:?}");
    }
    assert_eq!(payment.withdraw.created(), MADE);
}
