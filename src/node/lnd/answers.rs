//! What lnd's answers mean, row by row.
//!
//! The status of a payment decides alone: what is under way or paid may carry a failure's reason
//! (lnd #8884). No error ever means that a payment failed, whatever its text.

use std::error::Error as _;

use tonic::{Code, Status};

use super::proto::lnrpc::{
    self, GetInfoResponse, PaymentFailureReason, failure::FailureCode, htlc_attempt::HtlcStatus,
    payment::PaymentStatus,
};
use crate::{
    domain::{
        FailureReason, Msat, Network, NodeId, PaymentHash, Preimage, Timestamp, TroubleKind,
        payment::{Record, RecordState},
    },
    ports::{Connection, Introduction, NodeError, SendUpdate},
};

const MAX_TEXT_CHARS: usize = 200;
const NS_PER_MS: i64 = 1_000_000;
/// How an lnd from before the code `ALREADY_EXISTS` says so, with the code `UNKNOWN`.
const OLD_ALREADY_EXISTS: [&str; 3] =
    ["payment is in transition", "invoice is already paid", "payment already exists"];
/// How lnd says, with the code `UNKNOWN`, that a macaroon does not reach so far.
const NOT_PERMITTED: &str = "permission denied";

/// What our own client (tonic) says with a code that could be the node's: of a stream that a reset or
/// whatever stands in between has cut, too, which hyper hands on as its end.
const OUR_OWN_WORDS: [&str; 3] = [
    "grpc-status header missing",
    "protocol error: missing grpc-status trailer",
    "Service was not ready",
];

/// How lnd says so, with the code `UNKNOWN` (v0.21, each tried or read in its source).
const BARRED: [(&str, TroubleKind); 8] = [
    ("macaroon has expired", TroubleKind::MacaroonExpired),
    ("not satisfied: ", TroubleKind::MacaroonRefused),
    ("verification failed: ", TroubleKind::MacaroonRefused),
    ("cannot get macaroon: ", TroubleKind::MacaroonRefused),
    ("wallet locked, unlock it", TroubleKind::WalletLocked),
    ("wallet not created", TroubleKind::WalletLocked),
    ("in the process of starting up", TroubleKind::Starting),
    ("waiting to start", TroubleKind::Starting),
];

fn barred(text: &str) -> Option<TroubleKind> {
    BARRED.iter().find(|(words, _)| text.contains(words)).map(|(_, kind)| *kind)
}

/// Who the node is, if it is on the network that is `expected`.
pub(super) fn introduction(
    info: &GetInfoResponse,
    expected: Network,
    connection: Connection,
) -> Result<Introduction, NodeError> {
    let [chain] = &info.chains[..] else {
        return Err(garbled("not on exactly one chain"));
    };
    match chain.network.parse::<Network>() {
        Ok(network) if network == expected => {}
        Ok(_) | Err(_) => {
            return Err(NodeError::WrongNetwork { found: one_line(&chain.network), expected });
        }
    }
    Ok(Introduction {
        id: NodeId::parse(&info.identity_pubkey)
            .map_err(|fault| garbled(&format!("identity_pubkey: {fault}")))?,
        alias: one_line(&info.alias),
        network: expected,
        connection,
    })
}

/// The payment as the domain reads it.
pub(super) fn record(payment: &lnrpc::Payment) -> Result<Record, NodeError> {
    Ok(Record {
        payment_hash: payment_hash(&payment.payment_hash)?,
        amount: msat("value_msat", payment.value_msat)?,
        created: created(payment.creation_time_ns),
        state: state(payment)?,
    })
}

/// What a message on a send's stream tells.
pub(super) fn update(payment: &lnrpc::Payment) -> SendUpdate {
    match record(payment) {
        Ok(record) => SendUpdate::Record(record),
        Err(error) => SendUpdate::Lost(error),
    }
}

