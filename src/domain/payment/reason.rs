//! Why payments fail, and why they need an operator. The names are those of the proto.

use strum::{EnumString, IntoStaticStr, VariantArray};

/// Why a payment failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureReason {
    /// No route within the fee limit.
    NoRoute,
    /// The node gave up when its payment timeout passed.
    Timeout,
    /// The node's channels cannot send this amount.
    InsufficientBalance,
    /// The payee rejected the payment.
    IncorrectPaymentDetails,
    /// An error that the node does not explain.
    NodeError,
    /// Cancelled at the node.
    Canceled,
    /// The node knew a payment of this invoice from before the withdraw request existed.
    InvoiceKnownToNode,
    /// The node itself refused the sends.
    NodeRefused,
    /// It was not sent in time, or must not be sent.
    NotSent,
    /// An operator declared it failed.
    ResolvedByOperator,
}

/// Why a payment needs an operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, EnumString, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
pub enum OperatorReason {
    /// The node knew the payment before this service had sent it.
    KnownBeforeSend,
    /// Sent by somebody else. The only reason that a proof of payment does not resolve.
    Foreign,
    /// Reported as paid, with a preimage that does not match.
    WrongPreimage,
    /// The node answered about another hash or amount.
    AnswerMismatch,
    /// Rejected by the payee after several sends, one of which may have paid.
    RefusedAfterRepeats,
    /// Once in flight, now unknown to the node.
    Vanished,
    /// The node that answers is not the one that was asked to pay.
    NodeChanged,
    /// The node lost its payment records.
    NodeForgot,
    /// A send was never answered, and the node has not been seen to store a payment since.
    SendUnanswered,
    /// The node reports it as failed but has lost an HTLC's result: it may have paid.
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
