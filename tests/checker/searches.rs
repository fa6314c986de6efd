//! What is searched: sets of faults under which everything must hold, and mutations under which a
//! named invariant must break.

use std::collections::BTreeSet;

use super::{
    faults::{
        Fault::{
            self, Amnesia, AnotherPayment, ClocksDisagree, Crash, Deletion, Expiry, Foreign,
            ForeignTwice, Loss, LostCommit, OtherNode, Refusal, Restore, SlowNode, SlowerThanSlack,
            Stall, StreamError, WrongProof,
        },
        Faults, Mutation,
    },
    invariants::Invariant,
    search::{Report, Until, search},
    state::{Decision, Stage},
    steps::Setting,
};

/// The most states of a search: beyond it the machine has too little memory.
const AT_MOST: usize = 60_000_000;

/// One search.
#[derive(Clone, Copy, Debug)]
pub struct Search {
    pub name: &'static str,
    pub setting: Setting,
    /// What must break; without any, everything must hold.
    pub breaks: &'static [Invariant],
    /// Small enough for every run of the tests.
    pub in_suite: bool,
}

impl Search {
    /// A set of one's own, under which everything must hold.
    pub const fn of_own(faults: Faults, sends: [u8; 2]) -> Self {
        let setting = Setting { faults, sends, mutation: None };
        Self { name: "own", setting, breaks: &[], in_suite: false }
    }

    /// Runs it. For a mutation: one report for each invariant that must break.
    pub fn run(&self) -> Vec<Report> {
        if self.breaks.is_empty() {
            return vec![search(self.setting, Until::Everything { at_most: AT_MOST })];
        }
        self.breaks.iter().map(|it| search(self.setting, Until::Breaks(*it))).collect()
    }

    /// Whether the reports are what was expected.
    pub fn is_as_expected(&self, reports: &[Report]) -> bool {
        match self.breaks {
            [] => reports.iter().all(|report| report.whole && report.broken.is_empty()),
            breaks => reports.iter().zip(breaks).all(|(report, it)| report.broken.contains_key(it)),
        }
    }
}

const fn holds(name: &'static str, faults: &[Fault], sends: [u8; 2], in_suite: bool) -> Search {
    let faults = Faults::of(faults).and(&[Refusal]);
    Search { name, setting: Setting { faults, sends, mutation: None }, breaks: &[], in_suite }
}

const fn mutated(
    name: &'static str,
    mutation: Mutation,
    faults: &[Fault],
    breaks: &'static [Invariant],
) -> Search {
    let faults = Faults::of(faults).and(&[Refusal]);
    let setting = Setting { faults, sends: [3, 1], mutation: Some(mutation) };
    Search { name, setting, breaks, in_suite: true }
}

/// Lost messages, crashes, lost commits, broken streams, proofs that do not fit.
const USUAL: &[Fault] = &[Crash, Loss, LostCommit, StreamError, WrongProof];

const USUAL_AND_TIME: &[Fault] =
    &[Crash, Loss, LostCommit, StreamError, WrongProof, SlowNode, ClocksDisagree, Expiry];
const USUAL_AND_FOREIGN: &[Fault] =
    &[Crash, Loss, LostCommit, StreamError, WrongProof, Foreign, Deletion];
const NODES: &[Fault] = &[Crash, Loss, StreamError, OtherNode, Amnesia, AnotherPayment];
const STALLS: &[Fault] = &[Crash, Loss, LostCommit, StreamError, SlowNode, Stall];
const RESTORED: &[Fault] = &[Crash, StreamError, Restore, AnotherPayment, Deletion, Foreign];

/// Under these everything must hold.
pub const SETS: &[Search] = &[
    holds("nothing but delay and refusals", &[], [3, 2], true),
    holds("the usual faults", USUAL, [3, 1], true),
    holds("expiry", &[Expiry], [3, 1], true),
    holds("a slow node, within its slack", &[SlowNode, Loss], [3, 1], true),
    holds("a node whose writes stall", &[SlowNode, Stall], [3, 1], true),
    holds("clocks that disagree", &[ClocksDisagree, Crash], [3, 1], true),
    holds("other software pays A", &[Foreign], [3, 1], true),
    holds("failed records deleted", &[Deletion, Foreign], [2, 1], true),
    holds("another node", &[OtherNode], [3, 1], true),
    holds("a node without its books", &[Amnesia, Loss], [3, 1], true),
    holds("answers about another payment", &[AnotherPayment, WrongProof], [3, 1], true),
    holds("a restored database", &[Restore, AnotherPayment], [3, 1], true),
    holds("failed records deleted, three sends", &[Deletion, Foreign, StreamError], [3, 2], false),
    holds("other software pays A twice", &[ForeignTwice, StreamError, Crash], [3, 2], false),
    holds("nothing but delay and refusals, more sends", &[], [3, 3], false),
    holds("the usual faults, more sends", USUAL, [3, 3], false),
    holds("expiry and lost commits", &[Expiry, LostCommit, StreamError], [3, 1], false),
    holds("the usual faults, and time", USUAL_AND_TIME, [3, 1], false),
    holds("the usual faults, and other software", USUAL_AND_FOREIGN, [3, 1], false),
    holds("nodes that come and go", NODES, [3, 1], false),
    holds("a node whose writes stall, and the usual faults", STALLS, [3, 1], false),
    holds("a node whose writes stall, more sends", &[SlowNode, Stall], [3, 2], false),
    holds("a restored database, and other software", RESTORED, [3, 1], false),
];

