//! What is heard on a send's own stream.

use super::*;
use crate::domain::payment::{StreamEvidence, StreamReport, decide_on_stream};

const REFUSED: Option<Answer> = Some(Answer::Refused);
const FINAL: Option<Answer> = Some(Answer::Final);
const EXISTS: Option<Answer> = Some(Answer::AlreadyExists);

/// On the stream of an attempt of this database, while clocks agree.
pub(super) const fn on_stream(report: StreamReport) -> StreamEvidence {
    StreamEvidence { report, settled: true, carried_over: false }
}

fn hears(payment: &Payment, word: NodeReport) -> Next {
    decide_on_stream(payment, &on_stream(StreamReport::NodeReport(word)), FREE)
}

#[test]
fn a_proof_on_the_stream_settles_the_attempt() {
    for payment in [
        sending(&[FINAL]),
        in_flight(&[FINAL]),
        noted(in_flight(&[None, FINAL])),
        sent(in_doubt(OperatorReason::Vanished), &[FINAL]),
        sent(failed(None), &[FINAL]),
        // Noted while another attempt was open, which has failed meanwhile.
        sent(failed(Some(late())), &[FINAL]),
    ] {
        assert_eq!(hears(&payment, succeeded(Age::Since)), PAY);
    }
    for payment in [sent(in_doubt(OperatorReason::Foreign), &[FINAL]), sent(paid(), &[FINAL])] {
        assert_eq!(hears(&payment, succeeded(Age::Since)), Next::Stay);
    }
}

#[test]
fn an_answer_on_the_stream_that_proves_nothing_raises_the_alarm() {
    let doubt = Next::Doubt(OperatorReason::WrongPreimage);
    for payment in [sending(&[FINAL]), in_flight(&[FINAL])] {
        assert_eq!(hears(&payment, contradiction(Age::Since)), doubt);
    }
}

#[test]
fn the_stream_tells_that_it_is_on_its_way_once() {
    let word = NodeReport::InFlight(Age::Since);
    assert_eq!(hears(&sending(&[None]), word), Next::InFlight);
    assert_eq!(hears(&in_flight(&[None]), word), Next::Stay);
}

/// FAILED at once when the attempt's **only** send was answered on its own stream.
#[test]
fn the_only_sends_own_failure_closes_the_attempt_at_once() {
    let closed = Next::Fail(FailureReason::NoRoute);
    assert_eq!(hears(&sending(&[FINAL]), failed_word()), closed);
    assert_eq!(hears(&in_flight(&[FINAL]), failed_word()), closed);
    let refused = Next::Fail(FailureReason::IncorrectPaymentDetails);
    assert_eq!(hears(&in_flight(&[FINAL]), refused_word()), refused);
}

/// A second send may still arrive and start the payment anew, even if each was answered: only a
/// lookup begun after that decides.
#[test]
fn after_several_sends_a_failure_on_one_stream_is_only_noted() {
    for answers in [&[FINAL, None], &[None, FINAL], &[REFUSED, FINAL], &[FINAL, FINAL]] {
        let note = Next::Note(FailureReason::NoRoute);
        assert_eq!(hears(&sending(answers), failed_word()), note, "{answers:?}");
    }
    // A failure whose send is not the one on record closes nothing either.
    let note = Next::Note(FailureReason::NoRoute);
    assert_eq!(hears(&sending(&[None]), failed_word()), note);
}

#[test]
fn a_payee_that_refuses_a_repeat_on_the_stream_may_have_been_paid() {
    let doubt = Next::Doubt(OperatorReason::RefusedAfterRepeats);
    for payment in [sending(&[None, FINAL]), in_flight(&[FINAL, FINAL])] {
        assert_eq!(hears(&payment, refused_word()), doubt);
    }
}

/// SENDING × `ALREADY_EXISTS` to the only send: somebody else pays with this node.
#[test]
fn a_hash_that_exists_when_our_only_send_arrives_is_somebody_elses() {
    let told = |payment: &Payment| {
        decide_on_stream(payment, &on_stream(StreamReport::AlreadyExists), FREE)
    };
    let foreign = Next::Doubt(OperatorReason::Foreign);
    assert_eq!(told(&sending(&[EXISTS])), foreign);
    // An earlier send of ours may be what exists: a lookup tells.
    assert_eq!(told(&sending(&[None, EXISTS])), Next::Stay);
    for state in [State::InFlight, paid(), failed(None), in_doubt(OperatorReason::Vanished)] {
        assert_eq!(told(&sent(state, &[EXISTS])), Next::Stay, "{state:?}");
    }
}

/// SENDING × any RPC error, or end of stream.
#[test]
fn a_refusal_tells_nothing_of_the_payment_in_any_state() {
    for state in [
        State::Reserved,
        State::Sending,
        State::InFlight,
        paid(),
        failed(None),
        in_doubt(OperatorReason::Vanished),
    ] {
        for answers in [&[REFUSED][..], &[REFUSED, REFUSED, REFUSED]] {
            let next =
                decide_on_stream(&sent(state, answers), &on_stream(StreamReport::Nothing), FREE);
            assert_eq!(next, Next::Stay, "{state:?}");
        }
    }
}

/// A worker that lost its lease reports late: what has been decided stays decided.
#[test]
fn a_late_report_changes_nothing_that_was_decided() {
    for state in [paid(), failed(None), failed(Some(late())), in_doubt(OperatorReason::NodeForgot)]
    {
        for word in all_words() {
            if !matches!(word, NodeReport::Succeeded { .. }) {
                assert_eq!(hears(&sent(state, &[FINAL]), word), Next::Stay);
            }
        }
    }
}

/// The stream of a closed attempt brings a proof while another attempt holds the request.
#[test]
fn a_late_proof_on_the_stream_beside_another_payment_is_marked() {
    let beside = RequestFacts { open_or_paid: true, ..FREE };
    let word = &on_stream(StreamReport::NodeReport(succeeded(Age::Since)));
    let closed = sent(failed(None), &[FINAL]);
    assert_eq!(decide_on_stream(&closed, word, beside), LATE);
    let marked = sent(failed(Some(late())), &[FINAL]);
    assert_eq!(decide_on_stream(&marked, word, beside), Next::Stay);
}

/// A clock that jumped, or a database server that may have lost a send of it: a lookup closes it later.
#[test]
fn the_only_sends_own_failure_is_noted_where_another_send_cannot_be_excluded() {
    let note = Next::Note(FailureReason::NoRoute);
    let says = on_stream(StreamReport::NodeReport(failed_word()));
    for on in
        [StreamEvidence { settled: false, ..says }, StreamEvidence { carried_over: true, ..says }]
    {
        assert_eq!(decide_on_stream(&in_flight(&[FINAL]), &on, FREE), note, "{on:?}");
    }
}
