//! How a node's record is checked before it is believed.

use super::*;
use crate::domain::{
    PaymentHash,
    payment::{Record, RecordState},
};

const SKEW: Millis = Millis::from_secs(5);

fn record(state: RecordState) -> Record {
    Record { payment_hash: PREIMAGE.hash(), amount: msat(10_000), created: at(100), state }
}

fn success(preimage: Preimage) -> RecordState {
    let fee = msat(3);
    RecordState::Succeeded { preimage, fee }
}

fn word(record: &Record) -> NodeReport {
    NodeReport::of(Some(record), &attempt(), SKEW)
}

#[test]
fn a_record_that_fits_is_taken_at_its_word() {
    assert_eq!(NodeReport::of(None, &attempt(), SKEW), NodeReport::NotFound);
    let said = word(&record(RecordState::InFlight));
    assert_eq!(said, NodeReport::InFlight(Age::Since));
    let said = word(&record(RecordState::Failed(FailureReason::NoRoute)));
    assert_eq!(said, failed_word());
    let said = word(&record(success(PREIMAGE)));
    assert_eq!(said, succeeded(Age::Since));
}

/// Failed, says the node, and has lost what became of an HTLC.
#[test]
fn a_lost_result_is_a_contradiction() {
    let said = word(&record(RecordState::ResultLost));
    assert_eq!(said, NodeReport::Contradiction(OperatorReason::ResultLost, Age::Since));
}

/// lnd shows 64 zeros while it has no preimage.
#[test]
fn success_without_its_proof_is_a_contradiction() {
    for preimage in [[0; 32], [8; 32]] {
        let said = word(&record(success(Preimage::from_bytes(preimage))));
        let wrong = NodeReport::Contradiction(OperatorReason::WrongPreimage, Age::Since);
        assert_eq!(said, wrong);
    }
}

/// Not even with the right preimage: half a satoshi less is not our payment.
#[test]
fn an_answer_about_another_payment_is_a_contradiction() {
    for state in
        [RecordState::InFlight, RecordState::Failed(FailureReason::NoRoute), success(PREIMAGE)]
    {
        let about_another =
            Record { payment_hash: PaymentHash::from_bytes([1; 32]), ..record(state) };
        let of_another_amount = Record { amount: msat(9_500), ..record(state) };
        for wrong in [about_another, of_another_amount] {
            let mismatch = NodeReport::Contradiction(OperatorReason::AnswerMismatch, Age::Since);
            assert_eq!(word(&wrong), mismatch);
        }
    }
}

/// A record is old only by more than the clocks may differ: in doubt it is ours.
#[test]
fn doubt_about_a_records_age_counts_as_younger() {
    let age_of = |created: Timestamp| {
        let record = Record { created, ..record(RecordState::InFlight) };
        match word(&record) {
            NodeReport::InFlight(age) => age,
            other => panic!("{other:?}"),
        }
    };
    let tick = Millis::from_ms(1);
    let withdraw_less_skew = at(0).minus(SKEW);
    assert_eq!(age_of(withdraw_less_skew.minus(tick)), Age::BeforeWithdraw);
    assert_eq!(age_of(withdraw_less_skew), Age::BeforeAttempt);
    let attempt_less_skew = at(10).minus(SKEW);
    assert_eq!(age_of(attempt_less_skew.minus(tick)), Age::BeforeAttempt);
    assert_eq!(age_of(attempt_less_skew), Age::Since);
    assert_eq!(age_of(at(10)), Age::Since);
    // A record without a time, as the lnd room reads it.
    assert_eq!(age_of(Timestamp::MAX), Age::Since);
}
