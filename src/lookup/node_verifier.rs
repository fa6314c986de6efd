//! Verifies that the node that answers is the one whose reports count.
//!
//! The first node that this store sees is the one that pays. If another identity answers later, payments
//! stop until the operator names it. And a node that no longer knows the newest payment that it was seen to
//! know has lost its memory: its NOT_FOUND proves nothing.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    domain::{NodeId, Payment, PaymentHash, PaymentId, State, Timestamp, payment::Trust},
    ports::{Connection, Introduction, LightningNode, LookUp, NodeError, Store, StoreError},
    runtime::Clock,
};

/// Why a lookup was not possible.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The node did not answer.
    #[error("the node did not answer")]
    Node(#[from] NodeError),
    /// The store did not answer.
    #[error("the database did not answer")]
    Store(#[from] StoreError),
}

/// Verifies which node answers.
pub struct NodeVerifier {
    store: Arc<dyn Store>,
    node: Arc<dyn LightningNode>,
    clock: Arc<dyn Clock>,
    /// The node that pays from now on, if the operator named one.
    expected: Option<NodeId>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The node that pays, as determined on this connection.
    paying: Option<(Connection, NodeId)>,
    /// The connection on which the node still knew its newest payment.
    remembers: Option<Connection>,
}

impl NodeVerifier {
    /// `expected` replaces the node that paid so far, if it is the one that answers.
    pub fn new(
        store: Arc<dyn Store>,
        node: Arc<dyn LightningNode>,
        clock: Arc<dyn Clock>,
        expected: Option<NodeId>,
    ) -> Self {
        Self { store, node, clock, expected, seen: Mutex::default() }
    }

    /// The node that pays, according to the store. Connects to the node if need be.
    pub async fn paying_node(&self) -> Result<NodeId, LookupError> {
        let seen = self.node.introduce().await?;
        let known = self.locked(|seen| seen.paying.clone());
        if let Some((connection, id)) = known
            && connection == seen.connection
        {
            return Ok(id);
        }
        let paying = match &self.expected {
            // The node that answers is not the one that the operator named: nobody pays.
            Some(expected) if *expected != seen.id => expected.clone(),
            named => {
                let (backend, now) = (self.node.traits().backend, self.clock.now());
                self.store.remember_node(&seen, backend, named.is_some(), now).await?
            }
        };
        self.log_node(&seen, &paying);
        self.locked(|known| known.paying = Some((seen.connection, paying.clone())));
        Ok(paying)
    }

    /// Judges the answer to a lookup of `payment`. `needs_memory` is set for NOT_FOUND and FAILED, which
    /// count only from a node that still has its memory.
    pub async fn judge(
        &self,
        payment: &Payment,
        paying: &NodeId,
        look: &LookUp,
        needs_memory: bool,
    ) -> Result<Trust, LookupError> {
        let asked = payment.node().unwrap_or(paying);
        if look.node != *asked || look.node != *paying {
            return Ok(Trust::OtherNode);
        }
        if !needs_memory || self.remembers(payment, look).await? {
            return Ok(Trust::Same);
        }
        tracing::error!(
            node = %look.node,
            "the node no longer knows its newest payment: it was restored or wiped; sends stop"
        );
        Ok(Trust::Forgetful)
    }

    /// Whether the node still knows the newest payment that it was seen to know. Asked once per connection:
    /// a node does not lose its memory without losing its process.
    async fn remembers(&self, payment: &Payment, look: &LookUp) -> Result<bool, LookupError> {
        if self.locked(|seen| seen.remembers) == Some(look.connection) {
            return Ok(true);
        }
        let newest = self.store.newest_known(&look.node, payment.id).await?;
        let Some(newest) = newest else { return Ok(true) };
        let remembers = self.knows(newest, look.connection).await?;
        // If the payment itself may be the newest that the node knew, it was left out as its own witness;
        // an older one was looked up, and the answer counts for this payment alone.
        let was_never_known = matches!(payment.state, State::Reserved | State::Sending);
        if remembers && was_never_known {
            self.locked(|seen| seen.remembers = Some(look.connection));
        }
        Ok(remembers)
    }

    /// Whether the node on this connection still knows the newest of all payments that it was seen to know.
    /// If not, nothing is accepted, since it could not be sent.
    pub async fn has_memory(&self, seen: &Introduction) -> Result<bool, LookupError> {
        if self.locked(|known| known.remembers) == Some(seen.connection) {
            return Ok(true);
        }
        let no_payment = PaymentId::first_at(Timestamp::from_ms(0));
        let Some(newest) = self.store.newest_known(&seen.id, no_payment).await? else {
            return Ok(true);
        };
        self.knows(newest, seen.connection).await
    }

    /// Whether the node on `connection` knows a payment.
    async fn knows(&self, hash: PaymentHash, connection: Connection) -> Result<bool, LookupError> {
        let found = self.node.look_up(hash).await?;
        if found.connection != connection {
            // It may be another process now, with another memory: everything is asked again.
            return Err(
                NodeError::Unreachable("the connection was replaced meanwhile".into()).into()
            );
        }
        Ok(found.record.is_some())
    }

    fn log_node(&self, seen: &Introduction, paying: &NodeId) {
        let simulated = self.node.traits().simulated;
        if seen.id == *paying {
            tracing::info!(node = %seen.id, alias = %seen.alias, network = %seen.network, simulated,
                "the node is connected");
        } else {
            tracing::error!(found = %seen.id, expected = %paying,
                "another node answers: payments stop; correct lnd.endpoint, or, to pay from this node, \
                 set node.expected_identity to its public key");
        }
    }

    fn locked<T>(&self, with: impl FnOnce(&mut Seen) -> T) -> T {
        with(&mut self.seen.lock())
    }
}
