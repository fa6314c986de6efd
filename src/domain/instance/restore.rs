//! After a database was restored: what its node paid and it does not know.

use crate::domain::{
    Actor, Change, Hold, Msat, NodeId, PaymentHash, PaymentId, Preimage, Status, Timestamp,
    Withdraw, WithdrawView, invoice,
    payment::{Record, RecordState},
};

/// A payment that the node made and the database lost: every row of its transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// A new one.
    pub id: PaymentId,
    /// What was paid.
    pub invoice: String,
    /// Unknown to the database until now.
    pub payment_hash: PaymentHash,
    /// Of the invoice.
    pub amount: Msat,
    /// The proof.
    pub preimage: Preimage,
    /// What routing cost.
    pub fee: Msat,
    /// When it was put back.
    pub at: Timestamp,
    /// The request, now PAID.
    pub change: Change,
}

/// Why a payment cannot be what a request was paid with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotRestorable {
    /// Another payment, or its end, stands there.
    #[error("the withdraw request is {}", .0.name())]
    NotActive(Status),
    /// An attempt of it that was sent is open: that one has to end first.
    #[error("an attempt of the withdraw request was sent and is open; it has to end first")]
    AttemptOpen,
    /// The node does not call it paid.
    #[error("the node does not say that this payment succeeded")]
    NotPaid,
    /// The request allows other amounts.
    #[error("the amount is not within those of the withdraw request")]
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

/// Whether a payment that a node lists can have been made by this service: of an invoice, and not to
/// the node itself.
pub fn can_be_ours(bolt11: &str, node: &NodeId) -> bool {
    let parsed = invoice::normalise(bolt11).and_then(|text| invoice::parse(&text));
    parsed.is_ok_and(|invoice| invoice.payee.to_string() != node.as_str())
}

impl Restored {
    /// Whether `withdraw` can have been paid by `record`, whatever attempt of it is open: the proof, and
    /// what routing cost.
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

    /// What is written when `by` says that `view`'s request was paid by `record`.
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
