//! A look-up's answer, row by row.

use super::*;

const UNANSWERED: &[Option<Answer>] = &[None];
const ERROR: Option<Answer> = Some(Answer::Error);
const FINAL: Option<Answer> = Some(Answer::Final);

/// RESERVED × not found, or a failure from before: somebody's earlier failure with this invoice is
/// no reason not to pay it.
#[test]
fn a_reserved_attempt_that_the_node_does_not_know_is_sent() {
    let no_route = |age| Word::Failed(FailureReason::NoRoute, age);
    for word in [Word::NotFound, no_route(Age::BeforeWithdraw), no_route(Age::BeforeAttempt)] {
        assert_eq!(follows(&attempt(), &look(word)), Next::Send, "{word:?}");
        let closed = Next::Fail(FailureReason::NotSent);
        assert_eq!(follows(&attempt(), &too_late(word)), closed, "{word:?}");
    }
}

/// RESERVED × known from before the request: an invoice that was paid long ago is presented again.
#[test]
fn an_invoice_known_from_before_the_request_is_nobodys_payment_of_ours() {
    let old = Age::BeforeWithdraw;
    for word in [succeeded(old), Word::InFlight(old), contradiction(old)] {
        let refused = Next::Fail(FailureReason::InvoiceKnownToNode);
        assert_eq!(follows(&attempt(), &look(word)), refused, "{word:?}");
        assert_eq!(follows(&attempt(), &too_late(word)), refused, "{word:?}");
    }
}

/// RESERVED × known since: the database may have been restored to a state before our own send.
#[test]
fn a_payment_that_we_may_have_made_and_forgotten_needs_a_person() {
    let doubt = Next::Doubt(OperatorReason::KnownBeforeSend);
    for age in [Age::BeforeAttempt, Age::Since] {
        for word in [succeeded(age), Word::InFlight(age), contradiction(age)] {
            assert_eq!(follows(&attempt(), &look(word)), doubt, "{word:?}");
        }
    }
    assert_eq!(follows(&attempt(), &look(failed_word())), doubt);
}

/// RESERVED × a record about another payment: however old that one is, ours may have been made and
/// forgotten. Taken for "known from before the request", it let a restored request be paid twice.
#[test]
fn an_answer_about_another_payment_tells_nothing_about_ours() {
    let mismatch = OperatorReason::AnswerMismatch;
    for age in AGES {
        let word = Word::Contradiction(mismatch, age);
        for look in [early(word), look(word), too_late(word)] {
            assert_eq!(follows(&attempt(), &look), Next::Doubt(mismatch), "{age:?}");
        }
    }
}

/// SENDING, `IN_FLIGHT` × succeeded: a proof settles it, whatever else is in doubt.
#[test]
fn a_proof_of_payment_settles_an_attempt_that_was_sent() {
    for payment in [
        sending(UNANSWERED),
        sending(&[ERROR, ERROR, ERROR]),
        noted(sending(&[FINAL, None])),
        in_flight(UNANSWERED),
        noted(in_flight(UNANSWERED)),
    ] {
        for age in AGES {
            for look in [early(succeeded(age)), look(succeeded(age)), too_late(succeeded(age))] {
                assert_eq!(follows(&payment, &look), PAY);
            }
        }
    }
}

/// SENDING, `IN_FLIGHT` × succeeded with a preimage that proves nothing, or about something else.
#[test]
fn an_answer_that_proves_nothing_raises_the_alarm() {
    for why in [OperatorReason::WrongPreimage, OperatorReason::AnswerMismatch] {
        let word = Word::Contradiction(why, Age::Since);
        for payment in [sending(UNANSWERED), in_flight(UNANSWERED)] {
            assert_eq!(follows(&payment, &look(word)), Next::Doubt(why));
            assert_eq!(follows(&payment, &early(word)), Next::Doubt(why));
        }
    }
}

/// SENDING × in flight: from now on it is followed, and never ages out.
#[test]
fn what_is_on_its_way_is_followed_for_as_long_as_it_takes() {
    let word = Word::InFlight(Age::Since);
    for look in [early(word), look(word), too_late(word)] {
        assert_eq!(follows(&sending(UNANSWERED), &look), Next::InFlight);
        assert_eq!(follows(&in_flight(UNANSWERED), &look), Next::Stay);
    }
}

