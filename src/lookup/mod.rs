//! Asks the node about payments, and judges whether its answer counts.
//!
//! Use cases ([`crate::service`]) and workers ([`crate::payer`], [`crate::integrity`], [`crate::jobs`])
//! share this module, so that all of them trust the same node and the same clocks. It gathers facts; the
//! domain decides what follows from them.
//!
//! * [`PaymentLookup`]: looks a payment up, with all that must be read before and after the node's answer.
//! * [`NodeVerifier`]: whether the node that answers is the one that pays, with its records intact.
//! * [`ClockMonitor`]: which clock decides, and when none can be trusted.
//! * [`WriteWitness`]: finds out whether the node stores payments.
//! * [`NodeAccess`]: all of these for one node, as a process with a node has them.

mod clock_monitor;
mod node_verifier;
mod payment;
mod unknown;
mod witness;

use std::sync::Arc;

use crate::{
    domain::{
        Millis, NodeId, PayingLimits, Timestamp,
        payment::{Pace, SendLimits},
    },
    ports::{LightningNode, Store, StoreError},
    runtime::Runtime,
};

pub use clock_monitor::{ClockMonitor, ClockReading};
pub use node_verifier::{LookupError, NodeVerifier};
pub use payment::{LookupResult, LookupStart, PaymentLookup};
pub use unknown::{MAX_UNKNOWN, UnknownPayments};
pub use witness::WriteWitness;

/// When a send counts as over, and how often a payment is looked up.
#[derive(Clone, Copy, Debug)]
pub struct LookupOptions {
    /// How long a send can take effect after its deadline, and how often it is repeated.
    pub limits: SendLimits,
    /// How long after its commit the node accepts a send. The deadline travels with the send.
    pub send_life: Millis,
    /// A send that was not answered within this time is overdue: its worker releases its permits, and only
    /// its stream is still listened to.
    pub answer_overdue: Millis,
    /// How often to look a payment up.
    pub pace: Pace,
    /// How long a request stays claimable after a failure.
    pub claim_grace: Millis,
    /// What the whole instance may pay.
    pub paying: PayingLimits,
}

/// The node of this process, and everything that asks it.
#[derive(Clone)]
pub struct NodeAccess {
    /// The node.
    pub node: Arc<dyn LightningNode>,
    /// Verifies that it is the one that pays.
    pub verifier: Arc<NodeVerifier>,
    /// Looks payments up.
    pub lookup: Arc<PaymentLookup>,
    /// Finds out whether it stores payments.
    pub witness: Arc<WriteWitness>,
    store: Arc<dyn Store>,
}

impl NodeAccess {
    /// Access to this node, for this store. `expected` is the node that pays from now on, if the operator
    /// named one.
    pub fn new(
        store: &Arc<dyn Store>,
        node: &Arc<dyn LightningNode>,
        runtime: &Runtime,
        expected: Option<NodeId>,
        options: LookupOptions,
    ) -> Self {
        let (stores, nodes) = (|| Arc::clone(store), || Arc::clone(node));
        let verifier = NodeVerifier::new(stores(), nodes(), Arc::clone(&runtime.clock), expected);
        let verifier = Arc::new(verifier);
        let lookup =
            PaymentLookup::new(stores(), nodes(), runtime.clone(), Arc::clone(&verifier), options);
        let lookup = Arc::new(lookup);
        let witness =
            WriteWitness::new(stores(), nodes(), runtime.clone(), Arc::clone(&lookup), options);
        Self { node: nodes(), verifier, lookup, witness: Arc::new(witness), store: stores() }
    }

    /// Since when the node may know payments that the database does not. Earlier attempts are in the
    /// database, or an operator has acknowledged them.
    pub async fn unknown_since(
        &self,
        commit_delay: Millis,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        unknown::since(&*self.store, commit_delay, now).await
    }

    /// The payments since `created_from` that the database does not know, and that may have been paid: after
    /// an index of the node, or from the first on (0).
    pub async fn unknown_payments(
        &self,
        created_from: Timestamp,
        after_index: u64,
    ) -> Result<UnknownPayments, LookupError> {
        unknown::payments(&*self.store, &*self.node, &self.verifier, created_from, after_index)
            .await
    }
}
