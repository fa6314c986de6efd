//! Faults of the environment, and mutations: bugs put into the code, which the search must find.

use super::{inputs::Tampering, state::Budget};

/// A fault that a search may include. Every search has delays, any order of steps, and payers that time out
/// or pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The node refuses an invoice at once and stores nothing.
    Refusal,
    /// A payer dies between two effects.
    Crash,
    /// A request to the node is lost.
    Loss,
    /// The answer to COMMIT is lost, applied or not.
    LostCommit,
    /// A send's stream breaks with an error, whatever becomes of the request.
    StreamError,
    /// The node calls a payment paid and shows a preimage that does not fit.
    WrongProof,
    /// The node stores a send some time after it checked its deadline, within its slack.
    SlowNode,
    /// With [`Fault::SlowNode`]: its database takes no writes for any time, while lookups are answered.
    Stall,
    /// With [`Fault::SlowNode`]: the same, and what waits is overtaken, against the assumption.
    SlowerThanSlack,
    /// Wall and monotonic clock disagree.
    ClocksDisagree,
    /// The request expires, and its grace runs out.
    Expiry,
    /// A lookup is answered with the record of another payment.
    AnotherPayment,
    /// Other software pays the first invoice with the same node, once.
    Foreign,
    /// The same, twice.
    ForeignTwice,
    /// Somebody deletes the record of a failed payment.
    Deletion,
    /// Another node answers for a while.
    OtherNode,
    /// The node loses its records, and they may be found again.
    Amnesia,
    /// The database is restored to a state before the first send, which is over by then.
    Restore,
}

/// Faults by name, for the command line and the report.
pub const FAULTS: [(&str, Fault); 18] = [
    ("refusal", Fault::Refusal),
    ("crash", Fault::Crash),
    ("loss", Fault::Loss),
    ("lost commit", Fault::LostCommit),
    ("stream error", Fault::StreamError),
    ("wrong proof", Fault::WrongProof),
    ("slow node", Fault::SlowNode),
    ("stall", Fault::Stall),
    ("slower than slack", Fault::SlowerThanSlack),
    ("clocks disagree", Fault::ClocksDisagree),
    ("expiry", Fault::Expiry),
    ("another payment", Fault::AnotherPayment),
    ("foreign", Fault::Foreign),
    ("foreign twice", Fault::ForeignTwice),
    ("deletion", Fault::Deletion),
    ("other node", Fault::OtherNode),
    ("amnesia", Fault::Amnesia),
    ("restore", Fault::Restore),
];

/// A set of faults.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Faults(u32);

impl Faults {
    pub const fn of(faults: &[Fault]) -> Self {
        let mut set = 0;
        let mut at = 0;
        while at < faults.len() {
            set |= 1 << faults[at] as u32;
            at += 1;
        }
        Self(set)
    }

    pub const fn and(self, faults: &[Fault]) -> Self {
        Self(self.0 | Self::of(faults).0)
    }

    pub fn has(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u32) != 0
    }

    pub fn budget(self) -> Budget {
        let foreign = u8::from(self.has(Fault::Foreign)) + u8::from(self.has(Fault::ForeignTwice));
        Budget {
            foreign: if self.has(Fault::ForeignTwice) { 2 } else { foreign },
            deletions: u8::from(self.has(Fault::Deletion)),
            node_changes: u8::from(self.has(Fault::OtherNode) || self.has(Fault::Amnesia)),
            restores: u8::from(self.has(Fault::Restore)),
        }
    }
}

/// A bug put into the code. The real functions stay as they are: their inputs or outputs are changed, or a
/// step is left out or moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// An error or a timeout of a send is taken for its failure.
    ReopensOnTimeout,
    /// The node is asked before the send's row is committed.
    SendsBeforeCommit,
    /// A payer that takes over an attempt in SENDING sends it without a lookup.
    NoLookUpInRecovery,
    /// A payer that has waited long enough closes the attempt, and the request takes a new invoice.
    RebindsUnanswered,
    /// The first failure closes the attempt, whatever else was sent.
    FirstFailureCloses,
    /// The same invoice is accepted twice.
    HashNotUnique,
    /// A COMMIT that was not answered is taken for undone: nothing was sent, the attempt is closed.
    LostCommitIsFailure,
    /// `NOT_FOUND` counts, whoever says it.
    OtherNodeIsBelieved,
    /// `NEEDS_OPERATOR` does not hold the request.
    DoubtIsNotOpen,
    /// A send that was never answered is over when its time has passed.
    ClockEndsAll,
}

impl Mutation {
    /// What the real functions' callers do otherwise.
    pub fn tampering(self) -> Tampering {
        match self {
            Self::ReopensOnTimeout => Tampering::TimeoutIsFailure,
            Self::FirstFailureCloses => Tampering::FirstFailureCloses,
            Self::OtherNodeIsBelieved => Tampering::OtherNodeIsBelieved,
            Self::NoLookUpInRecovery => Tampering::NotAsked,
            Self::ClockEndsAll => Tampering::ClockEndsAll,
            Self::SendsBeforeCommit
            | Self::RebindsUnanswered
            | Self::HashNotUnique
            | Self::LostCommitIsFailure
            | Self::DoubtIsNotOpen => Tampering::No,
        }
    }
}