/// SENDING, `IN_FLIGHT` × failed: a send that is still on its way would start the payment anew, so
/// that the failure is only noted until every send was over before the look-up began.
#[test]
fn a_failure_counts_only_when_no_send_can_arrive_any_more() {
    for payment in [sending(UNANSWERED), in_flight(UNANSWERED)] {
        let note = Next::Note(FailureReason::NoRoute);
        assert_eq!(follows(&payment, &early(failed_word())), note);
        let again = follows(&noted(payment.clone()), &early(failed_word()));
        assert_eq!(again, Next::Stay, "the same news twice is no news");
        let closed = Next::Fail(FailureReason::NoRoute);
        assert_eq!(follows(&payment, &look(failed_word())), closed);
        assert_eq!(follows(&noted(payment), &look(failed_word())), closed);
    }
}

/// SENDING, `IN_FLIGHT` × refused by the payee after repeats: an invoice that was paid already is
/// refused in the same words.
#[test]
fn a_payee_that_refuses_a_repeat_may_have_been_paid() {
    let doubt = Next::Doubt(OperatorReason::RefusedAfterRepeats);
    for payment in
        [sending(&[None, None]), in_flight(&[FINAL, FINAL]), noted(sending(&[FINAL, None]))]
    {
        assert_eq!(follows(&payment, &look(refused_word())), doubt);
        assert_eq!(follows(&payment, &early(refused_word())), doubt);
    }
    let closed = Next::Fail(FailureReason::IncorrectPaymentDetails);
    assert_eq!(
        follows(&sending(UNANSWERED), &look(refused_word())),
        closed,
        "after one send it is a failure like any other"
    );
}

/// SENDING × not found: until every send is over, the request may still be under way (lnd #9457).
#[test]
fn silence_after_a_send_means_nothing_until_the_send_is_over() {
    for payment in [
        sending(UNANSWERED),
        sending(&[ERROR, ERROR, ERROR]),
        noted(sending(&[FINAL, None])),
        noted(in_flight(UNANSWERED)),
    ] {
        let early_and_too_late = LookedUp { over: false, ..too_late(Word::NotFound) };
        assert_eq!(follows(&payment, &early(Word::NotFound)), Next::Stay);
        assert_eq!(follows(&payment, &early_and_too_late), Next::Stay);
    }
}

/// SENDING × not found, everything over, time left: the **same** invoice, since the node will not
/// pay one hash twice. Only errors are counted: what was never answered may never have arrived.
#[test]
fn what_never_arrived_is_sent_again() {
    for answers in [
        UNANSWERED,
        &[ERROR],
        &[ERROR, ERROR],
        &[ERROR, None, ERROR, None],
        &[Some(Answer::AlreadyExists), ERROR, ERROR],
    ] {
        let next = follows(&sending(answers), &look(Word::NotFound));
        assert_eq!(next, Next::Send, "{answers:?}");
    }
}

/// SENDING × not found, everything over, and no further send allowed: too late, refused too often,
/// or a node that would pay the same hash twice.
#[test]
fn what_never_arrived_and_may_not_be_sent_again_has_failed() {
    let refused = Next::Fail(FailureReason::NodeRefused);
    let not_sent = Next::Fail(FailureReason::NotSent);
    let three_errors = sending(&[ERROR, ERROR, ERROR]);
    assert_eq!(follows(&three_errors, &look(Word::NotFound)), refused);
    let one_error = sending(&[ERROR, None]);
    assert_eq!(follows(&one_error, &too_late(Word::NotFound)), refused);
    assert_eq!(follows(&sending(UNANSWERED), &too_late(Word::NotFound)), not_sent);
    let no_dedup = LookedUp { node_dedupes: false, ..look(Word::NotFound) };
    assert_eq!(follows(&sending(UNANSWERED), &no_dedup), not_sent);
    assert_eq!(follows(&attempt(), &no_dedup), Next::Send, "the first send is none");
}

/// SENDING, `IN_FLIGHT` × not found after a failure was noted: nothing can start it anew.
#[test]
fn a_noted_failure_that_the_node_has_deleted_is_a_failure() {
    for payment in [noted(sending(&[FINAL, None])), noted(in_flight(&[FINAL, None]))] {
        let closed = Next::Fail(FailureReason::NoRoute);
        assert_eq!(follows(&payment, &look(Word::NotFound)), closed);
        assert_eq!(follows(&payment, &too_late(Word::NotFound)), closed);
    }
}

