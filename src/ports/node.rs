//! A Lightning node that pays invoices, and what its answers mean.
//!
//! Neither silence nor an error means that a payment failed: after every [`NodeError`] the outcome is
//! unknown. Only a [`Record`] is evidence about a payment, and only on a connection on which the node has
//! identified itself. A backend never repeats a call, and never reconnects without the caller's
//! knowledge.

use std::pin::Pin;

use async_trait::async_trait;
use futures_util::Stream;

use crate::domain::{
    Msat, Network, NodeId, NodeTrouble, PaymentHash, Timestamp, TroubleKind, payment::Record,
};

/// What a backend guarantees. Where a guarantee is missing, the domain waits longer before a request
/// reopens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "four independent guarantees")]
pub struct NodeTraits {
    /// Its name in configuration, logs and the `nodes` table.
    pub backend: &'static str,
    /// Simulated: no real money moves.
    pub simulated: bool,
    /// The node itself refuses a send that reaches it after its deadline.
    pub refuses_late_sends: bool,
    /// The node itself refuses to pay an expired invoice.
    pub refuses_expired_invoices: bool,
    /// The node refuses a second payment of a hash that is in flight or paid.
    pub dedupes_by_hash: bool,
}

/// One connection to the node. A different number means that the node may have restarted in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Connection(pub u64);

/// The node's identity: its first answer on every connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// Its public key.
    pub id: NodeId,
    /// Its alias.
    pub alias: String,
    /// Its network. The backend has verified that it is the configured one.
    pub network: Network,
    /// The connection that carried this answer.
    pub connection: Connection,
}

/// What the node can pay now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeHealth {
    /// The node's identity.
    pub introduction: Introduction,
    /// Whether it is synced to the chain tip (lnd: `synced_to_chain`).
    pub synced: bool,
    /// What its active channels can send, by the node's own numbers: their balances less what must stay
    /// in the channels. Whether the network beyond can route it is unknown.
    pub can_send: Msat,
    /// The outgoing HTLCs on the channel that has the most of them, forwards included. BOLT 2 allows at
    /// most 483 in each direction.
    pub busiest_channel_htlcs: u32,
    /// Channels whose peer is online.
    pub active_channels: u32,
}

/// One payment as the node lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPayment {
    /// Its record. `created` is [`Timestamp::MAX`] if the node reports no creation time.
    pub record: Record,
    /// BOLT11; empty if there was none (keysend).
    pub invoice: String,
    /// Its position in the node's list. A payment that is retried may move to the end.
    pub index: u64,
}

/// Which payments to list, in the node's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentsQuery {
    /// Created at this instant or later.
    pub created_from: Timestamp,
    /// Created at this instant or earlier.
    pub created_to: Timestamp,
    /// Start after this index; 0 starts at the beginning.
    pub after_index: u64,
    /// The maximum page size; 0 counts as 1.
    pub limit: u32,
}

/// A page of payments; empty at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentsPage {
    /// In order of their index.
    pub payments: Vec<ListedPayment>,
    /// The node's identity on the connection that carried the answer.
    pub node: NodeId,
    /// The connection that carried the answer.
    pub connection: Connection,
}

/// The answer to a lookup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupReply {
    /// None if the node knows no payment with this hash.
    pub record: Option<Record>,
    /// The node's identity on the connection that carried the answer.
    pub node: NodeId,
    /// The connection that carried the answer.
    pub connection: Connection,
}

/// A request to pay, already committed to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendOrder {
    /// The node that must be connected; otherwise nothing may be sent.
    pub node: NodeId,
    /// The connection on which the payment was looked up and the node showed that its records are
    /// intact. On any other connection nothing may be sent: the node may have been wiped in between.
    pub connection: Connection,
    /// Normalised BOLT11. It carries the amount.
    pub invoice: String,
    /// The invoice's payment hash.
    pub payment_hash: PaymentHash,
    /// The invoice's amount.
    pub amount: Msat,
    /// The maximum routing fee.
    pub fee_limit: Msat,
    /// From the committed row, never recomputed. With [`NodeTraits::refuses_late_sends`], the node
    /// itself refuses the request after this instant.
    pub send_deadline: Timestamp,
}

