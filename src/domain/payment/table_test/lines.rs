//! The rows of the contract, in its order and words, and which circumstances belong to each.

use super::circumstances::{From, Says, When};

/// A row of the contract.
pub struct Row {
    /// State and the node's word.
    pub label: &'static str,
    /// What follows, as the contract demands it.
    pub demands: &'static str,
}

/// Some circumstances of a row (counted from 1).
#[derive(Debug)]
pub struct Line {
    pub row: usize,
    pub from: &'static [From],
    pub says: &'static [Says],
    pub when: &'static [When],
}

const fn row(label: &'static str, demands: &'static str) -> Row {
    Row { label, demands }
}

pub const CONTRACT: [Row; 21] = [
    row(
        "RESERVED, looked up before its first send: not found, or a FAILED older than the attempt",
        "Send; if the remaining life is under the minimum: FAILED without a send.",
    ),
    row(
        "RESERVED: succeeded or in flight, older than the withdraw",
        "FAILED, `INVOICE_KNOWN_TO_NODE`: it cannot have been ours.",
    ),
    row(
        "RESERVED: known, younger than the withdraw",
        "NEEDS_OPERATOR: our own SENDING may have been lost with the database.",
    ),
    row(
        "SENDING, IN_FLIGHT: succeeded; preimage, hash, amount match",
        "PAID; book the actual fee.",
    ),
    row(
        "SENDING, IN_FLIGHT: succeeded with zero or wrong preimage; about another hash or amount",
        "NEEDS_OPERATOR, alarm.",
    ),
    row("SENDING: in flight, initiated", "IN_FLIGHT; follow it."),
    row(
        "SENDING: ALREADY_EXISTS, any text, to the attempt's only send",
        "NEEDS_OPERATOR, reason `FOREIGN`: somebody else sent it; with several sends: look up.",
    ),
    row(
        "SENDING, IN_FLIGHT: failed",
        "Note it. FAILED at once when the attempt's only send was answered on its own stream; \
         otherwise when every send is over and the node says failed or not found.",
    ),
    row(
        "SENDING, IN_FLIGHT: failed with `INCORRECT_PAYMENT_DETAILS`, more than one send",
        "NEEDS_OPERATOR: the payee may have been paid by a send whose record is gone.",
    ),
    row(
        "SENDING, IN_FLIGHT: failed, the result of an HTLC lost",
        "NEEDS_OPERATOR: lnd has lost it in a restart, and the payee may have been paid.",
    ),
    row(
        "SENDING: any RPC error, end of stream, node syncing, unknown status number",
        "Stay; look up, with back-off.",
    ),
    row(
        "SENDING: not found, the time of every send passed, before `send_until`, fewer than 3 sends \
         refused by the node itself, node dedupes by hash",
        "Send the same invoice again.",
    ),
    row(
        "SENDING: not found, every send over, no further send allowed",
        "FAILED (`NODE_REFUSED`, `NOT_SENT`).",
    ),
    row(
        "SENDING, IN_FLIGHT: what would close it, but a send is unanswered and there is no witness",
        "Stay; make a write witness; long after `send_until` NEEDS_OPERATOR.",
    ),
    row("IN_FLIGHT, no failure noted: not found", "NEEDS_OPERATOR."),
    row("FAILED, never sent: anything", "Nothing."),
    row(
        "FAILED after a send: succeeded, late",
        "PAID if the request is ACTIVE and has no other open or PAID attempt; else it stays FAILED, \
         marked LATE_SUCCESS; never dropped.",
    ),
    row(
        "NEEDS_OPERATOR: succeeded, preimage matches, reason not `FOREIGN`",
        "PAID; a failure never closes it.",
    ),
    row(
        "NEEDS_OPERATOR: the operator resolves as failed",
        "Only a person does: no other word of the node changes anything.",
    ),
    row(
        "Any: the node's identity changed; or it no longer knows the newest payment that this store \
         saw it know",
        "Sends stop; what is in doubt NEEDS_OPERATOR.",
    ),
    row("What no row of the contract names", "Doubt where there is any; else nothing."),
];

const fn line(
    row: usize,
    from: &'static [From],
    says: &'static [Says],
    when: &'static [When],
) -> Line {
    Line { row, from, says, when }
}

const ANYTHING: &[Says] = &[
    Says::NotFound,
    Says::InFlight,
    Says::Succeeded,
    Says::Failed,
    Says::Refused,
    Says::WrongProof,
    Says::ResultLost,
    Says::AnotherPayment,
    Says::AlreadyExists,
    Says::Error,
];
const NOT_FOUND: &[Says] = &[Says::NotFound];
const FAILED: &[Says] = &[Says::Failed, Says::Refused];
const TELLS_NOTHING: &[Says] = &[Says::NotFound, Says::Failed, Says::Refused];
const PAID_OR_MOVING: &[Says] =
    &[Says::InFlight, Says::Succeeded, Says::WrongProof, Says::ResultLost];
