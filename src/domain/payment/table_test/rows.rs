//! A lookup's answer, row by row.

use strum::VariantArray;

use super::*;

const UNANSWERED: &[Option<Answer>] = &[None];
const REFUSED: Option<Answer> = Some(Answer::Refused);
const FINAL: Option<Answer> = Some(Answer::Final);

/// RESERVED × not found, or a failure from before: somebody's earlier failure with this invoice is
/// no reason not to pay it.
#[test]
fn a_reserved_attempt_that_the_node_does_not_know_is_sent() {
    let no_route = |age| NodeReport::Failed(FailureReason::NoRoute, age);
    for word in [NodeReport::NotFound, no_route(Age::BeforeWithdraw), no_route(Age::BeforeAttempt)]
    {
        assert_eq!(follows(&attempt(), &look(word)), Next::Send, "{word:?}");
        let closed = Next::Fail(FailureReason::NotSent);
        assert_eq!(follows(&attempt(), &too_late(word)), closed, "{word:?}");
    }
}

/// RESERVED × known from before the request: an invoice that was paid long ago is presented again.
#[test]
fn an_invoice_known_from_before_the_request_is_nobodys_payment_of_ours() {
    let old = Age::BeforeWithdraw;
    for word in [succeeded(old), NodeReport::InFlight(old), contradiction(old)] {
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
        for word in [succeeded(age), NodeReport::InFlight(age), contradiction(age)] {
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
        let word = NodeReport::Contradiction(mismatch, age);
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
        sending(&[REFUSED, REFUSED, REFUSED]),
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
        let word = NodeReport::Contradiction(why, Age::Since);
        for payment in [sending(UNANSWERED), in_flight(UNANSWERED)] {
            assert_eq!(follows(&payment, &look(word)), Next::Doubt(why));
            assert_eq!(follows(&payment, &early(word)), Next::Doubt(why));
        }
    }
}

/// SENDING × in flight: from now on it is followed, and never ages out.
#[test]
fn what_is_on_its_way_is_followed_for_as_long_as_it_takes() {
    let word = NodeReport::InFlight(Age::Since);
    for look in [early(word), look(word), too_late(word)] {
        assert_eq!(follows(&sending(UNANSWERED), &look), Next::InFlight);
        assert_eq!(follows(&in_flight(UNANSWERED), &look), Next::Stay);
    }
}

/// SENDING, `IN_FLIGHT` × failed: a send that is still on its way would start the payment anew, so
/// that the failure is only noted until every send was over before the lookup began.
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
        sending(&[REFUSED, REFUSED, REFUSED]),
        noted(sending(&[FINAL, None])),
        noted(in_flight(UNANSWERED)),
    ] {
        let early_and_too_late = LookupEvidence {
            pending: Pending::Until(at(10_000)),
            ..too_late(NodeReport::NotFound)
        };
        assert_eq!(follows(&payment, &early(NodeReport::NotFound)), Next::Stay);
        assert_eq!(follows(&payment, &early_and_too_late), Next::Stay);
    }
}

/// SENDING × not found, everything over, time left: the **same** invoice, since the node will not
/// pay one hash twice. Only refusals are counted: what was never answered may never have arrived.
#[test]
fn what_never_arrived_is_sent_again() {
    for answers in [
        UNANSWERED,
        &[REFUSED],
        &[REFUSED, REFUSED],
        &[REFUSED, None, REFUSED, None],
        &[Some(Answer::AlreadyExists), REFUSED, REFUSED],
    ] {
        let next = follows(&sending(answers), &look(NodeReport::NotFound));
        assert_eq!(next, Next::Send, "{answers:?}");
    }
}

