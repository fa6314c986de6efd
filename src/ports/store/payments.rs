//! Attempts, from their lease to their end.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{
    NodeId, Payment, PaymentHash, PaymentId, Timestamp, Withdraw,
    payment::{Advance, PaymentEntry, PaymentQuery, StateKind, Unanswered},
};

/// Which attempts to lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// RESERVED: waiting for their first send.
    Fresh,
    /// All others that are due: sent, in flight, in doubt, or failed and worth a late look.
    Follow,
}

/// An attempt under lease.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The attempt.
    pub payment: Payment,
    /// Its request.
    pub withdraw: Withdraw,
    /// Unique to this lease; sends made under it carry it.
    pub epoch: i64,
    /// Looks so far in this state.
    pub looks: i64,
}

/// The open attempts of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPayments {
    /// Which state.
    pub state: StateKind,
    /// How many.
    pub number: i64,
    /// When the oldest of them was accepted.
    pub oldest: Option<Timestamp>,
}

/// A write witness that is to be made for its own sake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWitness {
    /// The node that is asked.
    pub node: NodeId,
    /// When it is begun: by the earlier of the process's and the database's clock.
    pub begun_at: Timestamp,
    /// Nobody makes another one before.
    pub next_at: Timestamp,
}

/// Sends that should have been answered by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverdueSends {
    /// They began before this.
    pub begun_before: Timestamp,
    /// What lies ahead of it is of a clock that was set back since.
    pub now: Timestamp,
    /// More than these are not counted.
    pub most: i64,
}

/// Attempts, and the write witnesses that show whether a node stores them (see
/// [`crate::domain::payment::Pending`]). A lease saves work; correctness rests on the versions.
#[async_trait]
pub trait Payments: Send + Sync {
    /// Leases attempts that are due, the longest due first: no other lease of them until `until`.
    async fn lease(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Leased>, StoreError>;

    /// One by its id, with its request.
    async fn payment(&self, id: PaymentId) -> Result<Option<Leased>, StoreError>;

    /// A page, newest first.
    async fn list_payments(&self, query: &PaymentQuery) -> Result<Vec<PaymentEntry>, StoreError>;

    /// How many attempts are open, state by state.
    async fn open_payments(&self) -> Result<Vec<OpenPayments>, StoreError>;

    /// Writes one step; fails with [`StoreError::Stale`] if a row has moved, and with
    /// [`StoreError::Halted`] if it sends and nothing may be sent, or closes and was decided on another
    /// server.
    async fn advance(&self, advance: &Advance) -> Result<(), StoreError>;

    /// Whether this very send is committed.
    async fn send_exists(&self, id: PaymentId, number: i64, epoch: i64)
    -> Result<bool, StoreError>;

    /// Nothing was learned: look again at `due_at`, or never. Does nothing if the lease is
    /// another's by now, or the row has moved.
    async fn postpone(
        &self,
        leased: &Leased,
        due_at: Option<Timestamp>,
        looks: i64,
    ) -> Result<(), StoreError>;

    /// Open attempts that are due after `beyond`, which no plan reaches, are due `now`: a clock that
    /// went far ahead had planned them. Tells how many there were.
    async fn pull_far(&self, beyond: Timestamp, now: Timestamp) -> Result<u64, StoreError>;

    /// The newest payment but one that this store saw `node` know, in flight or paid: while the node
    /// knows it, its word that it does not know that one counts.
    async fn newest_known(
        &self,
        node: &NodeId,
        but: PaymentId,
    ) -> Result<Option<PaymentHash>, StoreError>;

    /// Whether `node` was seen to store a payment whose request came after all of `sends` and was begun
    /// after their time had passed, and not after `now`.
    async fn is_witnessed(
        &self,
        node: &NodeId,
        sends: &Unanswered,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// How many of the `overdue` sends to `node` were never answered since the last one that it was seen to
    /// store.
    async fn unanswered_in_a_row(
        &self,
        node: &NodeId,
        overdue: OverdueSends,
    ) -> Result<i64, StoreError>;

    /// Takes the turn to make a witness at the node that pays, if it is due. Tells the last send that
    /// came before it. None: it is not due, or the database is not verified.
    async fn begin_witness(&self, witness: &NewWitness) -> Result<Option<i64>, StoreError>;

    /// Keeps the turn that ends at `ends_at` until `witness.next_at`. False if it was lost.
    async fn renew_witness(
        &self,
        witness: &NewWitness,
        ends_at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Since when `node` has been asked for witnesses in vain; none if it stored something since.
    async fn in_vain_since(
        &self,
        node: &NodeId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// The node has stored the payment that was begun then, after the send `after`.
    async fn witnessed(
        &self,
        node: &NodeId,
        begun_at: Timestamp,
        after: i64,
    ) -> Result<(), StoreError>;
}
