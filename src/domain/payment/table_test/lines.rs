//! The rules in plain words, and which circumstances belong to each.

use super::circumstances::{AttemptState, Condition, Report};

/// A rule of the table.
pub struct Rule {
    /// The state and the node's answer.
    pub label: &'static str,
    /// What has to follow.
    pub requirement: &'static str,
}

/// Some circumstances of a rule (counted from 1).
#[derive(Debug)]
pub struct Line {
    pub rule: usize,
    pub states: &'static [AttemptState],
    pub reports: &'static [Report],
    pub conditions: &'static [Condition],
}

const fn rule(label: &'static str, requirement: &'static str) -> Rule {
    Rule { label, requirement }
}

pub const RULES: [Rule; 21] = [
    rule(
        "RESERVED, looked up before its first send: not found, or a FAILED older than the attempt",
        "Send; if the remaining life is under the minimum: FAILED without a send.",
    ),
    rule(
        "RESERVED: succeeded or in flight, older than the withdraw",
        "FAILED, `INVOICE_KNOWN_TO_NODE`: it cannot have been ours.",
    ),
    rule(
        "RESERVED: known, younger than the withdraw",
        "NEEDS_OPERATOR: our own SENDING may have been lost with the database.",
    ),
    rule(
        "SENDING, IN_FLIGHT: succeeded; preimage, hash, amount match",
        "PAID; record the actual fee.",
    ),
    rule(
        "SENDING, IN_FLIGHT: succeeded with zero or wrong preimage; about another hash or amount",
        "NEEDS_OPERATOR, alarm.",
    ),
    rule("SENDING: in flight, initiated", "IN_FLIGHT; follow it."),
    rule(
        "SENDING: ALREADY_EXISTS, any text, to the attempt's only send",
        "NEEDS_OPERATOR, reason `FOREIGN`: somebody else sent it; with several sends: look up.",
    ),
    rule(
        "SENDING, IN_FLIGHT: failed",
        "Note it. FAILED at once when the attempt's only send was answered on its own stream; \
         otherwise when every send is over and the node says failed or not found.",
    ),
    rule(
        "SENDING, IN_FLIGHT: failed with `INCORRECT_PAYMENT_DETAILS`, more than one send",
        "NEEDS_OPERATOR: the payee may have been paid by a send whose record is gone.",
    ),
    rule(
        "SENDING, IN_FLIGHT: failed, the result of an HTLC lost",
        "NEEDS_OPERATOR: lnd has lost it in a restart, and the payee may have been paid.",
    ),
    rule(
        "SENDING: any RPC error, end of stream, node syncing, unknown status number",
        "Stay; look up, with back-off.",
    ),
    rule(
        "SENDING: not found, the time of every send passed, before `send_until`, fewer than 3 sends \
         refused by the node itself, node dedupes by hash",
        "Send the same invoice again.",
    ),
    rule(
        "SENDING: not found, every send over, no further send allowed",
        "FAILED (`NODE_REFUSED`, `NOT_SENT`).",
    ),
    rule(
        "SENDING, IN_FLIGHT: what would close it, but a send is unanswered and there is no witness",
        "Stay; make a write witness; long after `send_until` NEEDS_OPERATOR.",
    ),
    rule("IN_FLIGHT, no failure noted: not found", "NEEDS_OPERATOR."),
    rule("FAILED, never sent: anything", "Nothing."),
    rule(
        "FAILED after a send: succeeded, late",
        "PAID if the request is ACTIVE and has no other open or PAID attempt; else it stays FAILED, \
         marked LATE_SUCCESS; never dropped.",
    ),
    rule(
        "NEEDS_OPERATOR: succeeded, preimage matches, reason not `FOREIGN`",
        "PAID; a failure never closes it.",
    ),
    rule(
        "NEEDS_OPERATOR: the operator resolves as failed",
        "Only an operator closes it: no other report of the node changes anything.",
    ),
    rule(
        "Any: the node's identity changed; or it no longer knows the newest payment that this store \
         saw it know",
        "Sends stop; what is in doubt NEEDS_OPERATOR.",
    ),
    rule("What no other rule names", "Doubt where there is any; else nothing."),
];

