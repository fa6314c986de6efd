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

pub const CONTRACT: [Row; 19] = [
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
        "SENDING: any RPC error, timeout, end of stream, node syncing, unknown status number",
        "Stay; look up, with back-off.",
    ),
    row(
        "SENDING: not found, every send over, before `send_until`, fewer than 3 sends answered with \
         an error, node dedupes by hash",
        "Send the same invoice again.",
    ),
    row(
        "SENDING: not found, every send over, no further send allowed",
        "FAILED (`NODE_REFUSED`, `NOT_SENT`).",
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
    Says::AnotherPayment,
    Says::AlreadyExists,
    Says::Error,
];
const FAILED: &[Says] = &[Says::Failed, Says::Refused];
const TELLS_NOTHING: &[Says] = &[Says::NotFound, Says::Failed, Says::Refused];
const PAID_OR_MOVING: &[Says] = &[Says::InFlight, Says::Succeeded, Says::WrongProof];
const RESERVED: &[From] = &[From::Reserved];
const SENDING: &[From] = &[From::Sending];
const IN_FLIGHT: &[From] = &[From::InFlight];
const FOLLOWED: &[From] = &[From::Sending, From::InFlight];
const CLOSED: &[From] = &[From::Failed];
const DOUBT: &[From] = &[From::NeedsOperator];
const ENDED_OR_DOUBT: &[From] = &[From::NeedsOperator, From::Failed, From::Paid];
const OTHERS: &[From] = &[From::Reserved, From::NeedsOperator, From::Failed, From::Paid];

pub const LINES: &[Line] = &[
    line(1, RESERVED, &[Says::NotFound], &[When::InTime]),
    line(1, RESERVED, &[Says::NotFound], &[When::TooLate]),
    line(1, RESERVED, FAILED, &[When::BeforeAttempt, When::InTime]),
    line(1, RESERVED, FAILED, &[When::BeforeAttempt, When::TooLate]),
    line(2, RESERVED, PAID_OR_MOVING, &[When::BeforeWithdraw]),
    line(3, RESERVED, PAID_OR_MOVING, &[When::NotBeforeWithdraw]),
    line(3, RESERVED, FAILED, &[When::SinceAttempt]),
    line(4, FOLLOWED, &[Says::Succeeded], &[]),
    line(5, FOLLOWED, &[Says::WrongProof], &[]),
    line(5, FOLLOWED, &[Says::AnotherPayment], &[]),
    line(6, SENDING, &[Says::InFlight], &[]),
    line(7, SENDING, &[Says::AlreadyExists], &[When::OneSend]),
    line(7, SENDING, &[Says::AlreadyExists], &[When::SeveralSends]),
    line(8, FOLLOWED, &[Says::Failed], &[When::Stream, When::OnlyAnswer]),
    line(8, FOLLOWED, &[Says::Failed], &[When::Stream, When::NotOnlyAnswer]),
    line(8, FOLLOWED, &[Says::Failed], &[When::Over]),
    line(8, FOLLOWED, &[Says::Failed], &[When::NotOver, When::NotNoted]),
    line(8, FOLLOWED, &[Says::Failed], &[When::NotOver, When::Noted]),
    line(8, FOLLOWED, &[Says::Refused], &[When::Stream, When::OnlyAnswer]),
    line(8, FOLLOWED, &[Says::Refused], &[When::Stream, When::OneSend, When::NotOnlyAnswer]),
    line(8, FOLLOWED, &[Says::Refused], &[When::OneSend, When::Over]),
    line(8, FOLLOWED, &[Says::Refused], &[When::OneSend, When::NotOver, When::NotNoted]),
    line(8, FOLLOWED, &[Says::Refused], &[When::OneSend, When::NotOver, When::Noted]),
    line(8, FOLLOWED, &[Says::NotFound], &[When::Noted, When::Over]),
    line(8, FOLLOWED, &[Says::NotFound], &[When::Noted, When::NotOver]),
    line(9, FOLLOWED, &[Says::Refused], &[When::SeveralSends]),
    line(10, SENDING, &[Says::Error], &[]),
    line(11, SENDING, &[Says::NotFound], &[When::NotNoted, When::Over, When::MayRepeat]),
    line(11, SENDING, &[Says::NotFound], &[When::NotNoted, When::NotOver]),
    line(
        12,
        SENDING,
        &[Says::NotFound],
        &[When::NotNoted, When::Over, When::MayNotRepeat, When::SomeErrors],
    ),
    line(
        12,
        SENDING,
        &[Says::NotFound],
        &[When::NotNoted, When::Over, When::MayNotRepeat, When::NoErrors],
    ),
    line(13, IN_FLIGHT, &[Says::NotFound], &[When::NotNoted]),
    line(14, CLOSED, ANYTHING, &[When::NeverSent]),
    line(15, CLOSED, &[Says::Succeeded], &[When::Sent, When::Free]),
    line(15, CLOSED, &[Says::Succeeded], &[When::Sent, When::NotFree, When::NotMarked]),
    line(15, CLOSED, &[Says::Succeeded], &[When::Sent, When::NotFree, When::Marked]),
    line(16, DOUBT, &[Says::Succeeded], &[When::NotForeign]),
    line(16, DOUBT, &[Says::Succeeded], &[When::Foreign]),
    line(16, DOUBT, FAILED, &[]),
    line(
        17,
        DOUBT,
        &[
            Says::NotFound,
            Says::InFlight,
            Says::WrongProof,
            Says::AnotherPayment,
            Says::AlreadyExists,
            Says::Error,
        ],
        &[],
    ),
    line(18, FOLLOWED, ANYTHING, &[When::OtherNode]),
    line(18, OTHERS, ANYTHING, &[When::OtherNode]),
    line(18, FOLLOWED, TELLS_NOTHING, &[When::Forgetful]),
    line(18, RESERVED, TELLS_NOTHING, &[When::Forgetful, When::InTime]),
    line(18, RESERVED, TELLS_NOTHING, &[When::Forgetful, When::TooLate]),
    line(18, ENDED_OR_DOUBT, TELLS_NOTHING, &[When::Forgetful]),
    line(19, RESERVED, &[Says::AnotherPayment], &[]),
    line(19, IN_FLIGHT, &[Says::InFlight, Says::AlreadyExists, Says::Error], &[]),
    line(
        19,
        CLOSED,
        &[
            Says::NotFound,
            Says::InFlight,
            Says::Failed,
            Says::Refused,
            Says::WrongProof,
            Says::AnotherPayment,
        ],
        &[When::Sent],
    ),
    line(19, CLOSED, &[Says::AlreadyExists, Says::Error], &[When::Sent]),
    line(19, &[From::Paid], ANYTHING, &[]),
];