/// `IN_FLIGHT`, no failure noted × not found.
#[test]
fn a_payment_that_vanishes_while_under_way_needs_a_person() {
    for look in [early(Word::NotFound), look(Word::NotFound)] {
        let doubt = Next::Doubt(OperatorReason::Vanished);
        assert_eq!(follows(&in_flight(UNANSWERED), &look), doubt);
    }
}

/// PAID, and FAILED without a send × anything.
#[test]
fn what_has_ended_stays_as_it_is() {
    let never_sent = Payment { state: failed(None), ..attempt() };
    for payment in [sent(paid(), UNANSWERED), never_sent] {
        for word in all_words() {
            assert_eq!(follows(&payment, &look(word)), Next::Stay, "{word:?}");
        }
    }
}

/// FAILED after a send × succeeded, the request free: lnd restarted it when a delayed send came.
#[test]
fn a_late_success_pays_a_request_that_is_free() {
    let closed = sent(failed(None), UNANSWERED);
    assert_eq!(follows(&closed, &look(succeeded(Age::Since))), PAY);
    for word in all_words() {
        if !matches!(word, Word::Succeeded { .. }) {
            assert_eq!(follows(&closed, &look(word)), Next::Stay, "{word:?}");
        }
    }
}

/// FAILED after a send × succeeded, the request not free: never dropped, and never a second PAID.
#[test]
fn a_late_success_beside_another_payment_is_marked_once() {
    let closed = sent(failed(None), UNANSWERED);
    let marked = sent(failed(Some(late())), UNANSWERED);
    for beside in [
        Beside { open_or_paid: true, ..FREE },
        Beside { active: false, ..FREE },
        Beside { active: false, open_or_paid: true },
    ] {
        let look = look(succeeded(Age::Since));
        assert_eq!(looked_up(&closed, &look, beside), LATE);
        assert_eq!(looked_up(&marked, &look, beside), Next::Stay);
    }
}

/// `NEEDS_OPERATOR` × succeeded: the proof settles it, unless somebody else sent it.
#[test]
fn only_a_proof_settles_what_a_person_looks_at() {
    for reason in OperatorReason::ALL {
        let payment = sent(in_doubt(reason), UNANSWERED);
        for word in all_words() {
            let settles = matches!(word, Word::Succeeded { .. });
            let settled = settles && reason != OperatorReason::Foreign;
            let expected = if settled { PAY } else { Next::Stay };
            for look in [early(word), look(word), too_late(word)] {
                assert_eq!(follows(&payment, &look), expected, "{reason:?} {word:?}");
            }
        }
    }
}

/// Any × another identity: what was sent is in doubt, and nothing is sent.
#[test]
fn another_nodes_word_counts_for_nothing() {
    for word in all_words() {
        let look = LookedUp { trust: Trust::OtherNode, ..look(word) };
        for payment in [sending(UNANSWERED), noted(in_flight(UNANSWERED))] {
            let doubt = Next::Doubt(OperatorReason::NodeChanged);
            assert_eq!(follows(&payment, &look), doubt, "{word:?}");
        }
        for payment in [
            attempt(),
            sent(paid(), UNANSWERED),
            sent(failed(None), UNANSWERED),
            sent(in_doubt(OperatorReason::Vanished), UNANSWERED),
        ] {
            assert_eq!(follows(&payment, &look), Next::Stay, "{word:?}");
        }
    }
}

/// Any × a node without its memory: "not found" and "failed" are what it would say of anything.
#[test]
fn a_node_that_lost_its_memory_can_still_prove_a_payment() {
    let forgetful = |word| LookedUp { trust: Trust::Forgetful, ..look(word) };
    for payment in [sending(UNANSWERED), noted(in_flight(UNANSWERED))] {
        for word in [Word::NotFound, failed_word(), refused_word()] {
            let doubt = Next::Doubt(OperatorReason::NodeForgot);
            assert_eq!(follows(&payment, &forgetful(word)), doubt, "{word:?}");
        }
        assert_eq!(follows(&payment, &forgetful(succeeded(Age::Since))), PAY);
    }
    assert_eq!(follows(&attempt(), &forgetful(Word::NotFound)), Next::Stay, "sends stop");
}
