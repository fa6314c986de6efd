//! A state of the model: the request and its attempts as the database has them, the node's records, who was
//! paid, and two payers. It fits into one 128-bit number (see `packed`).

use withdrawd::domain::Status;

/// Before the node refuses it.
pub const VALID: u8 = 0;
/// The node's clock has passed its deadline.
pub const REFUSED: u8 = 1;
/// Its deadline, the skew and the node's slack have passed.
pub const OVER: u8 = 2;
/// The most sends of one attempt.
pub const SENDS: usize = 3;
/// A record that nobody of ours has started.
pub const FOREIGN: u8 = 8;
/// Nobody listens to this one any more.
pub const NO_LISTENER: u8 = 3;

/// The state of an attempt. The reasons are left out, but for the one that a decision reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Stage {
    Unclaimed,
    Reserved,
    Sending,
    InFlight,
    Paid,
    Failed,
    LateSuccess,
    NeedsOperator,
    Foreign,
}

impl Stage {
    pub const ALL: [Self; 9] = [
        Self::Unclaimed,
        Self::Reserved,
        Self::Sending,
        Self::InFlight,
        Self::Paid,
        Self::Failed,
        Self::LateSuccess,
        Self::NeedsOperator,
        Self::Foreign,
    ];

    /// A payer is to bring it to its end.
    pub fn is_followed(self) -> bool {
        matches!(self, Self::Reserved | Self::Sending | Self::InFlight)
    }

    /// An operator is.
    pub fn is_in_doubt(self) -> bool {
        matches!(self, Self::NeedsOperator | Self::Foreign)
    }

    pub fn is_open(self) -> bool {
        self.is_followed() || self.is_in_doubt()
    }

    pub fn is_failed(self) -> bool {
        matches!(self, Self::Failed | Self::LateSuccess)
    }
}

/// How a send was answered, as its row has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SendAnswer {
    Not,
    Refused,
    Exists,
    Stored,
    Final,
}

impl SendAnswer {
    pub const ALL: [Self; 5] = [Self::Not, Self::Refused, Self::Exists, Self::Stored, Self::Final];
}

/// A send: its row, and the request to the node that belongs to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SendRow {
    /// [`VALID`], [`REFUSED`] or [`OVER`].
    pub age: u8,
    pub answer: SendAnswer,
    /// It was emitted and has not arrived.
    pub on_its_way: bool,
    /// The node has checked its deadline and not stored it yet.
    pub accepted: bool,
    /// A write witness was seen: the node has stored a payment that was begun after this one was over.
    pub witnessed: bool,
}

impl SendRow {
    pub const NEW: Self = Self {
        age: VALID,
        answer: SendAnswer::Not,
        on_its_way: false,
        accepted: false,
        witnessed: false,
    };
    /// One of which nothing more can come.
    pub const DONE: Self = Self { age: OVER, answer: SendAnswer::Final, ..Self::NEW };

    /// The node may still act on it.
    pub fn may_arrive(self) -> bool {
        self.on_its_way && self.age == VALID || self.accepted
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Attempt {
    pub stage: Stage,
    /// Which invoice: its own, unless uniqueness of the hash is taken away.
    pub invoice: u8,
    pub noted: bool,
    /// `send_until` has passed.
    pub too_late: bool,
    /// Committed sends.
    pub count: u8,
    pub sends: [SendRow; SENDS],
}

/// Where the request is in time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// Before its expiry.
    Fresh,
    /// The same, and a failure has promised more time after it.
    Prolonged,
    /// After its expiry, in that time.
    Grace,
    /// No claim any more.
    Over,
}

impl Phase {
    pub const ALL: [Self; 4] = [Self::Fresh, Self::Prolonged, Self::Grace, Self::Over];
}

/// How an attempt holds the request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RequestHold {
    Never,
    Released,
    Open,
    InDoubt,
}

impl RequestHold {
    pub const ALL: [Self; 4] = [Self::Never, Self::Released, Self::Open, Self::InDoubt];
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Request {
    pub status: Status,
    pub phase: Phase,
    pub held: RequestHold,
    /// The open or last attempt, if there was one.
    pub attempt: u8,
    pub late_success: bool,
    /// The mark for the index.
    pub claimable: bool,
    /// The second attempt was claimed in the grace after the expiry.
    pub claimed_late: bool,
}

/// What the node's records say of an invoice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum NodeState {
    NotFound,
    InFlight,
    Succeeded,
    Failed,
    /// Failed with `INCORRECT_PAYMENT_DETAILS`.
    Refused,
    /// The records were lost, the money is still on its way.
    Ghost,
}

impl NodeState {
    pub const ALL: [Self; 6] =
        [Self::NotFound, Self::InFlight, Self::Succeeded, Self::Failed, Self::Refused, Self::Ghost];

    pub fn is_moving(self) -> bool {
        matches!(self, Self::InFlight | Self::Ghost)
    }
}