const fn line(
    rule: usize,
    states: &'static [AttemptState],
    reports: &'static [Report],
    conditions: &'static [Condition],
) -> Line {
    Line { rule, states, reports, conditions }
}

const ANYTHING: &[Report] = &[
    Report::NotFound,
    Report::InFlight,
    Report::Succeeded,
    Report::Failed,
    Report::Refused,
    Report::WrongProof,
    Report::ResultLost,
    Report::AnotherPayment,
    Report::AlreadyExists,
    Report::Error,
];
const NOT_FOUND: &[Report] = &[Report::NotFound];
const FAILED: &[Report] = &[Report::Failed, Report::Refused];
const TELLS_NOTHING: &[Report] = &[Report::NotFound, Report::Failed, Report::Refused];
const PAID_OR_MOVING: &[Report] =
    &[Report::InFlight, Report::Succeeded, Report::WrongProof, Report::ResultLost];
const RESERVED: &[AttemptState] = &[AttemptState::Reserved];
const SENDING: &[AttemptState] = &[AttemptState::Sending];
const IN_FLIGHT: &[AttemptState] = &[AttemptState::InFlight];
const FOLLOWED: &[AttemptState] = &[AttemptState::Sending, AttemptState::InFlight];
const CLOSED: &[AttemptState] = &[AttemptState::Failed];
const DOUBT: &[AttemptState] = &[AttemptState::NeedsOperator];
const ENDED_OR_DOUBT: &[AttemptState] =
    &[AttemptState::NeedsOperator, AttemptState::Failed, AttemptState::Paid];
const OTHERS: &[AttemptState] = &[
    AttemptState::Reserved,
    AttemptState::NeedsOperator,
    AttemptState::Failed,
    AttemptState::Paid,
];

