//! What each status, reason and attempt means.

use super::*;
use crate::node::lnd::proto::lnrpc::HtlcAttempt;

fn payment(status: PaymentStatus) -> lnrpc::Payment {
    lnrpc::Payment {
        payment_hash: "01".repeat(32),
        payment_preimage: "00".repeat(32),
        value_msat: 21_000,
        status: status.into(),
        fee_msat: 0,
        creation_time_ns: 1_702_627_908_583_999_999,
        htlcs: Vec::new(),
        failure_reason: PaymentFailureReason::FailureReasonNone.into(),
        ..lnrpc::Payment::default()
    }
}

fn failed_with(reason: i32, htlcs: &[i32]) -> lnrpc::Payment {
    let htlcs = htlcs.iter().map(|&status| HtlcAttempt { status, ..HtlcAttempt::default() });
    lnrpc::Payment {
        failure_reason: reason,
        htlcs: htlcs.collect(),
        ..payment(PaymentStatus::Failed)
    }
}

fn state_of(payment: &lnrpc::Payment) -> RecordState {
    record(payment).unwrap().state
}

fn is_garbled(payment: &lnrpc::Payment) -> bool {
    matches!(record(payment), Err(NodeError::Garbled(_)))
        && matches!(update(payment), SendUpdate::Lost(NodeError::Garbled(_)))
}

#[test]
fn a_record_has_hash_amount_and_time() {
    let record = record(&payment(PaymentStatus::InFlight)).unwrap();
    assert_eq!(record.payment_hash, PaymentHash::from_bytes([1; 32]));
    assert_eq!(record.amount.get(), 21_000);
    assert_eq!(record.created, Timestamp::from_ms(1_702_627_908_583));
}

#[test]
fn in_flight_and_initiated_are_in_flight_whatever_the_reason() {
    for status in [PaymentStatus::InFlight, PaymentStatus::Initiated] {
        let mut payment = payment(status);
        assert_eq!(state_of(&payment), RecordState::InFlight);
        payment.failure_reason = PaymentFailureReason::FailureReasonTimeout.into();
        assert_eq!(state_of(&payment), RecordState::InFlight);
        assert!(!is_final(&update(&payment)));
    }
}

#[test]
fn succeeded_is_paid_whatever_the_reason() {
    let payment = lnrpc::Payment {
        payment_preimage: "07".repeat(32),
        fee_msat: 12,
        failure_reason: PaymentFailureReason::FailureReasonTimeout.into(),
        ..payment(PaymentStatus::Succeeded)
    };
    let paid = RecordState::Succeeded {
        preimage: Preimage::from_bytes([7; 32]),
        fee: Msat::new(12).unwrap(),
    };
    assert_eq!(state_of(&payment), paid);
    assert!(is_final(&update(&payment)));
}

#[test]
fn an_invalid_preimage_is_left_to_the_domains_check() {
    for preimage in ["", "zz", "07"] {
        let payment = lnrpc::Payment {
            payment_preimage: preimage.to_owned(),
            ..payment(PaymentStatus::Succeeded)
        };
        let read = RecordState::Succeeded {
            preimage: Preimage::from_bytes([0; 32]),
            fee: Msat::new(0).unwrap(),
        };
        assert_eq!(state_of(&payment), read);
    }
}

#[test]
fn failed_has_its_reason() {
    let cases = [
        (0, FailureReason::NodeError),
        (1, FailureReason::Timeout),
        (2, FailureReason::NoRoute),
        (3, FailureReason::NodeError),
        (4, FailureReason::IncorrectPaymentDetails),
        (5, FailureReason::InsufficientBalance),
        (6, FailureReason::Canceled),
        (7, FailureReason::NodeError),
        (-1, FailureReason::NodeError),
    ];
    for (number, reason) in cases {
        let payment = failed_with(number, &[2, 2]);
        assert_eq!(state_of(&payment), RecordState::Failed(reason), "{number}");
        assert!(is_final(&update(&payment)));
    }
}

/// lnd's `failStaleAttempt`, as against a failure from a node on the route that lnd could not decode.
#[test]
fn a_failure_without_a_source_is_a_lost_result() {
    let failed = HtlcStatus::Failed.into();
    let (unknown, in_flight) = (FailureCode::UnknownFailure.into(), HtlcStatus::InFlight.into());
    let cases = [
        (failed, Some((unknown, 0)), true),
        (failed, Some((unknown, 1)), false),
        (failed, Some((FailureCode::UnreadableFailure.into(), 0)), false),
        (failed, Some((FailureCode::InternalFailure.into(), 0)), false),
        (failed, Some((15, 0)), false),
        (failed, None, false),
        (in_flight, Some((unknown, 0)), false),
    ];
    for (status, failure, is_lost) in cases {
        let failure = failure
            .map(|(code, failure_source_index)| lnrpc::Failure { code, failure_source_index });
        let htlc = HtlcAttempt { status, failure, ..HtlcAttempt::default() };
        let mut payment = failed_with(1, &[2]);
        assert!(!has_lost_result(&payment));
        payment.htlcs.push(htlc);
        assert_eq!(has_lost_result(&payment), is_lost, "{status} {failure:?}");
    }
}

#[test]
fn failed_with_an_htlc_in_flight_is_in_flight() {
    assert_eq!(state_of(&failed_with(1, &[2, 0])), RecordState::InFlight);
}

#[test]
fn failed_with_a_settled_htlc_is_garbled() {
    assert!(is_garbled(&failed_with(1, &[0, 1])));
    assert!(is_garbled(&failed_with(1, &[3])));
}

#[test]
fn unknown_statuses_are_garbled() {
    assert!(is_garbled(&payment(PaymentStatus::Unknown)));
    for status in [5, -1] {
        assert!(is_garbled(&lnrpc::Payment { status, ..payment(PaymentStatus::Failed) }));
    }
}

#[test]
fn invalid_hashes_and_amounts_are_garbled() {
    let valid = payment(PaymentStatus::Succeeded);
    for hash in ["", "01", &"01".repeat(33), &"0g".repeat(32)] {
        let payment_hash = hash.to_owned();
        assert!(is_garbled(&lnrpc::Payment { payment_hash, ..valid.clone() }));
    }
    assert!(is_garbled(&lnrpc::Payment { value_msat: -1, ..valid.clone() }));
    assert!(is_garbled(&lnrpc::Payment { value_msat: i64::MAX, ..valid.clone() }));
    assert!(is_garbled(&lnrpc::Payment { fee_msat: -1, ..valid }));
}

#[test]
fn a_record_without_a_time_counts_as_new() {
    for creation_time_ns in [0, -1] {
        let payment = lnrpc::Payment { creation_time_ns, ..payment(PaymentStatus::Failed) };
        assert_eq!(record(&payment).unwrap().created, Timestamp::MAX);
    }
}

#[test]
fn every_update_without_a_record_is_final() {
    let error = || NodeError::Timeout;
    let updates = [
        SendUpdate::AlreadyExists,
        SendUpdate::Refused(error()),
        SendUpdate::Unsent(error()),
        SendUpdate::Lost(error()),
    ];
    assert!(updates.iter().all(is_final));
}