/// A payment that can never succeed, requested to see whether the node stores payments: a *write
/// witness* (see [`crate::domain::payment::Pending`]). The payee does not exist and nobody knows the
/// preimage, so no money can move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WitnessKeys {
    /// The x coordinate of the payee's public key.
    pub payee: [u8; 32],
    /// Nobody knows its preimage.
    pub payment_hash: PaymentHash,
}

/// A request for a write witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessOrder {
    /// The node that must be connected; otherwise nothing may be requested.
    pub node: NodeId,
    /// The payment to request.
    pub keys: WitnessKeys,
    /// As in [`SendOrder`].
    pub send_deadline: Timestamp,
}

/// An item on a send's own response stream. Any item except an in-flight record ends the stream.
#[derive(Debug)]
pub enum SendUpdate {
    /// The node's current record of the payment.
    Record(Record),
    /// The node refused because it knows this payment hash.
    AlreadyExists,
    /// The node itself ended the call with an error: the call has no further effect.
    Refused(NodeError),
    /// The call had no effect and will have none: nothing left this process, or the node rejected the
    /// call before it read the payment.
    Unsent(NodeError),
    /// The outcome of the call is unknown: it may take effect at any time.
    Lost(NodeError),
}

/// The response stream of one send. It has no timeout: it ends with the node's final report or with the
/// connection.
pub type SendStream = Pin<Box<dyn Stream<Item = SendUpdate> + Send>>;

/// Why a call to the node failed. None of these means that nothing was paid.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No connection, or the connection was lost.
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    /// No answer in time.
    #[error("the node did not answer in time")]
    Timeout,
    /// The node is on a network other than the configured one.
    #[error("the node is on {found}, but {expected} is configured")]
    WrongNetwork {
        /// The network that the node reports.
        found: String,
        /// The configured network.
        expected: Network,
    },
    /// The connected node is not the expected one. Nothing was sent to it.
    #[error("the node is {found}, not {expected}")]
    OtherNode {
        /// The node that answered.
        found: NodeId,
        /// The node that was expected.
        expected: NodeId,
    },
    /// The connection was re-established after the lookup: the node may have restarted. Nothing was
    /// sent.
    #[error("the connection to the node was re-established after the payment was looked up")]
    OtherConnection,
    /// The node answered with an error.
    #[error("the node answered with an error: {0}")]
    Refused(String),
    /// The credentials do not permit this call.
    #[error("the node's credentials do not permit {0}")]
    NotPermitted(&'static str),
    /// The call could not be made: no connection was possible, or the node refuses our credentials, our
    /// terms or every call (wallet locked, starting). Nothing was sent.
    #[error("{0}")]
    Barred(NodeTrouble),
    /// The node's response is invalid.
    #[error("the node's response is invalid: {0}")]
    Garbled(String),
}

impl NodeError {
    /// The category of the error, for operators. It contains none of the node's own text.
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
    /// What the backend guarantees.
    fn traits(&self) -> NodeTraits;

    /// Connects if there is no connection, and returns the node's identity.
    async fn introduce(&self) -> Result<Introduction, NodeError>;

    /// Asks the node for its record of a payment.
    async fn look_up(&self, hash: PaymentHash) -> Result<LookupReply, NodeError>;

    /// Whether the node can pay, and how much.
    async fn health(&self) -> Result<NodeHealth, NodeError>;

    /// Tries every call that paying needs and [`Self::health`] does not make, as far as possible
    /// without side effects. [`NodeError::NotPermitted`] names the first call that is not permitted.
    async fn try_permissions(&self) -> Result<(), NodeError> {
        Ok(())
    }

    /// Whether a channel holds, or may hold, an outgoing HTLC with this hash, whatever the payment's
    /// record says. True if a channel's state is unknown. False is definite, as long as the node starts no
    /// further HTLC attempt for the payment.
    async fn has_htlc(&self, hash: PaymentHash) -> Result<bool, NodeError>;

    /// A page of the node's payments, failed ones included.
    async fn payments(&self, query: PaymentsQuery) -> Result<PaymentsPage, NodeError>;

    /// Asks the node to pay. Call it only after the send's row is committed. It returns at once; the
    /// stream reports the outcome.
    async fn send(&self, order: SendOrder) -> SendStream;

    /// Requests a payment that cannot succeed but that the node stores before it fails. Answers like
    /// [`Self::send`].
    async fn witness(&self, order: WitnessOrder) -> SendStream;
}
