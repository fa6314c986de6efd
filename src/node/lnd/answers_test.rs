//! The table of answers, a test for every row.

use std::sync::Arc;

use super::*;
use crate::node::lnd::proto::lnrpc::{Chain, HtlcAttempt};

const NODE: &str = "02aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

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

fn lost() -> Status {
    Status::from_error(Box::new(std::io::Error::other("reset by peer")))
}

#[test]
fn a_record_tells_hash_amount_and_time() {
    let record = record(&payment(PaymentStatus::InFlight)).unwrap();
    assert_eq!(record.payment_hash, PaymentHash::from_bytes([1; 32]));
    assert_eq!(record.amount.get(), 21_000);
    assert_eq!(record.created, Timestamp::from_ms(1_702_627_908_583));
}

#[test]
fn in_flight_and_initiated_are_under_way_whatever_the_reason() {
    for status in [PaymentStatus::InFlight, PaymentStatus::Initiated] {
        let mut payment = payment(status);
        assert_eq!(state_of(&payment), RecordState::InFlight);
        payment.failure_reason = PaymentFailureReason::FailureReasonTimeout.into();
        assert_eq!(state_of(&payment), RecordState::InFlight);
        assert!(!ends_stream(&update(&payment)));
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
    assert!(ends_stream(&update(&payment)));
}

#[test]
fn an_unreadable_preimage_is_left_to_the_domains_check() {
    for preimage in ["", "zz", "07"] {
        let payment = lnrpc::Payment {
            payment_preimage: preimage.to_owned(),
            ..payment(PaymentStatus::Succeeded)
        };
        let shown = RecordState::Succeeded {
            preimage: Preimage::from_bytes([0; 32]),
            fee: Msat::new(0).unwrap(),
        };
        assert_eq!(state_of(&payment), shown);
    }
}

#[test]
fn failed_tells_its_reason() {
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
        assert!(ends_stream(&update(&payment)));
    }
}

/// lnd's `failStaleAttempt` against a failure that a node on the way sent and lnd could not decode.
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
fn failed_with_an_htlc_that_is_out_is_under_way() {
    assert_eq!(state_of(&failed_with(1, &[2, 0])), RecordState::InFlight);
}

#[test]
fn failed_with_a_settled_htlc_makes_no_sense() {
    assert!(is_garbled(&failed_with(1, &[0, 1])));
    assert!(is_garbled(&failed_with(1, &[3])));
}

#[test]
fn unknown_statuses_make_no_sense() {
    assert!(is_garbled(&payment(PaymentStatus::Unknown)));
    for status in [5, -1] {
        assert!(is_garbled(&lnrpc::Payment { status, ..payment(PaymentStatus::Failed) }));
    }
}

#[test]
fn unreadable_hashes_and_amounts_make_no_sense() {
    let whole = payment(PaymentStatus::Succeeded);
    for hash in ["", "01", &"01".repeat(33), &"0g".repeat(32)] {
        let payment_hash = hash.to_owned();
        assert!(is_garbled(&lnrpc::Payment { payment_hash, ..whole.clone() }));
    }
    assert!(is_garbled(&lnrpc::Payment { value_msat: -1, ..whole.clone() }));
    assert!(is_garbled(&lnrpc::Payment { value_msat: i64::MAX, ..whole.clone() }));
    assert!(is_garbled(&lnrpc::Payment { fee_msat: -1, ..whole }));
}

#[test]
fn a_record_without_a_time_counts_as_young() {
    for creation_time_ns in [0, -1] {
        let payment = lnrpc::Payment { creation_time_ns, ..payment(PaymentStatus::Failed) };
        assert_eq!(record(&payment).unwrap().created, Timestamp::MAX);
    }
}

#[test]
fn a_look_up_takes_the_nodes_not_found_for_an_answer_and_nothing_else() {
    let not_found = Status::not_found("payment isn't initiated");
    assert!(matches!(look_up_refusal(&not_found), Ok(())));
    for code in (1..=16).map(Code::from_i32).filter(|&code| code != Code::NotFound) {
        let refusal = look_up_refusal(&Status::new(code, "payment isn't initiated"));
        assert!(
            matches!(refusal, Err(NodeError::Refused(_) | NodeError::NotPermitted(_))),
            "{code:?}"
        );
    }
    assert!(matches!(look_up_refusal(&lost()), Err(NodeError::Unreachable(_))));
}

