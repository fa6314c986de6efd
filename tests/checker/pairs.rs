//! What goes into the real functions and what comes out of them, as small as a state has it.

use super::state::{Attempt, Is, Node, Request, Sent, Stands};

/// An attempt and its request, as they stand in the database.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pair {
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

/// What a node answered to a look-up.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Found {
    Record(Is, u8),
    /// The record calls it paid, and its preimage does not fit.
    WrongProof(u8),
    /// The record is about another payment.
    AnotherPayment(u8),
}

/// A look-up and its circumstances.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Asked {
    pub found: Found,
    pub node: Node,
    /// The clocks were read when a send was not over yet.
    pub early: bool,
    /// A witness was waited for long enough.
    pub waited: bool,
    pub tampered: Tampered,
}

/// What a mutation does to the inputs and outputs of the real functions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tampered {
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

impl Pair {
    /// Without what is not in the rows.
    pub fn new(a: u8, mut attempt: Attempt, request: Request) -> Self {
        for send in &mut attempt.sends {
            (send.on_its_way, send.taken) = (false, false);
        }
        Self { a, attempt, request }
    }

    /// Rows that differ from these only in what a canonical state does not keep.
    pub fn indistinct(self) -> Vec<Self> {
        let stands = self.attempt.stands;
        let closed = stands == Stands::Paid || stands.is_failed();
        if !closed && !stands.is_in_doubt() {
            return Vec::new();
        }
        let with = |change: &dyn Fn(&mut Attempt)| {
            let mut same = self;
            change(&mut same.attempt);
            same
        };
        let mut all = vec![with(&|a| a.noted = true), with(&|a| a.too_late = true)];
        if closed && self.attempt.count > 0 {
            all.push(with(&|a| a.sends[0] = Sent::NEW));
            all.push(with(&|a| a.count = 3));
        }
        all
    }

    /// The same record of every age, where a canonical state does not keep it.
    pub fn indistinct_ages(self, found: Found) -> Vec<Found> {
        match found {
            _ if self.attempt.stands == Stands::Reserved => Vec::new(),
            Found::Record(is, _) => (0..3).map(|age| Found::Record(is, age)).collect(),
            Found::WrongProof(_) => (0..3).map(Found::WrongProof).collect(),
            Found::AnotherPayment(_) => (0..3).map(Found::AnotherPayment).collect(),
        }
    }
}