/// Whether a send's stream ends with this.
pub(super) fn ends_stream(update: &SendUpdate) -> bool {
    match update {
        SendUpdate::Record(record) => match record.state {
            RecordState::InFlight => false,
            RecordState::Succeeded { .. } | RecordState::Failed(_) | RecordState::ResultLost => {
                true
            }
        },
        SendUpdate::AlreadyExists
        | SendUpdate::Refused(_)
        | SendUpdate::Unsent(_)
        | SendUpdate::Lost(_) => true,
    }
}

/// What the end of a look-up with an error tells: only the node's own `NOT_FOUND` is an answer.
pub(super) fn look_up_refusal(status: &Status) -> Result<(), NodeError> {
    match call_error(status, "TrackPaymentV2") {
        NodeError::Refused(_) if status.code() == Code::NotFound => Ok(()),
        error => Err(error),
    }
}

/// What the end of a send with an error tells.
pub(super) fn send_refusal(status: &Status) -> SendUpdate {
    if !is_the_nodes_own(status) {
        return SendUpdate::Lost(error(status));
    }
    match call_error(status, "SendPaymentV2") {
        // That of the send's own deadline.
        NodeError::Barred(trouble) if trouble.kind == TroubleKind::MacaroonExpired => {
            SendUpdate::Refused(error(status))
        }
        // Other words may hold these, those of a file system say.
        NodeError::NotPermitted(_)
            if status.code() == Code::Unknown && status.message() != NOT_PERMITTED =>
        {
            SendUpdate::Refused(error(status))
        }
        // Turned away at the door, before the payment was looked at.
        turned_away @ (NodeError::NotPermitted(_) | NodeError::Barred(_)) => {
            SendUpdate::Unsent(turned_away)
        }
        _ if says_already_exists(status) => SendUpdate::AlreadyExists,
        refused => SendUpdate::Refused(refused),
    }
}

fn says_already_exists(status: &Status) -> bool {
    let old_words = status.code() == Code::Unknown
        && OLD_ALREADY_EXISTS.iter().any(|words| status.message().contains(words));
    old_words || status.code() == Code::AlreadyExists
}

/// Whether lnd's handler said so when it had ended. What befell the connection has a source; some codes
/// are also those of what stands in between, or of our own side. In doubt it was not lnd.
fn is_the_nodes_own(status: &Status) -> bool {
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
    let text = status.message();
    code_of_a_handler
        && status.source().is_none()
        && !OUR_OWN_WORDS.iter().any(|words| text.starts_with(words))
}

/// An error that says nothing about a payment.
pub(super) fn error(status: &Status) -> NodeError {
    // What the node itself sent has no source; what befell the connection has.
    match status.source() {
        Some(source) => NodeError::Unreachable(chain(source)),
        None => NodeError::Refused(one_line(&format!("{:?}: {}", status.code(), status.message()))),
    }
}

/// The same of a call that has no effect: where lnd refuses our credentials, or any service, it is told
/// apart. Not for a send, which has a macaroon of its own that expires.
pub(super) fn call_error(status: &Status, call: &'static str) -> NodeError {
    match error(status) {
        // The code is that of a later lnd; today's says so in words, with the code UNKNOWN.
        NodeError::Refused(_)
            if status.code() == Code::PermissionDenied
                || (status.code() == Code::Unknown && status.message().contains(NOT_PERMITTED)) =>
        {
            NodeError::NotPermitted(call)
        }
        NodeError::Refused(text) if status.code() == Code::Unknown => match barred(&text) {
            Some(kind) => NodeError::Barred(kind.into()),
            None => NodeError::Refused(text),
        },
        error => error,
    }
}

/// An error with all that caused it, fit for [`NodeError`].
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let texts: Vec<String> = std::iter::successors(Some(error), |&error| error.source())
        .map(ToString::to_string)
        .collect();
    one_line(&texts.join(": "))
}

/// An answer that makes no sense.
pub(super) fn garbled(what: &str) -> NodeError {
    NodeError::Garbled(one_line(what))
}

