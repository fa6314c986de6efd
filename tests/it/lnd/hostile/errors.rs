//! Rows in which lnd answers with an error: none of them means that nothing was paid.

use tonic::Code;

use super::{
    row::{Row, row},
    test_invoice::{InvoiceUnderTest, stream, unknown},
};
use crate::bench::scripted_lnd::{
    Act, not_found,
    proto::lnrpc::PaymentFailureReason::{
        FailureReasonIncorrectPaymentDetails as Refused, FailureReasonNoRoute as NoRoute,
    },
    refuse,
};

const PAID: &str = "PAID held, sent 1";
const RESERVED: &str = "RESERVED held, sent 0";
const SENDING: &str = "SENDING held, sent 1";
const FOREIGN: &str = "NEEDS_OPERATOR FOREIGN held, sent 1";
/// Refused by the node itself three times, each time after the last send's time had passed.
const GIVEN_UP: &str = "FAILED NODE_REFUSED claimable, sent 3";
/// Sent as often as time allowed, and closed when a write witness was seen.
const UNANSWERED: &str = "FAILED NOT_SENT claimable";

/// All but OK.
fn codes() -> impl Iterator<Item = Code> {
    (1..=16).map(Code::from_i32)
}

fn unavailable() -> Vec<Act> {
    refuse(Code::Unavailable, "transport is closing")
}

pub fn rows(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let mut rows = Vec::new();
    // What is not permitted is repeated as soon as it may be: that has a test of its own.
    rows.extend(codes().filter(|code| *code != Code::PermissionDenied).map(on_send));
    rows.extend(codes().map(|code| on_a_stream(code, test_invoice)));
    rows.extend(codes().map(|code| on_early_look_up(code, test_invoice)));
    rows.extend(codes().map(on_look_up));
    rows.extend(
        [already_exists(test_invoice), repeats(test_invoice), look_ups(test_invoice)]
            .into_iter()
            .flatten(),
    );
    rows
}

fn on_send(code: Code) -> Row {
    use Code::{FailedPrecondition, InvalidArgument, NotFound, Unauthenticated, Unknown};

    let (soon, end) = match code {
        Code::AlreadyExists => (FOREIGN, FOREIGN),
        // Codes of lnd's handlers.
        Unknown | InvalidArgument | NotFound | FailedPrecondition | Unauthenticated => {
            (SENDING, GIVEN_UP)
        }
        // Of whatever stands in between, too.
        _ => (SENDING, UNANSWERED),
    };
    row(format!("to a send: {code:?}; never known"), [refuse(code, "x")], unknown(), soon, end)
}

/// Once it was on its way, an error changes nothing, not even `ALREADY_EXISTS`.
fn on_a_stream(code: Code, test_invoice: &InvoiceUnderTest) -> Row {
    let broken = stream([&test_invoice.in_flight()], [Act::End(code, "x")]);
    let does = format!("IN_FLIGHT, then {code:?}; looked up: SUCCEEDED");
    row(does, [broken], test_invoice.is_paid(), "IN_FLIGHT held, sent 1", PAID)
}

/// Nothing is sent before it was looked up.
fn on_early_look_up(code: Code, test_invoice: &InvoiceUnderTest) -> Row {
    let becomes = if code == Code::NotFound { PAID } else { RESERVED };
    let does = format!("to the lookup before the first send: {code:?}");
    row(does, test_invoice.is_paid(), test_invoice.is_paid(), becomes, becomes)
        .after(0, vec![refuse(code, "x")])
}

/// Only NOT_FOUND is an answer, and only once the send is over.
fn on_look_up(code: Code) -> Row {
    let end = if code == Code::NotFound { UNANSWERED } else { SENDING };
    let does = format!("to a send: Unavailable; looked up: {code:?}");
    row(does, [unavailable()], vec![refuse(code, "x")], SENDING, end)
}