/// SENDING × not found, everything over, and no further send allowed: too late, refused too often,
/// or a node that would pay the same hash twice.
#[test]
fn what_never_arrived_and_may_not_be_sent_again_has_failed() {
    let refused = Next::Fail(FailureReason::NodeRefused);
    let not_sent = Next::Fail(FailureReason::NotSent);
    let three_refusals = sending(&[REFUSED, REFUSED, REFUSED]);
    assert_eq!(follows(&three_refusals, &look(NodeReport::NotFound)), refused);
    let one_refusal = sending(&[REFUSED, None]);
    assert_eq!(follows(&one_refusal, &too_late(NodeReport::NotFound)), refused);
    assert_eq!(follows(&sending(UNANSWERED), &too_late(NodeReport::NotFound)), not_sent);
    let no_dedup = LookupEvidence { node_dedupes: false, ..look(NodeReport::NotFound) };
    assert_eq!(follows(&sending(UNANSWERED), &no_dedup), not_sent);
    assert_eq!(follows(&attempt(), &no_dedup), Next::Send, "the first send is none");
}

/// SENDING, `IN_FLIGHT` × not found after a failure was noted: nothing can start it anew.
#[test]
fn a_noted_failure_that_the_node_has_deleted_is_a_failure() {
    for payment in [noted(sending(&[FINAL, None])), noted(in_flight(&[FINAL, None]))] {
        let closed = Next::Fail(FailureReason::NoRoute);
        assert_eq!(follows(&payment, &look(NodeReport::NotFound)), closed);
        assert_eq!(follows(&payment, &too_late(NodeReport::NotFound)), closed);
    }
}

