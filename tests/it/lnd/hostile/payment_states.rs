//! Rows in which lnd says the state of the payment: truths, untruths and what only a newer lnd says.

use super::{
    row::{Row, row},
    test_invoice::{InvoiceUnderTest, ok, stream, unknown},
};
use crate::bench::scripted_lnd::{
    Act,
    proto::lnrpc::{
        Payment,
        PaymentFailureReason::{self as Reason, FailureReasonNoRoute as NoRoute},
        htlc_attempt::HtlcStatus,
        payment::PaymentStatus,
    },
    reply,
};

const PAID: &str = "PAID held, sent 1";
const SENDING: &str = "SENDING held, sent 1";
const IN_FLIGHT: &str = "IN_FLIGHT held, sent 1";
const WRONG_PREIMAGE: &str = "NEEDS_OPERATOR WRONG_PREIMAGE held, sent 1";
const MISMATCH: &str = "NEEDS_OPERATOR ANSWER_MISMATCH held, sent 1";

pub fn rows(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    [statuses(test_invoice), reasons(test_invoice), untruths(test_invoice), newer(test_invoice)]
        .into_iter()
        .flatten()
        .collect()
}

fn statuses(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let because =
        |payment| Payment { failure_reason: Reason::FailureReasonTimeout.into(), ..payment };
    let initiated = test_invoice.payment(PaymentStatus::Initiated);
    let all = [initiated.clone(), test_invoice.in_flight(), test_invoice.paid()];
    // Between two tries: none is out, and another may begin (lnd #8884).
    let failed_tries = test_invoice.failed(NoRoute).htlcs;
    let on_its_way = because(Payment { htlcs: failed_tries, ..test_invoice.in_flight() });
    vec![
        row("SUCCEEDED", test_invoice.is_paid(), unknown(), PAID, PAID),
        row("INITIATED, IN_FLIGHT, SUCCEEDED", [stream(&all, [ok()])], unknown(), PAID, PAID),
        row(
            "SUCCEEDED beside a failure_reason",
            [reply(&because(test_invoice.paid()))],
            unknown(),
            PAID,
            PAID,
        ),
        row(
            "INITIATED, and silence",
            [stream([&initiated], [])],
            test_invoice.is_paid(),
            IN_FLIGHT,
            PAID,
        )
        .stays_open(),
        row(
            "IN_FLIGHT beside a failure_reason, and silence; looked up: the same",
            [stream([&on_its_way], [])],
            vec![stream([&on_its_way], [])],
            IN_FLIGHT,
            IN_FLIGHT,
        )
        .stays_open(),
        row(
            "IN_FLIGHT beside a failure_reason, then SUCCEEDED",
            [stream([&on_its_way, &test_invoice.paid()], [ok()])],
            unknown(),
            PAID,
            PAID,
        ),
        row(
            "IN_FLIGHT, then FAILED",
            [stream([&test_invoice.in_flight(), &test_invoice.failed(NoRoute)], [ok()])],
            test_invoice.has_failed(NoRoute),
            "FAILED NO_ROUTE claimable, sent 1",
            "FAILED NO_ROUTE claimable, sent 1",
        ),
    ]
}

/// A definite failure frees the request at once, whatever its reason.
fn reasons(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let reasons = [
        (0, "NONE", "FAILED NODE_ERROR claimable, sent 1"),
        (1, "TIMEOUT", "FAILED TIMEOUT claimable, sent 1"),
        (2, "NO_ROUTE", "FAILED NO_ROUTE claimable, sent 1"),
        (3, "ERROR", "FAILED NODE_ERROR claimable, sent 1"),
        (4, "INCORRECT_PAYMENT_DETAILS", "FAILED INCORRECT_PAYMENT_DETAILS claimable, sent 1"),
        (5, "INSUFFICIENT_BALANCE", "FAILED INSUFFICIENT_BALANCE claimable, sent 1"),
        (6, "CANCELED", "FAILED CANCELED claimable, sent 1"),
        (7, "a reason of a newer lnd", "FAILED NODE_ERROR claimable, sent 1"),
    ];
    let row_of = |(reason, name, becomes)| {
        let failed = reply(&test_invoice.failed_with(reason, HtlcStatus::Failed.into()));
        let does = format!("FAILED, {name}");
        row(does, [failed.clone()], vec![failed], becomes, becomes)
    };
    reasons.map(row_of).into()
}

fn untruths(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let proves =
        |preimage: &str| Payment { payment_preimage: preimage.to_owned(), ..test_invoice.paid() };
    let other_hash = |payment| Payment { payment_hash: "07".repeat(32), ..payment };
    let other_amount = |payment| Payment { value_msat: 20_999, ..payment };
    let always = |does, payment: Payment, becomes| {
        let says: Vec<Vec<Act>> = vec![reply(&payment)];
        row(does, says.clone(), says, becomes, becomes)
    };
    let failed_yet = |htlc: HtlcStatus| test_invoice.failed_with(1, htlc.into());
    vec![
        always("SUCCEEDED with another preimage", proves(&"07".repeat(32)), WRONG_PREIMAGE),
        always("SUCCEEDED with 64 zeros", proves(&"00".repeat(32)), WRONG_PREIMAGE),
        always("SUCCEEDED without a preimage", proves(""), WRONG_PREIMAGE),
        row(
            "SUCCEEDED with 64 zeros; looked up: with the proof",
            [reply(&proves(&"00".repeat(32)))],
            test_invoice.is_paid(),
            WRONG_PREIMAGE,
            PAID,
        ),
        always("SUCCEEDED of another hash", other_hash(test_invoice.paid()), MISMATCH),
        always("SUCCEEDED of another amount", other_amount(test_invoice.paid()), MISMATCH),
        always("IN_FLIGHT of another hash", other_hash(test_invoice.in_flight()), MISMATCH),
        always("FAILED of another hash", other_hash(test_invoice.failed(NoRoute)), MISMATCH),
        always("FAILED of another amount", other_amount(test_invoice.failed(NoRoute)), MISMATCH),
        always("FAILED with an HTLC that is out", failed_yet(HtlcStatus::InFlight), IN_FLIGHT),
        always("FAILED with an HTLC that is settled", failed_yet(HtlcStatus::Succeeded), SENDING),
        always(
            "SUCCEEDED of a hash that is none",
            Payment { payment_hash: "0g".repeat(32), ..test_invoice.paid() },
            SENDING,
        ),
        always(
            "SUCCEEDED of an amount that is none",
            Payment { value_msat: -1, ..test_invoice.paid() },
            SENDING,
        ),
    ]
}

/// What this version has no name for decides nothing.
fn newer(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let numbered = |status| Payment { status, ..test_invoice.paid() };
    let failed_with_newer_htlc = test_invoice.failed_with(1, 3);
    let says = |payment: &Payment| vec![reply(payment)];
    vec![
        row(
            "a status of a newer lnd; looked up: the same",
            says(&numbered(5)),
            says(&numbered(5)),
            SENDING,
            SENDING,
        ),
        row(
            "a status of a newer lnd; looked up: SUCCEEDED",
            says(&numbered(5)),
            test_invoice.is_paid(),
            SENDING,
            PAID,
        ),
        row(
            "the status UNKNOWN; looked up: the same",
            says(&numbered(0)),
            says(&numbered(0)),
            SENDING,
            SENDING,
        ),
        row(
            "FAILED with an HTLC status of a newer lnd; looked up: the same",
            says(&failed_with_newer_htlc),
            says(&failed_with_newer_htlc),
            SENDING,
            SENDING,
        ),
    ]
}
