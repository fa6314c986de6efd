//! An operator's request to resolve a payment, and its rules. All violations are reported at once, by
//! field.

use super::Outcome;
use crate::domain::{
    Actor, ActorDraft, CommonField, Msat, PaymentField, PaymentId, Preimage, Violation,
};

/// An operator's request as received.
#[derive(Clone, Debug)]
pub struct ResolutionDraft {
    /// The payment's id.
    pub id: String,
    /// Who decides, and why.
    pub actor: ActorDraft,
    /// The outcome.
    pub outcome: Option<OutcomeDraft>,
}

/// The outcome of a payment, as received.
#[derive(Clone, Debug)]
pub enum OutcomeDraft {
    /// Paid.
    Paid {
        /// In hex.
        preimage: String,
        /// In millisatoshis.
        fee_msat: Option<i64>,
    },
    /// Not paid.
    Failed {
        /// The operator confirms that the node that was asked is gone and will never run again.
        node_unreachable: bool,
        /// The payee confirms that nothing was paid.
        payee_unpaid: bool,
        /// No channel holds an HTLC of what the node reports as in flight.
        stranded: bool,
    },
}

/// A draft that fulfils all rules.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resolution {
    /// Which payment.
    pub payment: PaymentId,
    /// Who decides, and why.
    pub by: Actor,
    /// The outcome.
    pub outcome: Outcome,
}

impl ResolutionDraft {
    /// Checks every field and reports every violation.
    pub fn validate(self) -> Result<Resolution, Vec<Violation>> {
        let mut violations = Vec::new();
        let payment = PaymentId::parse(&self.id)
            .map_err(|fault| violations.push(Violation::new(CommonField::Id, fault)));
        let by = self.actor.validate().map_err(|broken| violations.extend(broken));
        let mut broken = |field, rule: String| violations.push(Violation::new(field, rule));
        let outcome = match self.outcome {
            None => {
                broken(PaymentField::Outcome, "is required: paid or failed".to_owned());
                None
            }
            Some(OutcomeDraft::Failed { node_unreachable, payee_unpaid, stranded }) => {
                Some(Outcome::Failed { node_unreachable, payee_unpaid, stranded })
            }
            Some(OutcomeDraft::Paid { preimage, fee_msat }) => {
                let preimage = Preimage::parse(&preimage);
                if preimage.is_none() {
                    broken(PaymentField::PaidPreimage, "must be 32 bytes in hex".to_owned());
                }
                let fee = fee_msat.map(Msat::new);
                if fee == Some(None) {
                    broken(PaymentField::PaidFee, format!("must be from 0 to {}", Msat::MAX.get()));
                }
                preimage.map(|preimage| Outcome::Paid { preimage, fee: fee.flatten() })
            }
        };
        match (payment, by, outcome) {
            (Ok(payment), Ok(by), Some(outcome)) if violations.is_empty() => {
                Ok(Resolution { payment, by, outcome })
            }
            _ => Err(violations),
        }
    }
}
