//! The one invoice that every row is about, and what an lnd can say of its payment.

use prost::Message;
use tonic::Code;
use withdrawd::{
    domain::{Preimage, Timestamp, invoice},
    node::simulated::preimage_of,
    runtime::Clock,
};

use crate::{
    bench::clock::TestClock,
    bench::invoices::{InvoiceDraft, hash_of},
    bench::scripted_lnd::{
        Act, end, not_found,
        proto::lnrpc::{
            HtlcAttempt, Payment, PaymentFailureReason, htlc_attempt::HtlcStatus,
            payment::PaymentStatus,
        },
        reply, say,
    },
};

pub const SAT: i64 = 21;

/// What an lnd says in the end that still knows of nothing.
pub fn unknown() -> Vec<Vec<Act>> {
    vec![not_found()]
}

/// Whoever claims with the invoice is the only one.
pub struct InvoiceUnderTest {
    pub invoice: String,
    preimage: Preimage,
    made_at: Timestamp,
}

impl InvoiceUnderTest {
    pub fn new() -> Self {
        let made_at = TestClock::new().now();
        let invoice = InvoiceDraft::new(SAT.unsigned_abs() * 1_000, made_at).build();
        let preimage = preimage_of(&invoice::parse(&invoice).unwrap().payment_secret.unwrap());
        Self { invoice, preimage, made_at }
    }

    pub fn payment(&self, status: PaymentStatus) -> Payment {
        Payment {
            payment_hash: hash_of(&self.invoice).to_string(),
            payment_preimage: "00".repeat(32),
            value_msat: SAT * 1_000,
            payment_request: self.invoice.clone(),
            status: status.into(),
            creation_time_ns: self.made_at.as_ms() * 1_000_000,
            payment_index: 1,
            ..Payment::default()
        }
    }

    pub fn in_flight(&self) -> Payment {
        Payment {
            htlcs: vec![HtlcAttempt {
                status: HtlcStatus::InFlight.into(),
                ..HtlcAttempt::default()
            }],
            ..self.payment(PaymentStatus::InFlight)
        }
    }

    pub fn paid(&self) -> Payment {
        Payment {
            payment_preimage: hex::encode(self.preimage.as_bytes()),
            fee_msat: 3,
            htlcs: vec![HtlcAttempt {
                status: HtlcStatus::Succeeded.into(),
                ..HtlcAttempt::default()
            }],
            ..self.payment(PaymentStatus::Succeeded)
        }
    }

    pub fn failed(&self, reason: PaymentFailureReason) -> Payment {
        self.failed_with(reason.into(), HtlcStatus::Failed.into())
    }

    pub fn failed_with(&self, reason: i32, htlc: i32) -> Payment {
        Payment {
            failure_reason: reason,
            htlcs: vec![HtlcAttempt { status: htlc, ..HtlcAttempt::default() }],
            ..self.payment(PaymentStatus::Failed)
        }
    }

    /// The stream of a lookup or a send that ends with the payment as it is.
    pub fn is_paid(&self) -> Vec<Vec<Act>> {
        vec![reply(&self.paid())]
    }

    /// A lookup of what is on its way: its stream goes on.
    pub fn is_in_flight(&self) -> Vec<Vec<Act>> {
        vec![vec![say(&self.in_flight())]]
    }

    pub fn has_failed(&self, reason: PaymentFailureReason) -> Vec<Vec<Act>> {
        vec![reply(&self.failed(reason))]
    }
}

/// These messages, and then this.
pub fn stream<'m, M: Message + 'm>(
    messages: impl IntoIterator<Item = &'m M>,
    then: impl IntoIterator<Item = Act>,
) -> Vec<Act> {
    messages.into_iter().map(|message| say(message)).chain(then).collect()
}

/// All was said.
pub fn ok() -> Act {
    end(Code::Ok)
}
