//! What lnd's errors mean.
//!
//! No error ever means that a payment failed, whatever its text.

use std::error::Error as _;

use tonic::{Code, Status};

use crate::{
    domain::TroubleKind,
    ports::{NodeError, SendUpdate},
};

const MAX_TEXT_CHARS: usize = 200;
/// Texts of an lnd without the code `ALREADY_EXISTS`, sent with `UNKNOWN`.
const ALREADY_EXISTS_TEXTS: [&str; 3] =
    ["payment is in transition", "invoice is already paid", "payment already exists"];
/// The text for a call that the macaroon does not permit, sent with `UNKNOWN`.
const NOT_PERMITTED: &str = "permission denied";

/// Texts of our own client (tonic), with codes that lnd uses too. hyper reports a stream that was reset,
/// even by a proxy, as its normal end.
const CLIENT_TEXTS: [&str; 3] = [
    "grpc-status header missing",
    "protocol error: missing grpc-status trailer",
    "Service was not ready",
];

/// Texts with which lnd v0.21 refuses the credentials or any service, sent with `UNKNOWN`. Each was seen in
/// an answer or in lnd's source.
const BARRED_TEXTS: [(&str, TroubleKind); 8] = [
    ("macaroon has expired", TroubleKind::MacaroonExpired),
    ("not satisfied: ", TroubleKind::MacaroonRefused),
    ("verification failed: ", TroubleKind::MacaroonRefused),
    ("cannot get macaroon: ", TroubleKind::MacaroonRefused),
    ("wallet locked, unlock it", TroubleKind::WalletLocked),
    ("wallet not created", TroubleKind::WalletLocked),
    ("in the process of starting up", TroubleKind::Starting),
    ("waiting to start", TroubleKind::Starting),
];

/// What it means for a send that its call ended with this error.
pub(super) fn send_update(status: &Status) -> SendUpdate {
    if !is_from_handler(status) {
        return SendUpdate::Lost(status_error(status));
    }
    match call_error(status, "SendPaymentV2") {
        // The send's deadline, a caveat of its macaroon, has passed.
        NodeError::Barred(trouble) if trouble.kind == TroubleKind::MacaroonExpired => {
            SendUpdate::Refused(status_error(status))
        }
        // The words stand in a longer text, such as an error of the file system, which may come from the
        // handler.
        NodeError::NotPermitted(_)
            if status.code() == Code::Unknown && status.message() != NOT_PERMITTED =>
        {
            SendUpdate::Refused(status_error(status))
        }
        // Refused before lnd looked at the payment.
        error @ (NodeError::NotPermitted(_) | NodeError::Barred(_)) => SendUpdate::Unsent(error),
        _ if is_already_exists(status) => SendUpdate::AlreadyExists,
        error => SendUpdate::Refused(error),
    }
}

/// Ok if lnd itself answered a lookup with `NOT_FOUND`. Any other error is not an answer.
pub(super) fn confirm_not_found(status: &Status) -> Result<(), NodeError> {
    match call_error(status, "TrackPaymentV2") {
        NodeError::Refused(_) if status.code() == Code::NotFound => Ok(()),
        error => Err(error),
    }
}

fn is_already_exists(status: &Status) -> bool {
    let by_text = status.code() == Code::Unknown
        && ALREADY_EXISTS_TEXTS.iter().any(|text| status.message().contains(text));
    by_text || status.code() == Code::AlreadyExists
}

/// Whether lnd's handler returned this, so that it is no longer running.
///
/// An error of the connection has a source. Some codes may also come from a proxy or from our own client.
/// In doubt it was not the handler.
fn is_from_handler(status: &Status) -> bool {
    let code_of_a_handler = match status.code() {
        Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::Unauthenticated => true,
        Code::Ok
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => false,
    };
    code_of_a_handler
        && status.source().is_none()
        && !CLIENT_TEXTS.iter().any(|text| status.message().starts_with(text))
}

/// The error without any meaning taken from its text.
pub(super) fn status_error(status: &Status) -> NodeError {
    // An error of the connection has a source. One that the node sent has none.
    match status.source() {
        Some(source) => NodeError::Unreachable(error_chain(source)),
        None => NodeError::Refused(one_line(&format!("{:?}: {}", status.code(), status.message()))),
    }
}

/// The error of a `call` without effects. Distinguishes what bars or does not permit the call.
///
/// Not for a send's own error: a send's macaroon expires ([`send_update`]).
pub(super) fn call_error(status: &Status, call: &'static str) -> NodeError {
    match status_error(status) {
        // The code is for a later lnd. v0.21 sends UNKNOWN and the text.
        NodeError::Refused(_)
            if status.code() == Code::PermissionDenied
                || (status.code() == Code::Unknown && status.message().contains(NOT_PERMITTED)) =>
        {
            NodeError::NotPermitted(call)
        }
        NodeError::Refused(text) if status.code() == Code::Unknown => match barred_kind(&text) {
            Some(kind) => NodeError::Barred(kind.into()),
            None => NodeError::Refused(text),
        },
        error => error,
    }
}

fn barred_kind(message: &str) -> Option<TroubleKind> {
    BARRED_TEXTS.iter().find(|(text, _)| message.contains(text)).map(|(_, kind)| *kind)
}

/// An error and its sources, on one line.
pub(super) fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let texts: Vec<String> = std::iter::successors(Some(error), |&error| error.source())
        .map(ToString::to_string)
        .collect();
    one_line(&texts.join(": "))
}

/// The error for an answer that makes no sense.
pub(super) fn garbled(what: &str) -> NodeError {
    NodeError::Garbled(one_line(what))
}

/// Text of the node, shortened and without control characters.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
#[path = "errors_test.rs"]
mod tests;
