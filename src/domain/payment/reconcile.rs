//! Compares the node's payments with our attempts: what each difference means.

use crate::domain::{
    Msat, State,
    payment::{PaymentView, Record, RecordState},
};

/// How our attempt compares with the node's record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Verdict {
    /// Both agree.
    Matches,
    /// Open here, and not paid there: it is being followed.
    UnderWay,
    /// Paid there, and not (yet) recorded as paid here.
    PaidOnlyThere,
    /// PAID here, but the node does not report it as paid.
    PaidOnlyHere,
    /// Paid on both sides, with different fees.
    FeeDiffers,
    /// The amounts differ.
    AmountDiffers,
    /// FAILED here, in flight there.
    StillUnderWayThere,
    /// The node made a payment that is no attempt here.
    UnknownHere,
}

impl Verdict {
    /// An explanation for the operator, with what to do.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Matches => "both sides agree",
            Self::UnderWay => "the payment has not ended; withdrawd looks it up until it has",
            Self::PaidOnlyThere => {
                "the node paid: an open payment becomes PAID at its next lookup; resolve one that needs \
                 an operator as paid; a failed one is a late success"
            }
            Self::PaidOnlyHere => {
                "the node does not report it as paid: its record was deleted, another node paid, or \
                 the node was restored; the preimage stored here is the proof"
            }
            Self::FeeDiffers => "paid on both sides; the node's fee is the actual cost",
            Self::AmountDiffers => {
                "the two records are of different payments: compare the invoice with the node's record"
            }
            Self::StillUnderWayThere => {
                "closed as failed here, but in flight at the node; it is looked up again"
            }
            Self::UnknownHere => {
                "made by other software or by hand, or lost with the database (see \
                 acknowledge-restore)"
            }
        }
    }

    /// Whether the operator has nothing to examine.
    pub const fn is_fine(self) -> bool {
        matches!(self, Self::Matches | Self::UnderWay)
    }

    /// Compares what both sides have for one payment hash. None if there is no attempt here and no
    /// money moved there.
    pub fn of(here: Option<&PaymentView>, there: Option<&Record>) -> Option<Self> {
        let Some(payment) = here else {
            return there.and_then(|record| match record.state {
                RecordState::Failed(_) => None,
                // If the result was lost, the payee may have the money.
                RecordState::InFlight | RecordState::Succeeded { .. } | RecordState::ResultLost => {
                    Some(Self::UnknownHere)
                }
            });
        };
        Some(match there {
            Some(record) if record.amount != payment.amount => Self::AmountDiffers,
            Some(Record { state: RecordState::Succeeded { fee, .. }, .. }) => {
                succeeded(&payment.state, *fee)
            }
            Some(Record { state: RecordState::InFlight, .. }) => match payment.state {
                State::Paid { .. } => Self::PaidOnlyHere,
                State::Failed { .. } => Self::StillUnderWayThere,
                State::Reserved
                | State::Sending
                | State::InFlight
                | State::NeedsOperator { .. } => Self::UnderWay,
            },
            Some(Record { state: RecordState::Failed(_) | RecordState::ResultLost, .. }) | None => {
                match payment.state {
                    State::Paid { .. } => Self::PaidOnlyHere,
                    State::Failed { .. } => Self::Matches,
                    State::Reserved
                    | State::Sending
                    | State::InFlight
                    | State::NeedsOperator { .. } => Self::UnderWay,
                }
            }
        })
    }
}

fn succeeded(here: &State, there: Msat) -> Verdict {
    match here {
        State::Paid { fee, .. } if *fee == there => Verdict::Matches,
        State::Paid { .. } => Verdict::FeeDiffers,
        State::Reserved
        | State::Sending
        | State::InFlight
        | State::Failed { .. }
        | State::NeedsOperator { .. } => Verdict::PaidOnlyThere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        FailureReason, OperatorReason, PaymentId, Preimage, Timestamp, WithdrawId,
    };

    const AT: Timestamp = Timestamp::from_ms(1_800_000_000_000);

    fn msat(n: i64) -> Msat {
        Msat::new(n).unwrap()
    }

    fn here(state: State) -> PaymentView {
        PaymentView {
            id: PaymentId::new(AT, &[0; 10]),
            withdraw: WithdrawId::new(AT, &[0; 10]),
            invoice: String::new(),
            payment_hash: Preimage::from_bytes([7; 32]).hash(),
            amount: msat(1000),
            fee_limit: msat(10),
            state,
        }
    }

    fn there(state: RecordState) -> Record {
        let payment_hash = Preimage::from_bytes([7; 32]).hash();
        Record { payment_hash, amount: msat(1000), created: AT, state }
    }

    #[test]
    fn every_pair_of_states_has_its_verdict() {
        use RecordState::{Failed, InFlight, Succeeded};
        use Verdict::{
            FeeDiffers, Matches, PaidOnlyHere, PaidOnlyThere, StillUnderWayThere, UnderWay,
        };

        let preimage = Preimage::from_bytes([7; 32]);
        let paid = State::Paid { preimage, fee: msat(1), at: AT };
        let failed = State::Failed { reason: FailureReason::NoRoute, at: AT, late: None };
        let doubt = State::NeedsOperator { reason: OperatorReason::Vanished, at: AT };
        let success = Succeeded { preimage, fee: msat(1) };
        let dearer = Succeeded { preimage, fee: msat(2) };
        let no_route = Failed(FailureReason::NoRoute);
        // Not found, in flight, failed, succeeded, succeeded with another fee.
        let table = [
            (State::Reserved, [UnderWay, UnderWay, UnderWay, PaidOnlyThere, PaidOnlyThere]),
            (State::Sending, [UnderWay, UnderWay, UnderWay, PaidOnlyThere, PaidOnlyThere]),
            (State::InFlight, [UnderWay, UnderWay, UnderWay, PaidOnlyThere, PaidOnlyThere]),
            (doubt, [UnderWay, UnderWay, UnderWay, PaidOnlyThere, PaidOnlyThere]),
            (failed, [Matches, StillUnderWayThere, Matches, PaidOnlyThere, PaidOnlyThere]),
            (paid, [PaidOnlyHere, PaidOnlyHere, PaidOnlyHere, Matches, FeeDiffers]),
        ];
        for (state, verdicts) in table {
            let records = [None, Some(InFlight), Some(no_route), Some(success), Some(dearer)];
            for (record, verdict) in records.into_iter().zip(verdicts) {
                let record = record.map(there);
                let found = Verdict::of(Some(&here(state)), record.as_ref());
                assert_eq!(found, Some(verdict), "{state:?} and {record:?}");
            }
        }
        let unknown = |record| Verdict::of(None, Some(&there(record)));
        assert_eq!(unknown(success), Some(Verdict::UnknownHere));
        assert_eq!(unknown(InFlight), Some(Verdict::UnknownHere));
        assert_eq!(unknown(no_route), None);
        let other = Record { amount: msat(2000), ..there(success) };
        assert_eq!(Verdict::of(Some(&here(paid)), Some(&other)), Some(Verdict::AmountDiffers));
    }
}