const RESERVED: &[From] = &[From::Reserved];
const SENDING: &[From] = &[From::Sending];
const IN_FLIGHT: &[From] = &[From::InFlight];
const FOLLOWED: &[From] = &[From::Sending, From::InFlight];
const CLOSED: &[From] = &[From::Failed];
const DOUBT: &[From] = &[From::NeedsOperator];
const ENDED_OR_DOUBT: &[From] = &[From::NeedsOperator, From::Failed, From::Paid];
const OTHERS: &[From] = &[From::Reserved, From::NeedsOperator, From::Failed, From::Paid];

pub const LINES: &[Line] = {
    use When::{
        BeforeAttempt, BeforeWithdraw, Foreign, Forgetful, Free, Halted, InTime, Marked,
        MayNotRepeat, MayNotSend, MayRepeat, MaySend, NeverSent, NoRefusals, NoTimeForWitness,
        NotBeforeWithdraw, NotForeign, NotFree, NotHalted, NotMarked, NotNoted, NotOnlyAnswer,
        NotPassed, Noted, OneSend, OnlyAnswer, OtherNode, Over, Passed, Sent, Settled,
        SeveralSends, SinceAttempt, SomeRefusals, Stream, TooLate, Unsettled, Unwitnessed,
        WitnessInTime,
    };
    &[
        line(1, RESERVED, NOT_FOUND, &[Settled, MaySend, NotHalted]),
        line(1, RESERVED, NOT_FOUND, &[Settled, MaySend, Halted]),
        line(1, RESERVED, NOT_FOUND, &[MayNotSend, Over]),
        line(1, RESERVED, FAILED, &[BeforeAttempt, Settled, MaySend, NotHalted]),
        line(1, RESERVED, FAILED, &[BeforeAttempt, Settled, MaySend, Halted]),
        line(1, RESERVED, FAILED, &[BeforeAttempt, MayNotSend, Over]),
        line(2, RESERVED, PAID_OR_MOVING, &[BeforeWithdraw, Over]),
        line(3, RESERVED, PAID_OR_MOVING, &[NotBeforeWithdraw, Settled]),
        line(3, RESERVED, FAILED, &[SinceAttempt, Settled]),
        line(4, FOLLOWED, &[Says::Succeeded], &[]),
        line(5, FOLLOWED, &[Says::WrongProof], &[]),
        line(5, FOLLOWED, &[Says::AnotherPayment], &[]),
        line(6, SENDING, &[Says::InFlight], &[]),
        line(7, SENDING, &[Says::AlreadyExists], &[OneSend]),
        line(7, SENDING, &[Says::AlreadyExists], &[SeveralSends]),
        line(8, FOLLOWED, &[Says::Failed], &[Stream, OnlyAnswer]),
        line(8, FOLLOWED, &[Says::Failed], &[Stream, NotOnlyAnswer]),
        line(8, FOLLOWED, &[Says::Failed], &[Over]),
        line(8, FOLLOWED, &[Says::Failed], &[NotPassed, NotNoted]),
        line(8, FOLLOWED, &[Says::Failed], &[NotPassed, Noted]),
        line(8, FOLLOWED, &[Says::Refused], &[Stream, OnlyAnswer]),
        line(8, FOLLOWED, &[Says::Refused], &[Stream, OneSend, NotOnlyAnswer]),
        line(8, FOLLOWED, &[Says::Refused], &[OneSend, Over]),
        line(8, FOLLOWED, &[Says::Refused], &[OneSend, NotPassed, NotNoted]),
        line(8, FOLLOWED, &[Says::Refused], &[OneSend, NotPassed, Noted]),
        line(8, FOLLOWED, NOT_FOUND, &[Noted, Over]),
        line(8, FOLLOWED, NOT_FOUND, &[Noted, NotPassed]),
        line(9, FOLLOWED, &[Says::Refused], &[SeveralSends]),
        line(10, FOLLOWED, &[Says::ResultLost], &[]),
        line(11, SENDING, &[Says::Error], &[]),
        line(12, SENDING, NOT_FOUND, &[NotNoted, Passed, MayRepeat, NotHalted]),
        line(12, SENDING, NOT_FOUND, &[NotNoted, Passed, MayRepeat, Halted]),
        line(12, SENDING, NOT_FOUND, &[NotNoted, NotPassed]),
        line(13, SENDING, NOT_FOUND, &[NotNoted, Over, MayNotRepeat, SomeRefusals]),
        line(13, SENDING, NOT_FOUND, &[NotNoted, Over, MayNotRepeat, NoRefusals]),
        line(14, SENDING, NOT_FOUND, &[NotNoted, MayNotRepeat, Unwitnessed, WitnessInTime]),
        line(14, SENDING, NOT_FOUND, &[NotNoted, MayNotRepeat, Unwitnessed, NoTimeForWitness]),
        line(14, FOLLOWED, NOT_FOUND, &[Noted, Unwitnessed, WitnessInTime]),
        line(14, FOLLOWED, NOT_FOUND, &[Noted, Unwitnessed, NoTimeForWitness]),
        line(14, FOLLOWED, &[Says::Failed], &[NotNoted, Unwitnessed, WitnessInTime]),
        line(14, FOLLOWED, &[Says::Failed], &[Noted, Unwitnessed, WitnessInTime]),
        line(14, FOLLOWED, &[Says::Failed], &[Unwitnessed, NoTimeForWitness]),
        line(14, FOLLOWED, &[Says::Refused], &[OneSend, NotNoted, Unwitnessed, WitnessInTime]),
        line(14, FOLLOWED, &[Says::Refused], &[OneSend, Noted, Unwitnessed, WitnessInTime]),
        line(14, FOLLOWED, &[Says::Refused], &[OneSend, Unwitnessed, NoTimeForWitness]),
        line(15, IN_FLIGHT, NOT_FOUND, &[NotNoted]),
        line(16, CLOSED, ANYTHING, &[NeverSent]),
        line(17, CLOSED, &[Says::Succeeded], &[Sent, Free]),
        line(17, CLOSED, &[Says::Succeeded], &[Sent, NotFree, NotMarked]),
        line(17, CLOSED, &[Says::Succeeded], &[Sent, NotFree, Marked]),
        line(18, DOUBT, &[Says::Succeeded], &[NotForeign]),
        line(18, DOUBT, &[Says::Succeeded], &[Foreign]),
        line(18, DOUBT, FAILED, &[]),
        line(
            19,
            DOUBT,
            &[
                Says::NotFound,
                Says::InFlight,
                Says::WrongProof,
                Says::ResultLost,
                Says::AnotherPayment,
                Says::AlreadyExists,
                Says::Error,
            ],
            &[],
        ),
        line(20, FOLLOWED, ANYTHING, &[OtherNode]),
        line(20, OTHERS, ANYTHING, &[OtherNode]),
        line(20, FOLLOWED, TELLS_NOTHING, &[Forgetful]),
        line(20, RESERVED, TELLS_NOTHING, &[Forgetful, InTime]),
        line(20, RESERVED, TELLS_NOTHING, &[Forgetful, TooLate, Unsettled]),
        line(20, RESERVED, TELLS_NOTHING, &[Forgetful, TooLate, Settled]),
        line(20, ENDED_OR_DOUBT, TELLS_NOTHING, &[Forgetful]),
        line(21, RESERVED, ANYTHING, &[Unsettled]),
        line(21, RESERVED, &[Says::AnotherPayment], &[Settled]),
        line(21, RESERVED, NOT_FOUND, &[Settled, MayNotSend, NotPassed]),
        line(21, RESERVED, NOT_FOUND, &[MayNotSend, Unwitnessed, WitnessInTime]),
        line(21, RESERVED, NOT_FOUND, &[MayNotSend, Unwitnessed, NoTimeForWitness]),
        line(21, RESERVED, FAILED, &[BeforeAttempt, Settled, MayNotSend, NotPassed]),
        line(21, RESERVED, FAILED, &[BeforeAttempt, MayNotSend, Unwitnessed, WitnessInTime]),
        line(21, RESERVED, FAILED, &[BeforeAttempt, MayNotSend, Unwitnessed, NoTimeForWitness]),
        line(21, RESERVED, PAID_OR_MOVING, &[BeforeWithdraw, Settled, NotPassed]),
        line(21, RESERVED, PAID_OR_MOVING, &[BeforeWithdraw, Unwitnessed, WitnessInTime]),
        line(21, RESERVED, PAID_OR_MOVING, &[BeforeWithdraw, Unwitnessed, NoTimeForWitness]),
        line(21, IN_FLIGHT, &[Says::InFlight, Says::AlreadyExists, Says::Error], &[]),
        line(
            21,
            CLOSED,
            &[
                Says::NotFound,
                Says::InFlight,
                Says::Failed,
                Says::Refused,
                Says::WrongProof,
                Says::ResultLost,
                Says::AnotherPayment,
            ],
            &[Sent],
        ),
        line(21, CLOSED, &[Says::AlreadyExists, Says::Error], &[Sent]),
        line(21, &[From::Paid], ANYTHING, &[]),
    ]
};