/// `IN_FLIGHT`, no failure noted × not found.
#[test]
fn a_payment_that_vanishes_while_under_way_needs_a_person() {
    for look in [early(NodeReport::NotFound), look(NodeReport::NotFound)] {
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
        if !matches!(word, NodeReport::Succeeded { .. }) {
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
        RequestFacts { open_or_paid: true, ..FREE },
        RequestFacts { active: false, ..FREE },
        RequestFacts { active: false, open_or_paid: true, ..FREE },
    ] {
        let look = look(succeeded(Age::Since));
        assert_eq!(decide_on_lookup(&closed, &look, beside), LATE);
        assert_eq!(decide_on_lookup(&marked, &look, beside), Next::Stay);
    }
}

/// `NEEDS_OPERATOR` × succeeded: the proof settles it, unless somebody else sent it.
#[test]
fn only_a_proof_settles_what_a_person_looks_at() {
    for reason in OperatorReason::VARIANTS.iter().copied() {
        let payment = sent(in_doubt(reason), UNANSWERED);
        for word in all_words() {
            let settles = matches!(word, NodeReport::Succeeded { .. });
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
        let look = LookupEvidence { trust: Trust::OtherNode, ..look(word) };
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
    let forgetful = |word| LookupEvidence { trust: Trust::Forgetful, ..look(word) };
    for payment in [sending(UNANSWERED), noted(in_flight(UNANSWERED))] {
        for word in [NodeReport::NotFound, failed_word(), refused_word()] {
            let doubt = Next::Doubt(OperatorReason::NodeForgot);
            assert_eq!(follows(&payment, &forgetful(word)), doubt, "{word:?}");
        }
        assert_eq!(follows(&payment, &forgetful(succeeded(Age::Since))), PAY);
    }
    assert_eq!(follows(&attempt(), &forgetful(NodeReport::NotFound)), Next::Stay, "sends stop");
}

/// SENDING × not found, a send unanswered: lookups are answered while the node's database takes no
/// writes. Its time has passed, and it may still be paid.
#[test]
fn what_was_never_answered_is_not_over_by_the_clock() {
    for payment in [
        sending(UNANSWERED),
        sending(&[REFUSED, None]),
        noted(sending(&[None])),
        noted(in_flight(UNANSWERED)),
    ] {
        let no_send_left = LookupEvidence { too_late: true, ..unwitnessed(NodeReport::NotFound) };
        assert_eq!(follows(&payment, &no_send_left), Next::Witness);
        let waited_long = LookupEvidence { too_late_for_a_witness: true, ..no_send_left };
        let doubt = Next::Doubt(OperatorReason::SendUnanswered);
        assert_eq!(follows(&payment, &waited_long), doubt, "a person lookups; nothing reopens");
        // Not even a failure that the node tells of: the send that it holds would start it anew.
        let failure = LookupEvidence { too_late: true, ..unwitnessed(failed_word()) };
        let failing = noted(payment.clone());
        assert_eq!(follows(&failing, &failure), Next::Witness);
    }
    let unnoted = follows(&sending(UNANSWERED), &unwitnessed(failed_word()));
    assert_eq!(unnoted, Next::Note(FailureReason::NoRoute));
}

/// The repeat of the same invoice is a witness by itself: the node pays one hash once.
#[test]
fn an_unanswered_send_is_repeated_as_long_as_a_send_is_allowed() {
    assert_eq!(follows(&sending(UNANSWERED), &unwitnessed(NodeReport::NotFound)), Next::Send);
    // However many were never answered.
    let silent = sending(&[None, None, None, None]);
    assert_eq!(follows(&silent, &unwitnessed(NodeReport::NotFound)), Next::Send);
    let refused = sending(&[REFUSED, REFUSED, REFUSED, None]);
    assert_eq!(follows(&refused, &unwitnessed(NodeReport::NotFound)), Next::Witness);
}

/// While nothing is sent, nothing that was to be sent fails for it before its time.
#[test]
fn a_halt_keeps_what_waits() {
    let halted = |look| LookupEvidence { halted: true, ..look };
    assert_eq!(follows(&attempt(), &halted(look(NodeReport::NotFound))), Next::Stay);
    assert_eq!(follows(&sending(UNANSWERED), &halted(look(NodeReport::NotFound))), Next::Stay);
    assert_eq!(
        follows(&sending(UNANSWERED), &halted(unwitnessed(NodeReport::NotFound))),
        Next::Stay
    );
    let closed = Next::Fail(FailureReason::NotSent);
    assert_eq!(follows(&attempt(), &halted(too_late(NodeReport::NotFound))), closed);
}

/// Clocks that jumped, or a database server that was not met: nothing is sent, closed or doubted.
#[test]
fn nothing_is_decided_while_clocks_disagree() {
    let unsettled = |look| LookupEvidence { settled: false, ..look };
    for word in all_words() {
        assert_eq!(follows(&attempt(), &unsettled(look(word))), Next::Stay, "{word:?}");
        assert_eq!(follows(&attempt(), &unsettled(too_late(word))), Next::Stay, "{word:?}");
    }
    for look in [
        look(NodeReport::NotFound),
        too_late(NodeReport::NotFound),
        unwitnessed(NodeReport::NotFound),
    ] {
        assert_eq!(follows(&sending(UNANSWERED), &unsettled(look)), Next::Stay);
        assert_eq!(follows(&noted(in_flight(UNANSWERED)), &unsettled(look)), Next::Stay);
    }
}

/// A request that a closed attempt paid after all: whatever else is claimed of it is not sent.
#[test]
fn nothing_is_sent_for_a_request_that_was_paid_late() {
    let paid_late = RequestFacts { paid_late: true, ..FREE };
    let closed = Next::Fail(FailureReason::NotSent);
    assert_eq!(decide_on_lookup(&attempt(), &look(NodeReport::NotFound), paid_late), closed);
    assert_eq!(
        decide_on_lookup(&sending(UNANSWERED), &look(NodeReport::NotFound), paid_late),
        closed
    );
    let held =
        decide_on_lookup(&sending(UNANSWERED), &unwitnessed(NodeReport::NotFound), paid_late);
    assert_eq!(held, Next::Witness);
}

/// lnd's FAILED after a restart that lost an HTLC's result: the payee may have been paid.
#[test]
fn a_failure_with_a_lost_result_needs_a_person() {
    let word = NodeReport::Contradiction(OperatorReason::ResultLost, Age::Since);
    let doubt = Next::Doubt(OperatorReason::ResultLost);
    for payment in [sending(UNANSWERED), in_flight(UNANSWERED), noted(in_flight(&[FINAL]))] {
        for look in [early(word), look(word), too_late(word)] {
            assert_eq!(follows(&payment, &look), doubt);
        }
    }
}
