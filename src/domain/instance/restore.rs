//! After a database restore: payments that the node made and the database lost.

use crate::domain::{
    Actor, Change, Hold, Msat, NodeId, PaymentHash, PaymentId, Preimage, Status, Timestamp,
    Withdraw, WithdrawView, invoice,
    payment::{Record, RecordState},
};

/// A payment that the node made and the database lost: every row of its transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// A new id.
    pub id: PaymentId,
    /// The invoice that was paid.
    pub invoice: String,
    /// Unknown to the database until now.
    pub payment_hash: PaymentHash,
    /// The invoice's amount.
    pub amount: Msat,
    /// The proof of payment.
    pub preimage: Preimage,
    /// The routing fee.
    pub fee: Msat,
    /// When it was restored.
    pub at: Timestamp,
    /// The request, now PAID.
    pub change: Change,
}

/// Why a payment cannot be recorded as the one that paid a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotRestorable {
    /// The request is PAID by another payment, or deactivated.
    #[error("the withdraw request is {}", .0.name())]
    NotActive(Status),
    /// An open attempt of it was sent, and must end first.
    #[error("an open attempt of the withdraw request was sent; it must end first")]
    AttemptOpen,
    /// The node does not report it as paid.
    #[error("the node does not report this payment as paid")]
    NotPaid,
    /// The amount is outside the request's range.
    #[error("the amount is outside the withdraw request's range")]
    Amount,
}

impl NotRestorable {
    /// The name that the wire uses.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotActive(_) => "NOT_ACTIVE",
            Self::AttemptOpen => "ATTEMPT_OPEN",
            Self::NotPaid => "NOT_PAID",
            Self::Amount => "AMOUNT_MISMATCH",
        }
    }
}

/// Whether this service can have made a payment that a node lists: it has an invoice, and the payee is
/// not the node itself.
pub fn can_be_ours(bolt11: &str, node: &NodeId) -> bool {
    let parsed = invoice::normalise(bolt11).and_then(|text| invoice::parse(&text));
    parsed.is_ok_and(|invoice| invoice.payee.to_string() != node.as_str())
}

impl Restored {
    /// Checks whether `record` can have paid `withdraw`, ignoring any open attempt. Returns the proof
    /// and the routing fee.
    pub fn fits(withdraw: &Withdraw, record: &Record) -> Result<(Preimage, Msat), NotRestorable> {
        if withdraw.status != Status::Active {
            return Err(NotRestorable::NotActive(withdraw.status));
        }
        let RecordState::Succeeded { preimage, fee } = record.state else {
            return Err(NotRestorable::NotPaid);
        };
        if preimage.hash() != record.payment_hash {
            return Err(NotRestorable::NotPaid);
        }
        let (least, most) =
            (withdraw.terms.target_min.to_msat(), withdraw.terms.target_max.to_msat());
        if record.amount < least || record.amount > most {
            return Err(NotRestorable::Amount);
        }
        Ok((preimage, fee))
    }

    /// What to write when `by` declares that `record` paid the request of `view`.
    pub fn new(
        view: &WithdrawView,
        record: &Record,
        invoice: String,
        id: PaymentId,
        by: Actor,
        now: Timestamp,
    ) -> Result<Self, NotRestorable> {
        let withdraw = &view.withdraw;
        let (preimage, fee) = Self::fits(withdraw, record)?;
        if withdraw.attempt.is_some_and(|attempt| attempt.hold != Hold::Released) {
            return Err(NotRestorable::AttemptOpen);
        }
        Ok(Self {
            id,
            invoice,
            payment_hash: record.payment_hash,
            amount: record.amount,
            preimage,
            fee,
            at: now,
            change: withdraw.clone().pay(id, now).signed(by),
        })
    }
}