pub const LINES: &[Line] = {
    use Condition::{
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
        line(4, FOLLOWED, &[Report::Succeeded], &[]),
        line(5, FOLLOWED, &[Report::WrongProof], &[]),
        line(5, FOLLOWED, &[Report::AnotherPayment], &[]),
        line(6, SENDING, &[Report::InFlight], &[]),
        line(7, SENDING, &[Report::AlreadyExists], &[OneSend]),
        line(7, SENDING, &[Report::AlreadyExists], &[SeveralSends]),
        line(8, FOLLOWED, &[Report::Failed], &[Stream, OnlyAnswer]),
        line(8, FOLLOWED, &[Report::Failed], &[Stream, NotOnlyAnswer]),
        line(8, FOLLOWED, &[Report::Failed], &[Over]),
        line(8, FOLLOWED, &[Report::Failed], &[NotPassed, NotNoted]),
        line(8, FOLLOWED, &[Report::Failed], &[NotPassed, Noted]),
        line(8, FOLLOWED, &[Report::Refused], &[Stream, OnlyAnswer]),
        line(8, FOLLOWED, &[Report::Refused], &[Stream, OneSend, NotOnlyAnswer]),
        line(8, FOLLOWED, &[Report::Refused], &[OneSend, Over]),
        line(8, FOLLOWED, &[Report::Refused], &[OneSend, NotPassed, NotNoted]),
        line(8, FOLLOWED, &[Report::Refused], &[OneSend, NotPassed, Noted]),
        line(8, FOLLOWED, NOT_FOUND, &[Noted, Over]),
        line(8, FOLLOWED, NOT_FOUND, &[Noted, NotPassed]),
        line(9, FOLLOWED, &[Report::Refused], &[SeveralSends]),
        line(10, FOLLOWED, &[Report::ResultLost], &[]),
        line(11, SENDING, &[Report::Error], &[]),
        line(12, SENDING, NOT_FOUND, &[NotNoted, Passed, MayRepeat, NotHalted]),
        line(12, SENDING, NOT_FOUND, &[NotNoted, Passed, MayRepeat, Halted]),
        line(12, SENDING, NOT_FOUND, &[NotNoted, NotPassed]),
        line(13, SENDING, NOT_FOUND, &[NotNoted, Over, MayNotRepeat, SomeRefusals]),
        line(13, SENDING, NOT_FOUND, &[NotNoted, Over, MayNotRepeat, NoRefusals]),
        line(14, SENDING, NOT_FOUND, &[NotNoted, MayNotRepeat, Unwitnessed, WitnessInTime]),
        line(14, SENDING, NOT_FOUND, &[NotNoted, MayNotRepeat, Unwitnessed, NoTimeForWitness]),
        line(14, FOLLOWED, NOT_FOUND, &[Noted, Unwitnessed, WitnessInTime]),
        line(14, FOLLOWED, NOT_FOUND, &[Noted, Unwitnessed, NoTimeForWitness]),
        line(14, FOLLOWED, &[Report::Failed], &[NotNoted, Unwitnessed, WitnessInTime]),
        line(14, FOLLOWED, &[Report::Failed], &[Noted, Unwitnessed, WitnessInTime]),
        line(14, FOLLOWED, &[Report::Failed], &[Unwitnessed, NoTimeForWitness]),
        line(14, FOLLOWED, &[Report::Refused], &[OneSend, NotNoted, Unwitnessed, WitnessInTime]),
        line(14, FOLLOWED, &[Report::Refused], &[OneSend, Noted, Unwitnessed, WitnessInTime]),
        line(14, FOLLOWED, &[Report::Refused], &[OneSend, Unwitnessed, NoTimeForWitness]),
        line(15, IN_FLIGHT, NOT_FOUND, &[NotNoted]),
        line(16, CLOSED, ANYTHING, &[NeverSent]),
        line(17, CLOSED, &[Report::Succeeded], &[Sent, Free]),
        line(17, CLOSED, &[Report::Succeeded], &[Sent, NotFree, NotMarked]),
        line(17, CLOSED, &[Report::Succeeded], &[Sent, NotFree, Marked]),
        line(18, DOUBT, &[Report::Succeeded], &[NotForeign]),
        line(18, DOUBT, &[Report::Succeeded], &[Foreign]),
        line(18, DOUBT, FAILED, &[]),
        line(
            19,
            DOUBT,
            &[
                Report::NotFound,
                Report::InFlight,
                Report::WrongProof,
                Report::ResultLost,
                Report::AnotherPayment,
                Report::AlreadyExists,
                Report::Error,
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
        line(21, RESERVED, &[Report::AnotherPayment], &[Settled]),
        line(21, RESERVED, NOT_FOUND, &[Settled, MayNotSend, NotPassed]),
        line(21, RESERVED, NOT_FOUND, &[MayNotSend, Unwitnessed, WitnessInTime]),
        line(21, RESERVED, NOT_FOUND, &[MayNotSend, Unwitnessed, NoTimeForWitness]),
        line(21, RESERVED, FAILED, &[BeforeAttempt, Settled, MayNotSend, NotPassed]),
        line(21, RESERVED, FAILED, &[BeforeAttempt, MayNotSend, Unwitnessed, WitnessInTime]),
        line(21, RESERVED, FAILED, &[BeforeAttempt, MayNotSend, Unwitnessed, NoTimeForWitness]),
        line(21, RESERVED, PAID_OR_MOVING, &[BeforeWithdraw, Settled, NotPassed]),
        line(21, RESERVED, PAID_OR_MOVING, &[BeforeWithdraw, Unwitnessed, WitnessInTime]),
        line(21, RESERVED, PAID_OR_MOVING, &[BeforeWithdraw, Unwitnessed, NoTimeForWitness]),
        line(21, IN_FLIGHT, &[Report::InFlight, Report::AlreadyExists, Report::Error], &[]),
        line(
            21,
            CLOSED,
            &[
                Report::NotFound,
                Report::InFlight,
                Report::Failed,
                Report::Refused,
                Report::WrongProof,
                Report::ResultLost,
                Report::AnotherPayment,
            ],
            &[Sent],
        ),
        line(21, CLOSED, &[Report::AlreadyExists, Report::Error], &[Sent]),
        line(21, &[AttemptState::Paid], ANYTHING, &[]),
    ]
};
