//! Verifies that the node that answers is the one whose reports count.
//!
//! The first node that this store sees is the *paying node*. If a node with another identity answers later,
//! nothing is paid until the operator configures that identity. A node that no longer knows the newest
//! payment that it was seen to know has lost payment records (it was wiped or restored from a backup): its
//! NOT_FOUND proves nothing.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::{
    domain::{NodeId, Payment, PaymentHash, PaymentId, State, Timestamp, payment::Trust},
    ports::{Connection, Introduction, LightningNode, LookupReply, NodeError, Store, StoreError},
    runtime::Clock,
};

/// Why a lookup was not possible.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The node did not answer, or answered with an error.
    #[error("could not ask the node")]
    Node(#[from] NodeError),
    /// The store did not answer, or failed.
    #[error("could not read or write the store")]
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
            // The node that answers is not the configured one: nothing is paid.
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

    /// Judges how far the answer to a lookup of `payment` can be trusted. `needs_memory` is set for NOT_FOUND
    /// and FAILED, which count only if the node's payment records are intact.
    pub async fn judge(
        &self,
        payment: &Payment,
        paying: &NodeId,
        look: &LookupReply,
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
            "the node no longer knows the newest payment that it was seen to know: it was restored or \
             wiped; nothing is sent"
        );
        Ok(Trust::Forgetful)
    }

    /// Whether the node still knows the newest payment that it was seen to know. Checked once per connection:
    /// a node cannot lose its records without a restart.
    async fn remembers(&self, payment: &Payment, look: &LookupReply) -> Result<bool, LookupError> {
        if self.locked(|seen| seen.remembers) == Some(look.connection) {
            return Ok(true);
        }
        let newest = self.store.newest_known(&look.node, payment.id).await?;
        let Some(newest) = newest else { return Ok(true) };
        let remembers = self.knows(newest, look.connection).await?;
        // `newest_known` leaves out `payment` itself. If the node was ever seen to know `payment`, that may
        // be the newest of all, and only an older one was checked: the result is not kept for other lookups.
        let was_never_known = matches!(payment.state, State::Reserved | State::Sending);
        if remembers && was_never_known {
            self.locked(|seen| seen.remembers = Some(look.connection));
        }
        Ok(remembers)
    }

    /// Whether the node on this connection still knows the newest of all payments that it was seen to know.
    /// If not, no claim is accepted, since its payment could not be sent.
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
            // The node may have restarted in between, with other records: the caller must begin anew.
            return Err(NodeError::Unreachable(
                "the connection was replaced during the check".into(),
            )
            .into());
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
