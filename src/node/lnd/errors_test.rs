//! What each error means.

use std::sync::Arc;

use super::*;

fn lost() -> Status {
    Status::from_error(Box::new(std::io::Error::other("reset by peer")))
}

#[test]
fn only_the_nodes_own_not_found_answers_a_look_up() {
    let not_found = Status::not_found("payment isn't initiated");
    assert!(matches!(confirm_not_found(&not_found), Ok(())));
    for code in (1..=16).map(Code::from_i32).filter(|&code| code != Code::NotFound) {
        let checked = confirm_not_found(&Status::new(code, "payment isn't initiated"));
        assert!(
            matches!(checked, Err(NodeError::Refused(_) | NodeError::NotPermitted(_))),
            "{code:?}"
        );
    }
    assert!(matches!(confirm_not_found(&lost()), Err(NodeError::Unreachable(_))));
}

#[test]
fn not_found_from_the_connection_is_not_an_answer() {
    let mut status = Status::not_found("no such host");
    status.set_source(Arc::new(std::io::Error::other("dns")));
    assert!(matches!(confirm_not_found(&status), Err(NodeError::Unreachable(_))));
}

#[test]
fn already_exists_is_known_by_code_or_by_text() {
    let known = [
        Status::already_exists("any text"),
        Status::already_exists(""),
        Status::unknown("payment is in transition"),
        Status::unknown("invoice is already paid"),
        Status::unknown("payment already exists"),
        Status::unknown("rpc error: invoice is already paid"),
    ];
    for status in known {
        let update = send_update(&status);
        assert!(matches!(update, SendUpdate::AlreadyExists), "{status:?}");
    }
}

/// lnd's handler has returned: it stores nothing any more.
#[test]
fn an_error_from_the_handler_is_a_refusal_and_never_a_failure() {
    let errors = [
        Status::unknown("macaroon has expired"),
        Status::unknown("self-payments not allowed"),
        Status::not_found("payment isn't initiated"),
        Status::invalid_argument("any"),
    ];
    for status in errors {
        let update = send_update(&status);
        let refused = matches!(update, SendUpdate::Refused(NodeError::Refused(_)));
        assert!(refused, "{status:?}: {update:?}");
    }
}

/// From a proxy, our own client or the connection: the handler may still be running.
#[test]
fn an_error_that_may_not_be_the_handlers_leaves_the_send_unanswered() {
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
        let update = send_update(&status);
        assert!(matches!(update, SendUpdate::Lost(_)), "{status:?}: {update:?}");
    }
}

/// A macaroon without permission to pay says nothing about the invoice.
#[test]
fn a_call_that_is_not_permitted_was_not_sent() {
    for status in [Status::unknown("permission denied"), Status::permission_denied("any")] {
        let update = send_update(&status);
        let unsent = matches!(update, SendUpdate::Unsent(NodeError::NotPermitted(_)));
        assert!(unsent, "{status:?}: {update:?}");
    }
}

#[test]
fn texts_are_shortened_to_one_line() {
    let NodeError::Refused(text) = status_error(&Status::unknown("a\nb\u{1b}[31m")) else {
        panic!("an error of the node");
    };
    assert_eq!(text, "Unknown: a b [31m");
    let NodeError::Refused(text) = status_error(&Status::unknown("é".repeat(10_000))) else {
        panic!("an error of the node");
    };
    assert_eq!(text.chars().count(), MAX_TEXT_CHARS);
}
