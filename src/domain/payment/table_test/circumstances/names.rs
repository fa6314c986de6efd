//! How each circumstance is printed.

use super::{AttemptState, Condition, Report};

impl AttemptState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserved => "RESERVED",
            Self::Sending => "SENDING",
            Self::InFlight => "IN_FLIGHT",
            Self::Paid => "PAID",
            Self::Failed => "FAILED",
            Self::NeedsOperator => "NEEDS_OPERATOR",
        }
    }
}

impl Report {
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::InFlight => "in flight",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refused => "failed with `INCORRECT_PAYMENT_DETAILS`",
            Self::WrongProof => "succeeded, the preimage does not fit",
            Self::ResultLost => "failed, an HTLC's result lost",
            Self::AnotherPayment => "about another hash or amount",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Error => "error, end of stream",
        }
    }
}

impl Condition {
    pub fn name(self) -> &'static str {
        match self {
            Self::Stream => "on its stream",
            Self::BeforeWithdraw => "older than the withdraw",
            Self::NotBeforeWithdraw => "younger than the withdraw",
            Self::BeforeAttempt => "older than the attempt",
            Self::SinceAttempt => "younger than the attempt",
            Self::Settled => "clocks agree, the database server is registered",
            Self::Unsettled => "clocks disagree, or the database server is not registered",
            Self::NotPassed => "the time of a send not passed before the lookup",
            Self::Passed => "the time of every send passed before the lookup",
            Self::Over => "every send over before the lookup",
            Self::Unwitnessed => "a send unanswered, and no witness before the lookup",
            Self::WitnessInTime => "a witness waited for",
            Self::NoTimeForWitness => "a witness waited for too long",
            Self::TooLate => "no send allowed any more",
            Self::InTime => "a send still allowed",
            Self::MaySend => "a send still allowed, the request not paid late",
            Self::MayNotSend => "no send allowed any more, or the request paid late",
            Self::Halted => "nothing is sent now",
            Self::NotHalted => "sends go out",
            Self::Noted => "a failure noted",
            Self::NotNoted => "no failure noted",
            Self::NeverSent => "never sent",
            Self::Sent => "sent",
            Self::OneSend => "one send",
            Self::SeveralSends => "several sends",
            Self::OnlyAnswer => {
                "its only send answered by this; clocks agree, no send lost with another database server"
            }
            Self::NotOnlyAnswer => "otherwise",
            Self::MayRepeat => {
                "a send still allowed, the request not paid late, fewer than 3 refused, the node dedupes"
            }
            Self::MayNotRepeat => {
                "too late, or 3 refused, or paid late, or the node does not dedupe"
            }
            Self::SomeRefusals => "some send refused",
            Self::NoRefusals => "no send refused",
            Self::Foreign => "reason `FOREIGN`",
            Self::NotForeign => "another reason than `FOREIGN`",
            Self::Free => "request ACTIVE, no other attempt open or PAID",
            Self::NotFree => "request not ACTIVE, or another attempt open or PAID",
            Self::Marked => "marked LATE_SUCCESS before",
            Self::NotMarked => "not marked before",
            Self::OtherNode => "from another node",
            Self::Forgetful => "from a node that lost its memory",
        }
    }
}
