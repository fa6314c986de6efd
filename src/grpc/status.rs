//! Maps use-case errors to gRPC statuses (AIP-193): `ErrorInfo` always, `BadRequest` for invalid input.
//!
//! Details travel in a trailer, and clients accept no more than 8 KiB of trailers: they are kept below 6
//! KiB.

use std::{collections::HashMap, sync::Arc};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::fields;
use crate::{
    domain::{NotDeactivatable, PaymentField, Timestamp, Violation, payment::Unresolvable},
    service::{Failure, InstanceError, PaymentError, WithdrawError},
};

const DOMAIN: &str = "withdrawd";
const MAX_VIOLATIONS: usize = 25;

impl From<WithdrawError> for Status {
    fn from(error: WithdrawError) -> Self {
        match error {
            WithdrawError::Invalid(violations) => bad_request(&violations),
            WithdrawError::NotFound => withdraw_not_found(),
            WithdrawError::RequestIdConflict { index } => {
                let metadata = [("index".to_owned(), index.to_string())];
                status(
                    Code::AlreadyExists,
                    "REQUEST_ID_CONFLICT",
                    "the request_id was used before, with different content",
                    metadata.into(),
                    ErrorDetails::new(),
                )
            }
            WithdrawError::NotDeactivatable(why) => not_deactivatable(why),
            WithdrawError::Failed(failure) => failure.into(),
        }
    }
}

impl From<PaymentError> for Status {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::Invalid(violations) => bad_request(&violations),
            PaymentError::NotFound => {
                plain(Code::NotFound, "PAYMENT_NOT_FOUND", "there is no such payment")
            }
            PaymentError::Unresolvable(why) => unresolvable(why),
            PaymentError::Failed(failure) => failure.into(),
        }
    }
}

impl From<InstanceError> for Status {
    fn from(error: InstanceError) -> Self {
        match error {
            InstanceError::Invalid(violations) => bad_request(&violations),
            InstanceError::WithdrawNotFound => withdraw_not_found(),
            InstanceError::NotFenced => {
                plain(Code::FailedPrecondition, "NOT_FENCED", "the instance is not fenced")
            }
            InstanceError::NotUnknown { payment_hash } => {
                let metadata = [("payment_hash".to_owned(), payment_hash.to_string())];
                let text = format!(
                    "the node lists no payment {payment_hash} that the database does not know"
                );
                let details = ErrorDetails::new();
                status(Code::FailedPrecondition, "NOT_UNKNOWN", &text, metadata.into(), details)
            }
            InstanceError::TooManyUnknown => plain(
                Code::FailedPrecondition,
                "TOO_MANY_UNKNOWN",
                "the fence stays: the node has more than 1,000 payments that the database does not know. \
                 Those in paid are marked as paid now. List all, assign the rest in further calls, then \
                 confirm that all were listed (confirm_all_listed; --all-were-listed)",
            ),
            InstanceError::NotRestorable { withdraw, why } => {
                let metadata = [("withdraw_id".to_owned(), withdraw.to_string())];
                let text = format!("{withdraw} cannot be marked as paid: {why}");
                let details = ErrorDetails::new();
                status(Code::FailedPrecondition, why.name(), &text, metadata.into(), details)
            }
            InstanceError::Failed(failure) => failure.into(),
        }
    }
}

/// The cause is for the log, never for the wire: it stays with the status inside the process.
impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        let mut status = match &failure {
            Failure::Node(_) => plain(
                Code::Unavailable,
                "NODE_UNAVAILABLE",
                "the node cannot be asked at the moment, please try again",
            ),
            Failure::NodeNotHere => plain(
                Code::FailedPrecondition,
                "NODE_NOT_HERE",
                "this process has no node; call one that has the roles grpc and payer",
            ),
            // After a failover, older payments are closed only when no lost send can take effect any more.
            Failure::Halted => plain(
                Code::Unavailable,
                "HALTED",
                "the instance is halted, or its database is not verified yet (`withdrawd instance` shows \
                 why); please try again in two minutes",
            ),
            Failure::Unavailable(_) => plain(
                Code::Unavailable,
                "STORE_UNAVAILABLE",
                "the database cannot be reached at the moment, please try again",
            ),
            Failure::Stopping => {
                plain(Code::Unavailable, "STOPPING", "the service is stopping, please try again")
            }
            Failure::Internal(_) => plain(Code::Internal, "INTERNAL", "internal error"),
        };
        status.set_source(Arc::new(failure));
        status
    }
}

fn withdraw_not_found() -> Status {
    plain(Code::NotFound, "WITHDRAW_NOT_FOUND", "there is no such withdraw request")
}

/// The call took longer than the server allows. Its change may still be made.
pub fn timed_out() -> Status {
    plain(Code::Unavailable, "TIMED_OUT", "it took too long, please try again")
}

/// The caller's own deadline has passed.
pub fn deadline_exceeded() -> Status {
    plain(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "it took longer than the call's deadline")
}

