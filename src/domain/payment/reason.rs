//! Why payments fail, and why they need a person. The names are those of the proto.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// Why a payment failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
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
    /// The name that proto, SQL and docs use.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl OperatorReason {
    /// The name that proto, SQL and docs use.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
