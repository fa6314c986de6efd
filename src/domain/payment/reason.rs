//! Why payments fail, and why they need a person. The names are those of the proto.

/// Why a payment failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum FailureReason {
    /// No route within the fee limit.
    NoRoute,
    /// The node gave up after its time for tries.
    Timeout,
    /// The node's channels cannot send as much.
    InsufficientBalance,
    /// The payee refused.
    IncorrectPaymentDetails,
    /// An error that the node does not explain.
    NodeError,
    /// Cancelled at the node.
    Canceled,
    /// The node knew a payment of this invoice from before the withdraw request.
    InvoiceKnownToNode,
    /// The node itself refused the sends.
    NodeRefused,
    /// It was not sent in time.
    NotSent,
    /// An operator declared it failed.
    ResolvedByOperator,
}

/// Why a payment needs a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum OperatorReason {
    /// Known to the node before we had sent it.
    KnownBeforeSend,
    /// Sent by somebody else. The only reason that a proof of payment does not settle.
    Foreign,
    /// Called paid, with a preimage that does not fit.
    WrongPreimage,
    /// The node answered about another hash or amount.
    AnswerMismatch,
    /// Refused by the payee after several sends, one of which may have paid.
    RefusedAfterRepeats,
    /// On its way once, unknown to the node now.
    Vanished,
    /// The node is not the one that was asked.
    NodeChanged,
    /// The node lost its memory.
    NodeForgot,
    /// A send was never answered, and the node has not shown since that it stores payments.
    SendUnanswered,
    /// The node calls it failed and has lost an HTLC's result: it may have paid.
    ResultLost,
}

impl FailureReason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::NoRoute,
        Self::Timeout,
        Self::InsufficientBalance,
        Self::IncorrectPaymentDetails,
        Self::NodeError,
        Self::Canceled,
        Self::InvoiceKnownToNode,
        Self::NodeRefused,
        Self::NotSent,
        Self::ResolvedByOperator,
    ];

    /// The name that proto, SQL and docs use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoRoute => "NO_ROUTE",
            Self::Timeout => "TIMEOUT",
            Self::InsufficientBalance => "INSUFFICIENT_BALANCE",
            Self::IncorrectPaymentDetails => "INCORRECT_PAYMENT_DETAILS",
            Self::NodeError => "NODE_ERROR",
            Self::Canceled => "CANCELED",
            Self::InvoiceKnownToNode => "INVOICE_KNOWN_TO_NODE",
            Self::NodeRefused => "NODE_REFUSED",
            Self::NotSent => "NOT_SENT",
            Self::ResolvedByOperator => "RESOLVED_BY_OPERATOR",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

impl OperatorReason {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::KnownBeforeSend,
        Self::Foreign,
        Self::WrongPreimage,
        Self::AnswerMismatch,
        Self::RefusedAfterRepeats,
        Self::Vanished,
        Self::NodeChanged,
        Self::NodeForgot,
        Self::SendUnanswered,
        Self::ResultLost,
    ];

    /// The name that proto, SQL and docs use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KnownBeforeSend => "KNOWN_BEFORE_SEND",
            Self::Foreign => "FOREIGN",
            Self::WrongPreimage => "WRONG_PREIMAGE",
            Self::AnswerMismatch => "ANSWER_MISMATCH",
            Self::RefusedAfterRepeats => "REFUSED_AFTER_REPEATS",
            Self::Vanished => "VANISHED",
            Self::NodeChanged => "NODE_CHANGED",
            Self::NodeForgot => "NODE_FORGOT",
            Self::SendUnanswered => "SEND_UNANSWERED",
            Self::ResultLost => "RESULT_LOST",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}