fn not_deactivatable(why: NotDeactivatable) -> Status {
    let (reason, text) = match why {
        NotDeactivatable::AlreadyPaid => ("ALREADY_PAID", "the withdraw request is paid"),
        NotDeactivatable::PaymentInFlight => {
            ("PAYMENT_IN_FLIGHT", "an invoice was accepted and is being paid")
        }
        NotDeactivatable::NeedsOperator => (
            "NEEDS_OPERATOR",
            "the payment's outcome is in doubt; an operator must resolve it first",
        ),
    };
    plain(Code::FailedPrecondition, reason, text)
}

fn unresolvable(why: Unresolvable) -> Status {
    let refused = |reason: &str, text: &str, metadata: HashMap<String, String>| {
        status(Code::FailedPrecondition, reason, text, metadata, ErrorDetails::new())
    };
    let none = HashMap::new();
    match why {
        Unresolvable::NotInDoubt(state) => {
            let text = format!("the payment is {} and not NEEDS_OPERATOR", state.name());
            refused("NOT_IN_DOUBT", &text, [("state".to_owned(), state.name().to_owned())].into())
        }
        Unresolvable::SendMayStillArrive(Some(at)) => {
            let at = rfc3339(at);
            let text = format!("a send may still reach the node until {at}; try again after that");
            refused("SEND_MAY_STILL_ARRIVE", &text, [("over_at".to_owned(), at)].into())
        }
        Unresolvable::SendMayStillArrive(None) => {
            let text = "a clock has jumped, so a send may still reach the node; try again in a few \
                        minutes";
            refused("SEND_MAY_STILL_ARRIVE", text, none)
        }
        Unresolvable::SendUnanswered => {
            let text = "a send was never answered, and the node has not shown since that it stores \
                        payments: it may still make this one; repair the node, then try again";
            refused("SEND_UNANSWERED", text, none)
        }
        Unresolvable::InvoiceStillValid(at) => {
            let at = rfc3339(at);
            let text = format!(
                "the payee may still be paid: the invoice is valid until {at}; try again after that"
            );
            refused("INVOICE_STILL_VALID", &text, [("expired_at".to_owned(), at)].into())
        }
        Unresolvable::HtlcHeld => {
            let text = "a channel of the node holds this payment, or may hold it; wait for its end";
            refused("HTLC_HELD", text, none)
        }
        Unresolvable::NodeSaysInFlight => {
            let text = "the node says that the payment is in flight; wait for its end";
            refused("NODE_SAYS_IN_FLIGHT", text, none)
        }
        Unresolvable::NodeSaysPaid => {
            let text = "the node says that the payment is paid; resolve it as paid";
            refused("NODE_SAYS_PAID", text, none)
        }
        Unresolvable::Unconfirmed { said, node_unreachable, payee_unpaid } => {
            let missing = [
                (node_unreachable, "confirm_node_unreachable"),
                (payee_unpaid, "confirm_payee_unpaid"),
            ];
            let missing = missing.into_iter().filter_map(|(is, name)| is.then_some(name));
            let missing = missing.collect::<Vec<_>>().join(",");
            let said = said.name();
            let text =
                format!("the node said {said}, which proves nothing: this requires {missing}");
            let metadata = [("missing".to_owned(), missing), ("node".to_owned(), said.to_owned())];
            refused("CONFIRMATION_REQUIRED", &text, metadata.into())
        }
        Unresolvable::WrongPreimage => {
            let rule = "must hash (SHA-256) to the payment hash";
            bad_request(&[Violation::new(PaymentField::PaidPreimage, rule)])
        }
    }
}

/// RFC 3339, for people and for programs.
fn rfc3339(at: Timestamp) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.as_ms()) * 1_000_000).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

pub fn bad_request(violations: &[Violation]) -> Status {
    let listed: Vec<FieldViolation> = violations
        .iter()
        .take(MAX_VIOLATIONS)
        .map(|violation| FieldViolation::new(fields::path(violation), violation.rule.clone()))
        .collect();
    let text = match listed.as_slice() {
        [] => "bad request".to_owned(),
        [only] => format!("{} {}", only.field, only.description),
        [first, ..] => format!(
            "{} {} (and {} more, see the details)",
            first.field,
            first.description,
            violations.len() - 1
        ),
    };
    let metadata = [("violations".to_owned(), violations.len().to_string())];
    let details = ErrorDetails::with_bad_request(listed);
    status(Code::InvalidArgument, "INVALID_FIELDS", &text, metadata.into(), details)
}

fn plain(code: Code, reason: &str, text: &str) -> Status {
    status(code, reason, text, HashMap::new(), ErrorDetails::new())
}

fn status(
    code: Code,
    reason: &str,
    text: &str,
    metadata: HashMap<String, String>,
    mut details: ErrorDetails,
) -> Status {
    details.set_error_info(reason, DOMAIN, metadata);
    Status::with_error_details(code, text, details)
}
