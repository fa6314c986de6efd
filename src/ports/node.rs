//! A Lightning node that pays invoices, and the contract of its answers.
//!
//! A node's silence is not a failure, and neither is an error: every [`NodeError`] means "not
//! known". Only a [`Record`] tells something, and only one from a connection on which the node has
//! said who it is. A backend never reconnects behind the caller's back, never retries, never hedges.

use std::pin::Pin;

use async_trait::async_trait;
use futures_util::Stream;

use crate::domain::{
    Msat, Network, NodeId, NodeTrouble, PaymentHash, Timestamp, TroubleKind, payment::Record,
};

/// What a backend can promise. Where it cannot, the domain holds a request back for longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four promises, each given or not")]
pub struct NodeTraits {
    /// Its name in configuration, logs and the `nodes` table.
    pub backend: &'static str,
    /// No real money moves.
    pub simulated: bool,
    /// The node itself refuses a send that reaches it after its deadline.
    pub refuses_late_sends: bool,
    /// The node itself refuses to pay an expired invoice.
    pub refuses_expired_invoices: bool,
    /// The node refuses a second payment of a hash that is in flight or paid.
    pub dedupes_by_hash: bool,
}

/// One connection to the node: another number means that the node may have restarted since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connection(pub u64);

/// Who the node says it is: the first answer on every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its identity.
    pub id: NodeId,
    /// Its name for people.
    pub alias: String,
    /// The network that it is on; the backend has checked that it is the configured one.
    pub network: Network,
    /// On which connection it said so.
    pub connection: Connection,
}

/// What the node can do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeHealth {
    /// Who it is.
    pub introduction: Introduction,
    /// Whether it has followed the chain to the tip (lnd: `synced_to_chain`).
    pub synced: bool,
    /// What its active channels can send, by the node's own numbers: their balances less what must
    /// stay in them. Whether the network beyond them can carry it is not known.
    pub can_send: Msat,
    /// How many HTLCs the node has out in the channel that has the most. A channel has slots for
    /// 483.
    pub busiest_channel_htlcs: u32,
    /// The channels whose peer is there.
    pub active_channels: u32,
}

/// One payment as the node lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPayment {
    /// Where it stands. Where the node tells no time of creation, that is [`Timestamp::MAX`].
    pub record: Record,
    /// BOLT11; empty if there was none (keysend).
    pub invoice: String,
    /// The node's own order. A payment that is tried anew may move to the end.
    pub index: u64,
}

/// Which payments to list, in the node's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentsQuery {
    /// Made at this instant or later.
    pub created_from: Timestamp,
    /// Made at this instant or earlier.
    pub created_to: Timestamp,
    /// After the payment of this index; 0: from the beginning.
    pub after_index: u64,
    /// The most that a page holds; 0 counts as 1.
    pub limit: u32,
}

/// A page of payments; empty at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentsPage {
    /// By their index.
    pub payments: Vec<ListedPayment>,
    /// The identity shown on the connection that carried the answer.
    pub node: NodeId,
    /// That connection.
    pub connection: Connection,
}

/// A look-up's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// None: the node knows no payment of this hash.
    pub record: Option<Record>,
    /// The identity shown on the connection that carried the answer.
    pub node: NodeId,
    /// That connection.
    pub connection: Connection,
}

/// A request to pay, as it was committed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendOrder {
    /// The node that must be at the other end; otherwise nothing may be sent.
    pub node: NodeId,
    /// The connection on which the payment was looked up, and on which the node has shown its memory.
    /// On another one it may be a node that was wiped since: nothing may be sent.
    pub connection: Connection,
    /// Normalised BOLT11. It carries the amount.
    pub invoice: String,
    /// Of that invoice.
    pub payment_hash: PaymentHash,
    /// Of that invoice.
    pub amount: Msat,
    /// The most that routing may cost.
    pub fee_limit: Msat,
    /// From the committed row, never recomputed: the node itself refuses the request after it,
    /// where [`NodeTraits::refuses_late_sends`].
    pub send_deadline: Timestamp,
}

/// A payment that no route can reach, asked for to see whether the node stores payments: a *write
/// witness* (see [`crate::domain::payment::Pending`]). The payee does not exist and nobody has the
/// preimage: no money can move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WitnessKeys {
    /// The x coordinate of the payee's public key.
    pub payee: [u8; 32],
    /// Of no preimage that anybody knows.
    pub payment_hash: PaymentHash,
}

/// A request for a write witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessOrder {
    /// The node that must be at the other end; otherwise nothing may be asked.
    pub node: NodeId,
    /// What to pay, in vain.
    pub keys: WitnessKeys,
    /// As in [`SendOrder`].
    pub send_deadline: Timestamp,
}