/// A record of the node, and what the payee received.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Record {
    pub node_state: NodeState,
    /// Who started what is moving: 4 × attempt + send, [`NO_LISTENER`] for the send, or [`FOREIGN`].
    pub owner: u8,
    /// 0 older than the request, 1 older than the attempt, 2 younger.
    pub age: u8,
    /// Who has paid the payee.
    pub paid: PaidBy,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum PaidBy {
    ByNobody,
    ByA,
    ByB,
    ByOthers,
}

impl PaidBy {
    pub const ALL: [Self; 4] = [Self::ByNobody, Self::ByA, Self::ByB, Self::ByOthers];
    pub const OURS: [Self; 2] = [Self::ByA, Self::ByB];
}

/// Which node answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Node {
    Same,
    /// Another one. The first goes on with what it has.
    Other,
    /// The same without its memory.
    Forgetful,
}

impl Node {
    pub const ALL: [Self; 3] = [Self::Same, Self::Other, Self::Forgetful];
}

/// What a lookup led to, without reasons.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Decision {
    Send,
    Note,
    InFlight,
    Pay,
    Fail,
    Doubt,
    LateSuccess,
}

impl Decision {
    pub const ALL: [Self; 7] = [
        Self::Send,
        Self::Note,
        Self::InFlight,
        Self::Pay,
        Self::Fail,
        Self::Doubt,
        Self::LateSuccess,
    ];
}

/// What comes up a send's own stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum StreamAnswer {
    InFlight,
    Succeeded,
    WrongProof,
    Failed,
    Refused,
    Exists,
    /// The node itself refuses, and stores nothing.
    NodeRefuses,
    /// Nobody knows.
    Error,
}

impl StreamAnswer {
    pub const ALL: [Self; 8] = [
        Self::InFlight,
        Self::Succeeded,
        Self::WrongProof,
        Self::Failed,
        Self::Refused,
        Self::Exists,
        Self::NodeRefuses,
        Self::Error,
    ];
}

/// A payer between two effects. Versions are not modelled: when somebody else writes a row that this payer
/// was about to write, its own write would find another version, so it becomes [`Worker::Idle`] at once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Worker {
    Idle,
    /// It has looked an attempt up and read the table.
    Decided {
        a: u8,
        decision: Decision,
    },
    /// The COMMIT of its send was not answered.
    Unsure {
        a: u8,
        n: u8,
        applied: bool,
    },
    /// Its send is committed.
    Committed {
        a: u8,
        n: u8,
    },
    /// The node was asked; `started` once the node pays for this send.
    Listening {
        a: u8,
        n: u8,
        started: bool,
    },
    /// The last answer of the stream has arrived and is not yet applied to the rows.
    Hears {
        a: u8,
        n: u8,
        item: StreamAnswer,
    },
    /// A mutation: the node was asked before the send was committed.
    Ahead {
        a: u8,
        n: u8,
    },
}

impl Worker {
    /// The send that it is busy with.
    pub fn send(self) -> Option<(u8, u8)> {
        match self {
            Self::Idle | Self::Decided { .. } => None,
            Self::Unsure { a, n, .. }
            | Self::Committed { a, n }
            | Self::Listening { a, n, .. }
            | Self::Hears { a, n, .. }
            | Self::Ahead { a, n } => Some((a, n)),
        }
    }
}

/// How often each rare fault may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Budget {
    pub foreign: u8,
    pub deletions: u8,
    pub node_changes: u8,
    pub restores: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct State {
    pub request: Request,
    pub attempts: [Attempt; 2],
    pub records: [Record; 2],
    pub node: Node,
    pub workers: [Worker; 2],
    pub budget: Budget,
}

impl State {
    pub fn new(budget: Budget) -> Self {
        let attempt = |invoice| Attempt {
            stage: Stage::Unclaimed,
            invoice,
            noted: false,
            too_late: false,
            count: 0,
            sends: [SendRow::NEW; SENDS],
        };
        let record =
            Record { node_state: NodeState::NotFound, owner: 0, age: 0, paid: PaidBy::ByNobody };
        Self {
            request: Request {
                status: Status::Active,
                phase: Phase::Fresh,
                held: RequestHold::Never,
                attempt: 0,
                late_success: false,
                claimable: true,
                claimed_late: false,
            },
            attempts: [attempt(0), attempt(1)],
            records: [record; 2],
            node: Node::Same,
            workers: [Worker::Idle; 2],
            budget,
        }
    }

    /// The node's record of an attempt's invoice.
    pub fn record_of(&self, a: u8) -> Record {
        self.records[usize::from(self.attempts[usize::from(a)].invoice)]
    }

    /// Every attempt is PAID, FAILED (the request is open) or waits for an operator.
    pub fn has_ended(&self) -> bool {
        self.attempts.iter().all(|attempt| !attempt.stage.is_followed())
    }
}