fn already_exists(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let says = |code, text| [refuse(code, text)];
    let texts = ["payment is in transition", "invoice is already paid", "payment already exists"];
    let mut rows = Vec::new();
    for text in texts {
        for code in [Code::AlreadyExists, Code::Unknown] {
            let does = format!("to the only send: {code:?}, \"{text}\"");
            rows.push(row(does, says(code, text), unknown(), FOREIGN, FOREIGN));
        }
    }
    rows.push(row(
        "to the only send: AlreadyExists; looked up: SUCCEEDED",
        says(Code::AlreadyExists, "x"),
        test_invoice.is_paid(),
        FOREIGN,
        FOREIGN,
    ));
    rows.push(row(
        "to the only send: Internal, \"invoice is already paid\"",
        says(Code::Internal, "invoice is already paid"),
        unknown(),
        SENDING,
        UNANSWERED,
    ));
    let again = || [unavailable(), refuse(Code::AlreadyExists, "x")];
    rows.push(
        row(
            "to the first send an error, to the second AlreadyExists; looked up then: SUCCEEDED",
            again(),
            unknown(),
            SENDING,
            "PAID held, sent 2",
        )
        .after(2, test_invoice.is_paid()),
    );
    rows.push(
        row(
            "to the first send an error, to the second AlreadyExists; looked up then: FAILED",
            again(),
            unknown(),
            SENDING,
            "FAILED NO_ROUTE claimable, sent 2",
        )
        .after(2, test_invoice.has_failed(NoRoute)),
    );
    rows
}

fn repeats(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let then = |answer: Vec<Vec<Act>>| [vec![unavailable()], answer].concat();
    vec![
        row(
            "to every send: Unknown, \"macaroon has expired\"; never known",
            [refuse(Code::Unknown, "macaroon has expired")],
            unknown(),
            SENDING,
            GIVEN_UP,
        ),
        row(
            "to the first send an error, the second SUCCEEDED",
            then(test_invoice.is_paid()),
            unknown(),
            SENDING,
            "PAID held, sent 2",
        ),
        row(
            "to the first send an error, the second FAILED, which lookups confirm",
            then(test_invoice.has_failed(NoRoute)),
            unknown(),
            SENDING,
            "FAILED NO_ROUTE claimable, sent 2",
        )
        .after(2, test_invoice.has_failed(NoRoute)),
        row(
            "to the first send an error, the second FAILED, then unknown",
            then(test_invoice.has_failed(NoRoute)),
            unknown(),
            SENDING,
            "FAILED NO_ROUTE claimable, sent 2",
        ),
        row(
            "to the first send an error, the second FAILED, looked up: SUCCEEDED by the first",
            then(test_invoice.has_failed(NoRoute)),
            unknown(),
            SENDING,
            "PAID held, sent 2",
        )
        .after(2, test_invoice.is_paid()),
        row(
            "to the first send an error, the second FAILED with INCORRECT_PAYMENT_DETAILS",
            then(test_invoice.has_failed(Refused)),
            unknown(),
            SENDING,
            "NEEDS_OPERATOR REFUSED_AFTER_REPEATS held, sent 2",
        )
        .after(2, test_invoice.has_failed(Refused)),
    ]
}

fn look_ups(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    vec![
        row(
            "to a send an error; looked up: not found, not found, IN_FLIGHT",
            [unavailable()],
            [vec![not_found(), not_found()], test_invoice.is_in_flight()].concat(),
            SENDING,
            "IN_FLIGHT held, sent 1",
        ),
        row(
            "to a send an error; looked up: not found, IN_FLIGHT, SUCCEEDED",
            [unavailable()],
            [vec![not_found()], test_invoice.is_in_flight(), test_invoice.is_paid()].concat(),
            SENDING,
            PAID,
        ),
        row(
            "to a send an error; looked up: IN_FLIGHT, not found",
            [unavailable()],
            [test_invoice.is_in_flight(), vec![not_found()]].concat(),
            SENDING,
            "NEEDS_OPERATOR VANISHED held, sent 1",
        ),
        row(
            "to a send an error; looked up: FAILED, IN_FLIGHT, FAILED, SUCCEEDED",
            [unavailable()],
            [
                test_invoice.has_failed(NoRoute),
                test_invoice.is_in_flight(),
                test_invoice.has_failed(NoRoute),
                test_invoice.is_paid(),
            ]
            .concat(),
            SENDING,
            PAID,
        ),
        row(
            "to a send an error; looked up: FAILED",
            [unavailable()],
            test_invoice.has_failed(NoRoute),
            SENDING,
            "FAILED NO_ROUTE claimable, sent 1",
        ),
        row(
            "to the lookup before the first send: IN_FLIGHT",
            test_invoice.is_paid(),
            test_invoice.is_paid(),
            "NEEDS_OPERATOR KNOWN_BEFORE_SEND held, sent 0",
            "NEEDS_OPERATOR KNOWN_BEFORE_SEND held, sent 0",
        )
        .after(0, test_invoice.is_in_flight()),
    ]
}
