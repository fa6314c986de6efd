//! The steps that a history is made of. A history is a list of them: it is drawn from a seed, written
//! down while it runs, and replayed, or shortened, from the list.

/// One thing that runs: a use case, a job, or a task that one of them has started.
pub type ActorId = usize;

/// What a gate guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// A store call that changes nothing.
    Read,
    /// A store call that commits.
    Write,
    /// A question to the node.
    Ask,
    /// A request to pay.
    Send,
}

/// A call of one of the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub kind: CallKind,
    pub name: &'static str,
}

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Completion {
    /// It is done, and answered.
    Done,
    /// It is done now; the answer waits until the actor is chosen again.
    Late,
    /// It is not done, and the caller is told so (a store), or told an error that proves nothing.
    NotDone,
    /// A commit that is not made, and whose caller is told that nobody knows.
    LostBefore,
    /// It is done, and the answer is lost.
    LostAfter,
    /// The process dies when it is done.
    Die,
    /// A request to pay that stays on its way.
    OnItsWay,
    /// A request to pay that stays on its way, while its caller hears of an error at once.
    OnItsWayButLost,
    /// A lookup that calls a payment paid, with 64 zeros for a preimage.
    ZeroPreimage,
    /// A lookup that tells of another amount.
    OtherAmount,
    /// A lookup of a failed payment that calls it pending once more.
    FailedAsInFlight,
}

/// How a payment ends at the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Settled,
    NoRoute,
    /// A hold invoice that was cancelled, say.
    Refused,
    /// The payee has the money, but the node has lost the HTLC's result, and calls it failed.
    SettledAndLost,
    /// The same, and the payee has nothing.
    FailedAndLost,
}

/// A step of a history. One that cannot be made any more, since others were taken out, is passed over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// A service asks for a withdraw request.
    Create {
        replica: usize,
    },
    /// A wallet comes with an invoice; a second time it is a re-tap.
    Claim {
        replica: usize,
        withdraw: usize,
        invoice: usize,
    },
    Offer {
        replica: usize,
        withdraw: usize,
    },
    Deactivate {
        replica: usize,
        withdraw: usize,
    },
    /// The payer takes what is due.
    RunPayer {
        replica: usize,
    },
    /// The expiry job.
    MarkExpired {
        replica: usize,
    },
    /// The node's heartbeat.
    Heartbeat {
        replica: usize,
    },
    /// A process verifies its database.
    VerifyDatabase {
        replica: usize,
    },
    /// An operator pauses the instance, or resumes it and acknowledges a fence.
    SwitchInstance {
        replica: usize,
        on: bool,
    },
    /// An actor's call is made, its answer arrives, or its sleep ends.
    Run {
        actor: ActorId,
        how: Completion,
    },
    /// An actor, and all that it starts, runs on until it waits for something.
    RunOn {
        actor: ActorId,
    },
    /// Everything runs on until nothing can: the benign order.
    Drain,
    /// The next call of this name goes so when everything runs on.
    ScriptNextCall {
        call: &'static str,
        how: Completion,
    },
    /// A request to pay reaches the node, which checks its deadline, and stores the payment at once
    /// or only later.
    DeliverRequest {
        request: usize,
        slow: bool,
    },
    LoseRequest {
        request: usize,
    },
    Duplicate {
        request: usize,
    },
    /// The node stores a payment that it had checked.
    StoreRequest {
        request: usize,
    },
    /// The node refuses the invoice and stores nothing.
    RefuseRequest {
        request: usize,
    },
    /// A payment ends at the node.
    EndPayment {
        invoice: usize,
        end: End,
    },
    /// The node tells of the next change on a send's stream.
    DeliverStreamItem {
        stream: usize,
    },
    /// A stream breaks, with an error or silently.
    CutStream {
        stream: usize,
        error: bool,
    },
    /// Time passes.
    Advance {
        ms: i64,
    },
    /// Time passes between two instructions of whoever reads the clock next.
    DelayNextReading {
        ms: i64,
    },
    /// A replica's wall clock is set.
    SetClock {
        replica: usize,
        ms: i64,
    },
    /// The database's clock is set.
    SetDatabaseClock {
        ms: i64,
    },
    Crash {
        replica: usize,
    },
    Start {
        replica: usize,
    },
    NodeRestart,
    /// The node's database takes no writes, while it answers everything else; or takes them again.
    StallNode {
        on: bool,
    },
    NodeReachable {
        reachable: bool,
    },
    /// Another node answers at the endpoint, or the first one again.
    NodeSwitch,
    /// The node loses all that it knew.
    NodeWipe,
    /// The node's record of a failed payment is deleted.
    DeleteRecord {
        invoice: usize,
    },
    /// A standby of the database gets no further than here.
    DetachStandby,
    /// It is promoted: what was committed since is gone, and nothing repairs the history any more.
    PromoteStandby,
    /// From here on things may happen that the contract excludes.
    LeaveContract,
    /// Other software pays an invoice from the same node.
    PayFromElsewhere {
        invoice: usize,
    },
}