/// What is heard on a send's own response stream. The stream ends after a final record or any
/// other item than an in-flight record.
#[derive(Debug)]
pub enum SendUpdate {
    /// The payment as it stands at the node.
    Record(Record),
    /// The node refused because it knows this payment hash.
    AlreadyExists,
    /// The node ended the call with an error of its own: whatever the call did is done.
    Refused(NodeError),
    /// It had no effect and will have none: nothing left this process, or the node turned the call away
    /// before it looked at the payment.
    Unsent(NodeError),
    /// It is not known what became of the request: it may have an effect at any time.
    Lost(NodeError),
}

/// The response stream of one send. However long the node takes, it does not end by itself: only with
/// the node's last word or the connection.
pub type SendStream = Pin<Box<dyn Stream<Item = SendUpdate> + Send>>;

/// Why a node's word is not known. None of these means that nothing was paid.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No connection, or the connection was lost.
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("the node did not answer in time")]
    Timeout,
    /// The node is on another network than the configured one.
    #[error("the node is on {found}, but {expected} is configured")]
    WrongNetwork {
        /// What the node says.
        found: String,
        /// What is configured.
        expected: Network,
    },
    /// Another node than the one that must be asked is at the other end. Nothing was sent to it.
    #[error("the node is {found}, not {expected}")]
    OtherNode {
        /// Who it is.
        found: NodeId,
        /// Who it should be.
        expected: NodeId,
    },
    /// It was connected anew since the payment was looked up. Nothing was sent.
    #[error("the node was connected anew since the payment was looked up")]
    OtherConnection,
    /// The node answered with an error.
    #[error("the node answered with an error: {0}")]
    Refused(String),
    /// The credentials do not permit this call.
    #[error("the node's credentials do not permit {0}")]
    NotPermitted(&'static str),
    /// There is no connection, or the node refuses our credentials or any service. Nothing was sent.
    #[error("{0}")]
    Barred(NodeTrouble),
    /// The node's answer makes no sense.
    #[error("the node's answer is not understood: {0}")]
    Garbled(String),
}

impl NodeError {
    /// What operators are told of it: a sentence of our own.
    pub fn trouble(&self) -> NodeTrouble {
        match self {
            Self::Barred(trouble) => trouble.clone(),
            Self::NotPermitted(call) => NodeTrouble::with(TroubleKind::NotPermitted, *call),
            Self::Unreachable(_) => TroubleKind::Unreachable.into(),
            Self::Timeout => TroubleKind::Silent.into(),
            Self::WrongNetwork { .. } => TroubleKind::OtherNetwork.into(),
            Self::OtherNode { .. } | Self::OtherConnection => TroubleKind::OtherNode.into(),
            Self::Refused(_) => TroubleKind::Failing.into(),
            Self::Garbled(_) => TroubleKind::Garbled.into(),
        }
    }
}

/// A Lightning node.
#[async_trait]
pub trait LightningNode: Send + Sync {
    /// What the backend can promise.
    fn traits(&self) -> NodeTraits;

    /// Connects if there is no connection, and tells who is at the other end of it.
    async fn introduce(&self) -> Result<Introduction, NodeError>;

    /// Asks what the node knows of a payment.
    async fn look_up(&self, hash: PaymentHash) -> Result<LookUp, NodeError>;

    /// Whether it can pay, and how much.
    async fn health(&self) -> Result<NodeHealth, NodeError>;

    /// Tries all that paying needs and that [`Self::health`] has not tried, as far as it can be tried
    /// without effect: [`NodeError::NotPermitted`] names the first call that is not permitted.
    async fn try_permissions(&self) -> Result<(), NodeError> {
        Ok(())
    }

    /// Whether an HTLC of ours with this hash is out, or may be: the channels are asked, whatever the
    /// payment's record says. False is a promise, at the time of the question, for a payment for which
    /// no more tries are begun; where the node cannot tell of a channel, it is true.
    async fn has_htlc(&self, hash: PaymentHash) -> Result<bool, NodeError>;

    /// A page of the node's payments, those that failed included.
    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError>;

    /// Asks the node to pay. Call it only after the send's row is committed. It returns at once; what
    /// becomes of the call is told by the stream.
    async fn send(&self, order: SendOrder) -> SendStream;

    /// Asks for a payment that cannot succeed, which the node stores before it fails. Answers as
    /// [`Self::send`] does.
    async fn witness(&self, order: WitnessOrder) -> SendStream;
}
