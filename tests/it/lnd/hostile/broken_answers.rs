//! Rows in which the answer breaks off: streams, connections, messages, time.

use std::sync::Arc;

use h2::Reason;
use tokio::sync::Semaphore;

use super::{
    row::{Row, row},
    test_invoice::{InvoiceUnderTest, ok, stream, unknown},
};
use crate::bench::scripted_lnd::{
    Act, not_found,
    proto::lnrpc::{Payment, PaymentFailureReason::FailureReasonNoRoute as NoRoute},
    reply, say_half,
};

const PAID: &str = "PAID held, sent 1";
const RESERVED: &str = "RESERVED held, sent 0";
const SENDING: &str = "SENDING held, sent 1";
const IN_FLIGHT: &str = "IN_FLIGHT held, sent 1";
const NO_ROUTE: &str = "FAILED NO_ROUTE claimable, sent 1";
const VANISHED: &str = "NEEDS_OPERATOR VANISHED held, sent 1";
/// Sent as often as time allowed, and closed when a write witness was seen.
const UNANSWERED: &str = "FAILED NOT_SENT claimable";

pub fn rows(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let mut rows: Vec<Row> = ways().into_iter().flat_map(|way| broken(way, test_invoice)).collect();
    rows.extend(
        [ends(test_invoice), silences(test_invoice), proxies(test_invoice), sizes(test_invoice)]
            .into_iter()
            .flatten(),
    );
    rows
}

/// In which ways an answer can break off.
fn ways() -> [(&'static str, Act); 10] {
    [
        ("the stream ends", ok()),
        ("the stream ends without trailers", Act::Break),
        ("RST_STREAM NO_ERROR", Act::Reset(Reason::NO_ERROR)),
        ("RST_STREAM CANCEL", Act::Reset(Reason::CANCEL)),
        ("RST_STREAM REFUSED_STREAM", Act::Reset(Reason::REFUSED_STREAM)),
        ("RST_STREAM INTERNAL_ERROR", Act::Reset(Reason::INTERNAL_ERROR)),
        ("GOAWAY NO_ERROR", Act::GoAway(Reason::NO_ERROR)),
        ("GOAWAY ENHANCE_YOUR_CALM", Act::GoAway(Reason::ENHANCE_YOUR_CALM)),
        ("GOAWAY INTERNAL_ERROR", Act::GoAway(Reason::INTERNAL_ERROR)),
        ("the connection is cut", Act::Cut),
    ]
}

/// Each way before the answer, after its headers, in mid-answer; and in a lookup.
fn broken((way, act): (&'static str, Act), test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let at_once = || vec![act.clone()];
    let midway = |does: &str, look_ups, end| {
        // What is still on its way would be lost with the stream.
        let heard = Arc::new(Semaphore::new(0));
        let says =
            stream([&test_invoice.in_flight()], [Act::Wait(Arc::clone(&heard)), act.clone()]);
        let does = format!("IN_FLIGHT, then {way}; looked up: {does}");
        row(does, [says], look_ups, IN_FLIGHT, end).goes_on(heard)
    };
    vec![
        row(
            format!("{way}; looked up: SUCCEEDED"),
            [at_once()],
            test_invoice.is_paid(),
            SENDING,
            PAID,
        ),
        row(format!("{way}; never known"), [at_once()], unknown(), SENDING, UNANSWERED),
        row(
            format!("headers, then {way}; looked up: SUCCEEDED"),
            [vec![Act::Headers, act.clone()]],
            test_invoice.is_paid(),
            SENDING,
            PAID,
        ),
        midway("SUCCEEDED", test_invoice.is_paid(), PAID),
        midway("FAILED", test_invoice.has_failed(NoRoute), NO_ROUTE),
        midway("not found", unknown(), VANISHED),
        row(
            format!("to the lookup before the first send: {way}"),
            test_invoice.is_paid(),
            unknown(),
            RESERVED,
            RESERVED,
        )
        .after(0, vec![at_once()]),
        row(
            format!("a send is cut; looked up: {way}, then SUCCEEDED"),
            [vec![Act::Cut]],
            [vec![at_once()], test_invoice.is_paid()].concat(),
            SENDING,
            PAID,
        ),
    ]
}

fn ends(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let half = |payment: &Payment| vec![say_half(payment), ok()];
    vec![
        row(
            "half of SUCCEEDED; never known",
            [half(&test_invoice.paid())],
            unknown(),
            SENDING,
            UNANSWERED,
        ),
        row(
            "half of FAILED; looked up: SUCCEEDED",
            [half(&test_invoice.failed(NoRoute))],
            test_invoice.is_paid(),
            SENDING,
            PAID,
        ),
        row(
            "GOAWAY that lets the answer go on to SUCCEEDED",
            [[
                vec![Act::GoAwayGently],
                stream([&test_invoice.in_flight(), &test_invoice.paid()], [ok()]),
            ]
            .concat()],
            unknown(),
            PAID,
            PAID,
        ),
    ]
}

/// The first silence is the backend's to end, the others are the payer's.
fn silences(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let nothing = Vec::new;
    vec![
        // Its database takes no writes, while its lookups are answered: no witness comes either.
        row("silence to sends and witnesses", [nothing()], unknown(), SENDING, "SENDING held")
            .hangs()
            .stalls(),
        row(
            "silence; looked up: SUCCEEDED",
            [nothing()],
            test_invoice.is_paid(),
            SENDING,
            "PAID held",
        )
        .hangs(),
        row("silence; never known", [nothing()], unknown(), SENDING, "FAILED NOT_SENT claimable")
            .hangs(),
        row(
            "silence to the first lookup, then not found; the send: SUCCEEDED",
            test_invoice.is_paid(),
            unknown(),
            RESERVED,
            "PAID held",
        )
        .after(0, vec![nothing(), not_found()])
        .hangs(),
        row(
            "IN_FLIGHT and silence; looked up: SUCCEEDED",
            test_invoice.is_in_flight(),
            test_invoice.is_paid(),
            IN_FLIGHT,
            PAID,
        )
        .stays_open(),
    ]
}

/// What stands between must not be taken for lnd: a page that is not found is no payment that is not.
fn proxies(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let mut rows = Vec::new();
    for status in [200, 403, 404, 502] {
        let answer = || vec![vec![Act::Http(status)]];
        let does = |call| format!("to {call}: HTTP {status} without gRPC");
        rows.push(row(does("a send"), answer(), test_invoice.is_paid(), SENDING, PAID));
        rows.push(row(does("a lookup"), [vec![Act::Cut]], answer(), SENDING, SENDING));
        let early =
            row(does("the first lookup"), test_invoice.is_paid(), unknown(), RESERVED, RESERVED);
        rows.push(early.after(0, answer()));
    }
    rows
}

/// A payment carries every try, with its route: megabytes are lawful.
fn sizes(test_invoice: &InvoiceUnderTest) -> Vec<Row> {
    let padded =
        |mib: usize| Payment { payment_request: "x".repeat(mib << 20), ..test_invoice.paid() };
    vec![
        row("SUCCEEDED in 10 MiB", [reply(&padded(10))], unknown(), PAID, PAID),
        row(
            "a send is cut; looked up: SUCCEEDED in 10 MiB",
            [vec![Act::Cut]],
            vec![reply(&padded(10))],
            SENDING,
            PAID,
        ),
        row(
            "SUCCEEDED in 33 MiB; looked up: the same, then SUCCEEDED",
            [reply(&padded(33))],
            [vec![reply(&padded(33))], test_invoice.is_paid()].concat(),
            SENDING,
            PAID,
        ),
    ]
}
