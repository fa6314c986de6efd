//! The inputs and outputs of the real functions, in the model's compact form.

use super::state::{Attempt, Node, NodeState, Request, SendRow, Stage};

/// An attempt and its request, as they stand in the database.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct AttemptRows {
    pub a: u8,
    pub attempt: Attempt,
    pub request: Request,
}

/// What a step wrote. Without a request: that row was not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written {
    pub attempt: Attempt,
    pub request: Option<Request>,
}

/// What a node answered to a lookup.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LookUpAnswer {
    Record(NodeState, u8),
    /// The record calls it paid, and its preimage does not fit.
    WrongProof(u8),
    /// The record is about another payment.
    AnotherPayment(u8),
}

/// A lookup and its circumstances.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LookUpFacts {
    pub found: LookUpAnswer,
    pub node: Node,
    /// The clocks were read when a send was not over yet.
    pub early: bool,
    /// A witness was waited for long enough.
    pub waited: bool,
    pub tampering: Tampering,
}

/// What a mutation does to the inputs and outputs of the real functions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tampering {
    No,
    /// No mutation: the clocks disagreed, and the payer waits.
    ClocksDisagree,
    NotAsked,
    TimeoutIsFailure,
    FirstFailureCloses,
    OtherNodeIsBelieved,
    /// A send that was never answered is over by the clock alone.
    ClockEndsAll,
}

impl AttemptRows {
    /// Without what is not in the rows.
    pub fn new(a: u8, mut attempt: Attempt, request: Request) -> Self {
        for send in &mut attempt.sends {
            (send.on_its_way, send.accepted) = (false, false);
        }
        Self { a, attempt, request }
    }

    /// All rows that have the same canonical state as these.
    pub fn indistinct(self) -> Vec<Self> {
        let stage = self.attempt.stage;
        let closed = stage == Stage::Paid || stage.is_failed();
        if !closed && !stage.is_in_doubt() {
            return Vec::new();
        }
        let with = |change: &dyn Fn(&mut Attempt)| {
            let mut same = self;
            change(&mut same.attempt);
            same
        };
        let mut all = vec![with(&|a| a.noted = true), with(&|a| a.too_late = true)];
        if closed && self.attempt.count > 0 {
            all.push(with(&|a| a.sends[0] = SendRow::NEW));
            all.push(with(&|a| a.count = 3));
        }
        all
    }

    /// The answer with every age that has the same canonical state.
    pub fn indistinct_ages(self, found: LookUpAnswer) -> Vec<LookUpAnswer> {
        match found {
            _ if self.attempt.stage == Stage::Reserved => Vec::new(),
            LookUpAnswer::Record(node_state, _) => {
                (0..3).map(|age| LookUpAnswer::Record(node_state, age)).collect()
            }
            LookUpAnswer::WrongProof(_) => (0..3).map(LookUpAnswer::WrongProof).collect(),
            LookUpAnswer::AnotherPayment(_) => (0..3).map(LookUpAnswer::AnotherPayment).collect(),
        }
    }
}