fn state(payment: &lnrpc::Payment) -> Result<RecordState, NodeError> {
    let Ok(status) = PaymentStatus::try_from(payment.status) else {
        return Err(garbled(&format!("payment status {}", payment.status)));
    };
    match status {
        PaymentStatus::Unknown => Err(garbled("payment status UNKNOWN")),
        PaymentStatus::InFlight | PaymentStatus::Initiated => Ok(RecordState::InFlight),
        PaymentStatus::Succeeded => Ok(RecordState::Succeeded {
            // The domain checks it against the hash, so that a wrong one raises an alarm.
            preimage: Preimage::from_bytes(bytes32(&payment.payment_preimage).unwrap_or_default()),
            fee: msat("fee_msat", payment.fee_msat)?,
        }),
        PaymentStatus::Failed => failed(payment),
    }
}

/// A failure is definite only when no HTLC is out. lnd's word FAILED includes that; should it ever
/// contradict its own list, money is not moved.
fn failed(payment: &lnrpc::Payment) -> Result<RecordState, NodeError> {
    let mut is_out = false;
    for htlc in &payment.htlcs {
        match HtlcStatus::try_from(htlc.status) {
            Ok(HtlcStatus::Failed) => {}
            Ok(HtlcStatus::InFlight) => is_out = true,
            Ok(HtlcStatus::Succeeded) => {
                return Err(garbled("a failed payment with a settled HTLC"));
            }
            Err(_) => return Err(garbled(&format!("HTLC status {}", htlc.status))),
        }
    }
    if is_out {
        return Ok(RecordState::InFlight);
    }
    if has_lost_result(payment) {
        return Ok(RecordState::ResultLost);
    }
    Ok(RecordState::Failed(reason(payment.failure_reason)))
}

/// Whether a try counts as failed only because lnd lost its result: the payee may have been paid by it.
///
/// lnd v0.21 stores `UNKNOWN_FAILURE` in three places. When it starts, `failStaleAttempt` fails a try
/// that has no result and whose first channel is closed (lnd #8146, #8174); the migration of its
/// payments to SQL fails tries from before they had numbers. Both name no node as the source. The third
/// is a failure that a node on the way sent, and that lnd cannot decode: it names that node, and its HTLC
/// is gone.
pub(super) fn has_lost_result(payment: &lnrpc::Payment) -> bool {
    payment.htlcs.iter().any(|htlc| {
        htlc.status == i32::from(HtlcStatus::Failed)
            && htlc.failure.is_some_and(|failure| {
                failure.code == i32::from(FailureCode::UnknownFailure)
                    && failure.failure_source_index == 0
            })
    })
}

fn reason(number: i32) -> FailureReason {
    // A reason that a later lnd adds explains nothing to us.
    let Ok(reason) = PaymentFailureReason::try_from(number) else {
        return FailureReason::NodeError;
    };
    match reason {
        PaymentFailureReason::FailureReasonNone | PaymentFailureReason::FailureReasonError => {
            FailureReason::NodeError
        }
        PaymentFailureReason::FailureReasonTimeout => FailureReason::Timeout,
        PaymentFailureReason::FailureReasonNoRoute => FailureReason::NoRoute,
        PaymentFailureReason::FailureReasonIncorrectPaymentDetails => {
            FailureReason::IncorrectPaymentDetails
        }
        PaymentFailureReason::FailureReasonInsufficientBalance => {
            FailureReason::InsufficientBalance
        }
        PaymentFailureReason::FailureReasonCanceled => FailureReason::Canceled,
    }
}

fn payment_hash(text: &str) -> Result<PaymentHash, NodeError> {
    bytes32(text)
        .map(PaymentHash::from_bytes)
        .ok_or_else(|| garbled("payment_hash is not 32 bytes in hexadecimal"))
}

fn msat(field: &str, number: i64) -> Result<Msat, NodeError> {
    Msat::new(number).ok_or_else(|| garbled(&format!("{field} is {number}")))
}

fn created(ns: i64) -> Timestamp {
    if ns > 0 {
        Timestamp::from_ms(ns / NS_PER_MS)
    } else {
        // Not told. Doubt counts as younger: an old record could be taken for a stranger's.
        Timestamp::MAX
    }
}

fn bytes32(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT_CHARS).collect()
}

#[cfg(test)]
#[path = "answers_test.rs"]
mod tests;
