//! Reads lnd's payments.
//!
//! Its status alone decides: a payment in flight or succeeded may carry a failure reason (lnd #8884).

use super::{
    errors::garbled,
    proto::lnrpc::{
        self, PaymentFailureReason, failure::FailureCode, htlc_attempt::HtlcStatus,
        payment::PaymentStatus,
    },
};
use crate::{
    domain::{
        FailureReason, Msat, PaymentHash, Preimage, Timestamp,
        payment::{Record, RecordState},
    },
    ports::{NodeError, SendUpdate},
};

const NS_PER_MS: i64 = 1_000_000;

/// The payment in the domain's types.
pub(super) fn record(payment: &lnrpc::Payment) -> Result<Record, NodeError> {
    Ok(Record {
        payment_hash: payment_hash(&payment.payment_hash)?,
        amount: msat("value_msat", payment.value_msat)?,
        created: created(payment.creation_time_ns),
        state: state(payment)?,
    })
}

/// What a message on a send's stream means.
pub(super) fn update(payment: &lnrpc::Payment) -> SendUpdate {
    match record(payment) {
        Ok(record) => SendUpdate::Record(record),
        Err(error) => SendUpdate::Lost(error),
    }
}

/// Whether a send's stream ends with this update.
pub(super) fn is_final(update: &SendUpdate) -> bool {
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

fn state(payment: &lnrpc::Payment) -> Result<RecordState, NodeError> {
    let Ok(status) = PaymentStatus::try_from(payment.status) else {
        return Err(garbled(&format!("payment status {}", payment.status)));
    };
    match status {
        PaymentStatus::Unknown => Err(garbled("payment status UNKNOWN")),
        PaymentStatus::InFlight | PaymentStatus::Initiated => Ok(RecordState::InFlight),
        PaymentStatus::Succeeded => Ok(RecordState::Succeeded {
            // The domain compares it with the hash, and raises an alarm if it is wrong.
            preimage: Preimage::from_bytes(bytes32(&payment.payment_preimage).unwrap_or_default()),
            fee: msat("fee_msat", payment.fee_msat)?,
        }),
        PaymentStatus::Failed => failed(payment),
    }
}

/// A failure is final only when no HTLC is in flight. FAILED implies that; if lnd's own list of attempts
/// contradicts it, the payment counts as in flight.
fn failed(payment: &lnrpc::Payment) -> Result<RecordState, NodeError> {
    let mut in_flight = false;
    for htlc in &payment.htlcs {
        match HtlcStatus::try_from(htlc.status) {
            Ok(HtlcStatus::Failed) => {}
            Ok(HtlcStatus::InFlight) => in_flight = true,
            Ok(HtlcStatus::Succeeded) => {
                return Err(garbled("a failed payment has a settled HTLC"));
            }
            Err(_) => return Err(garbled(&format!("HTLC status {}", htlc.status))),
        }
    }
    if in_flight {
        return Ok(RecordState::InFlight);
    }
    if has_lost_result(payment) {
        return Ok(RecordState::ResultLost);
    }
    Ok(RecordState::Failed(reason(payment.failure_reason)))
}

/// Whether an attempt failed only because lnd lost its result. The payee may have been paid.
///
/// lnd v0.21 stores `UNKNOWN_FAILURE` in three places:
///
/// - at its start, `failStaleAttempt` fails an attempt that has no result and whose first channel is
///   closed (lnd #8146, #8174),
/// - its migration to SQL fails attempts from before they had numbers,
/// - a node on the route sent a failure that lnd cannot decode. That HTLC is gone.
///
/// Only the third names a node as the source.
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
    // A reason of a later lnd.
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
        .ok_or_else(|| garbled("payment_hash is not 32 bytes of hexadecimal"))
}

fn msat(field: &str, number: i64) -> Result<Msat, NodeError> {
    Msat::new(number).ok_or_else(|| garbled(&format!("{field} is {number}")))
}

fn created(ns: i64) -> Timestamp {
    if ns > 0 {
        Timestamp::from_ms(ns / NS_PER_MS)
    } else {
        // Unknown. It counts as new: if it counted as old, our own payment could be taken for somebody
        // else's, and its attempt be closed.
        Timestamp::MAX
    }
}

fn bytes32(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
#[path = "records_test.rs"]
mod tests;
