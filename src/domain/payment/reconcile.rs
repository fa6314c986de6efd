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
    /// PAID here, or FAILED with a late success, but the node does not report it as paid.
    PaidOnlyHere,
    /// Paid on both sides, with different fees.
    FeeDiffers,
    /// The amounts differ.
    AmountDiffers,
    /// FAILED here, in flight there.
    StillUnderWayThere,
    /// The node made a payment that is no attempt here.
    UnknownHere,
    /// NEEDS_OPERATOR here, and not paid there: nothing but an operator closes it as failed.
    NeedsOperator,
    /// Open or FAILED here. The node has lost the result of an HTLC, which the payee may have settled.
    ResultLostThere,
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
            Self::NeedsOperator => {
                "the payment is in doubt, and its request stays closed until you resolve it (withdrawd \
                 resolve); if the node reports it as in flight, wait for its end"
            }
            Self::ResultLostThere => {
                "the node lost the result of an HTLC, so the payee may have been paid: ask the payee. An \
                 open payment needs an operator from its next lookup on. If one that is failed here was \
                 paid, or nobody can tell, deactivate its request while it is ACTIVE, or it is paid again"
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
            Some(Record { state: RecordState::InFlight, .. }) => {
                unpaid(&payment.state, Self::UnderWay, Self::StillUnderWayThere)
            }
            Some(Record { state: RecordState::ResultLost, .. }) => {
                unpaid(&payment.state, Self::ResultLostThere, Self::ResultLostThere)
            }
            Some(Record { state: RecordState::Failed(_), .. }) | None => {
                unpaid(&payment.state, Self::UnderWay, Self::Matches)
            }
        })
    }
}

/// The verdict on a payment that the node does not report as paid, if it is `open` or `failed` here.
const fn unpaid(here: &State, open: Verdict, failed: Verdict) -> Verdict {
    match here {
        // A late success was paid, whatever its state is called.
        State::Paid { .. } | State::Failed { late: Some(_), .. } => Verdict::PaidOnlyHere,
        State::Failed { late: None, .. } => failed,
        State::NeedsOperator { .. } => Verdict::NeedsOperator,
        State::Reserved | State::Sending | State::InFlight => open,
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
        payment::LateSuccess,
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
        use RecordState::{Failed, InFlight, ResultLost, Succeeded};
        use Verdict::{
            FeeDiffers, Matches, NeedsOperator, PaidOnlyHere, PaidOnlyThere, ResultLostThere,
            StillUnderWayThere, UnderWay,
        };

        let preimage = Preimage::from_bytes([7; 32]);
        let paid = State::Paid { preimage, fee: msat(1), at: AT };
        let reason = FailureReason::NoRoute;
        let failed = State::Failed { reason, at: AT, late: None };
        let late = Some(LateSuccess { preimage, fee: msat(1), at: AT });
        let paid_late = State::Failed { reason, at: AT, late };
        let doubt = State::NeedsOperator { reason: OperatorReason::Vanished, at: AT };
        let success = Succeeded { preimage, fee: msat(1) };
        let dearer = Succeeded { preimage, fee: msat(2) };
        let no_route = Failed(FailureReason::NoRoute);
        let records = [None, Some(InFlight), Some(no_route), Some(ResultLost), Some(success)];
        let open = [UnderWay, UnderWay, UnderWay, ResultLostThere, PaidOnlyThere];
        let table = [
            (State::Reserved, open),
            (State::Sending, open),
            (State::InFlight, open),
            (doubt, [NeedsOperator, NeedsOperator, NeedsOperator, NeedsOperator, PaidOnlyThere]),
            (failed, [Matches, StillUnderWayThere, Matches, ResultLostThere, PaidOnlyThere]),
            (paid_late, [PaidOnlyHere, PaidOnlyHere, PaidOnlyHere, PaidOnlyHere, PaidOnlyThere]),
            (paid, [PaidOnlyHere, PaidOnlyHere, PaidOnlyHere, PaidOnlyHere, Matches]),
        ];
        for (state, verdicts) in table {
            for (record, verdict) in records.into_iter().zip(verdicts) {
                let record = record.map(there);
                let found = Verdict::of(Some(&here(state)), record.as_ref());
                assert_eq!(found, Some(verdict), "{state:?} and {record:?}");
            }
        }
        let fees = Verdict::of(Some(&here(paid)), Some(&there(dearer)));
        assert_eq!(fees, Some(FeeDiffers));
        let unknown = |record| Verdict::of(None, Some(&there(record)));
        assert_eq!(unknown(success), Some(Verdict::UnknownHere));
        assert_eq!(unknown(InFlight), Some(Verdict::UnknownHere));
        assert_eq!(unknown(ResultLost), Some(Verdict::UnknownHere));
        assert_eq!(unknown(no_route), None);
        let other = Record { amount: msat(2000), ..there(success) };
        assert_eq!(Verdict::of(Some(&here(paid)), Some(&other)), Some(Verdict::AmountDiffers));
    }
}