/// What the contract assumes, and what would follow if it were not so.
pub const ASSUMPTIONS: &[Search] = &[Search {
    name: "a node whose database is slower than node_slack and does not serve its writers in order",
    breaks: &[Invariant::ReleasedTooEarly, Invariant::PaidTwice],
    ..holds("", &[SlowNode, SlowerThanSlack], [3, 1], true)
}];

/// The mutations, each with what it must break.
pub const MUTATIONS: &[Search] = &[
    mutated(
        "reopens on a timeout",
        Mutation::ReopensOnTimeout,
        &[StreamError],
        &[Invariant::PaidTwice],
    ),
    mutated(
        "asks the node before SENDING is committed",
        Mutation::SendsBeforeCommit,
        &[],
        &[Invariant::SentUncommitted, Invariant::PaidTwice],
    ),
    mutated(
        "no lookup in recovery",
        Mutation::NoLookUpInRecovery,
        &[Crash],
        &[Invariant::AskedTwice, Invariant::PaidTwice],
    ),
    mutated(
        "rebinds at once after an unanswered send",
        Mutation::RebindsUnanswered,
        &[],
        &[Invariant::PaidTwice],
    ),
    mutated(
        "closes on the first failure, while another send may arrive",
        Mutation::FirstFailureCloses,
        &[Foreign],
        &[Invariant::PaidTwice],
    ),
    mutated(
        "no uniqueness of the hash",
        Mutation::HashNotUnique,
        &[],
        // The node pays one hash once: what breaks is the record.
        &[Invariant::OnePaymentTwice],
    ),
    mutated(
        "a lost COMMIT is taken for failure",
        Mutation::LostCommitIsFailure,
        &[LostCommit],
        &[Invariant::PaidTwice],
    ),
    mutated(
        "a NOT_FOUND is believed from another node",
        Mutation::OtherNodeIsBelieved,
        &[OtherNode],
        &[Invariant::PaidTwice],
    ),
    mutated(
        "an unanswered send is over by the clock alone",
        Mutation::ClockEndsAll,
        &[SlowNode, Stall],
        &[Invariant::ReleasedTooEarly, Invariant::PaidTwice],
    ),
    mutated(
        "NEEDS_OPERATOR does not hold the request",
        Mutation::DoubtIsNotOpen,
        &[WrongProof],
        &[Invariant::TwoOpen, Invariant::PaidTwice],
    ),
];

/// What the table can say in each state, but for its silence. In PAID it says nothing.
const EXPECTED_DECISIONS: [(Stage, &[Decision]); 7] = [
    (Stage::Reserved, &[Decision::Send, Decision::Fail, Decision::Doubt]),
    (
        Stage::Sending,
        &[
            Decision::Send,
            Decision::Note,
            Decision::InFlight,
            Decision::Pay,
            Decision::Fail,
            Decision::Doubt,
        ],
    ),
    (Stage::InFlight, &[Decision::Note, Decision::Pay, Decision::Fail, Decision::Doubt]),
    (Stage::Failed, &[Decision::Pay, Decision::LateSuccess]),
    (Stage::LateSuccess, &[Decision::Pay]),
    (Stage::NeedsOperator, &[Decision::Pay]),
    (Stage::Foreign, &[]),
];

/// What the table never said in these searches, and what it said unexpectedly.
pub fn unexpected_decisions(reports: &[Report]) -> Vec<String> {
    let seen: BTreeSet<_> = reports.iter().flat_map(|report| report.decisions.clone()).collect();
    let expected = EXPECTED_DECISIONS
        .iter()
        .flat_map(|(stage, all)| all.iter().map(|decision| (*stage, *decision)));
    let expected: BTreeSet<_> = expected.collect();
    seen.symmetric_difference(&expected)
        .map(|(stage, decision)| format!("{stage:?}: {decision:?}"))
        .collect()
}