#[test]
fn not_found_from_the_connection_is_no_answer() {
    let mut status = Status::not_found("no such host");
    status.set_source(Arc::new(std::io::Error::other("dns")));
    assert!(matches!(look_up_refusal(&status), Err(NodeError::Unreachable(_))));
}

#[test]
fn a_send_that_already_exists_is_told_by_code_or_by_the_old_words() {
    let known = [
        Status::already_exists("any text"),
        Status::already_exists(""),
        Status::unknown("payment is in transition"),
        Status::unknown("invoice is already paid"),
        Status::unknown("payment already exists"),
        Status::unknown("rpc error: invoice is already paid"),
    ];
    for status in known {
        let update = send_refusal(&status);
        assert!(matches!(update, SendUpdate::AlreadyExists), "{status:?}");
        assert!(ends_stream(&update));
    }
}

/// lnd's handler has ended: it stores nothing any more.
#[test]
fn an_error_of_the_nodes_own_is_a_refusal_and_never_a_failure() {
    let errors = [
        Status::unknown("macaroon has expired"),
        Status::unknown("self-payments not allowed"),
        Status::not_found("payment isn't initiated"),
        Status::invalid_argument("any"),
    ];
    for status in errors {
        let update = send_refusal(&status);
        let refused = matches!(update, SendUpdate::Refused(NodeError::Refused(_)));
        assert!(refused, "{status:?}: {update:?}");
        assert!(ends_stream(&update));
    }
}

/// Whoever stands in between, our own client, or the connection: the handler may live on.
#[test]
fn an_error_that_may_be_anybodys_leaves_the_send_unanswered() {
    let errors = [
        Status::internal("invoice is already paid"),
        Status::unavailable("the RPC server is in the process of starting up"),
        Status::deadline_exceeded("FAILED"),
        Status::cancelled("any"),
        Status::resource_exhausted("any"),
        Status::unknown("Service was not ready: any"),
        Status::unknown("grpc-status header missing, mapped from HTTP status code 418"),
        Status::unknown("protocol error: missing grpc-status trailer, stream was terminated"),
        lost(),
    ];
    for status in errors {
        let update = send_refusal(&status);
        assert!(matches!(update, SendUpdate::Lost(_)), "{status:?}: {update:?}");
        assert!(ends_stream(&update));
    }
}

/// A macaroon that may not pay says nothing about the invoice: it is no refusal of it.
#[test]
fn a_call_that_is_turned_away_at_the_door_was_not_sent() {
    for status in [Status::unknown("permission denied"), Status::permission_denied("any")] {
        let update = send_refusal(&status);
        let unsent = matches!(update, SendUpdate::Unsent(NodeError::NotPermitted(_)));
        assert!(unsent, "{status:?}: {update:?}");
    }
}

#[test]
fn texts_are_kept_short_and_on_one_line() {
    let NodeError::Refused(text) = error(&Status::unknown("a\nb\u{1b}[31m")) else {
        panic!("an error of the node");
    };
    assert_eq!(text, "Unknown: a b [31m");
    let NodeError::Refused(text) = error(&Status::unknown("é".repeat(10_000))) else {
        panic!("an error of the node");
    };
    assert_eq!(text.chars().count(), MAX_TEXT_CHARS);
}

#[test]
fn an_introduction_needs_an_identity_and_the_right_network() {
    let info = |identity: &str, networks: &[&str]| GetInfoResponse {
        identity_pubkey: identity.to_owned(),
        alias: "payer\n".to_owned(),
        chains: networks
            .iter()
            .map(|&network| Chain { chain: "bitcoin".to_owned(), network: network.to_owned() })
            .collect(),
        ..GetInfoResponse::default()
    };
    let of = |info: &GetInfoResponse| introduction(info, Network::Bitcoin, Connection(3));

    // Not synced, and introduced all the same.
    let introduced = of(&info(NODE, &["mainnet"])).unwrap();
    assert_eq!(introduced.id.as_str(), NODE);
    assert_eq!(introduced.alias, "payer ");
    assert_eq!(introduced.connection, Connection(3));

    for network in ["regtest", "testnet4", "simnet", ""] {
        match of(&info(NODE, &[network])) {
            Err(NodeError::WrongNetwork { found, .. }) => assert_eq!(found, network),
            other => panic!("{other:?}"),
        }
    }
    for senseless in [info("02", &["mainnet"]), info(NODE, &[]), info(NODE, &["mainnet"; 2])] {
        assert!(matches!(of(&senseless), Err(NodeError::Garbled(_))));
    }
}
