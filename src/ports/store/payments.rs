//! Payment attempts: leases, steps and write witnesses.

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
    /// All others that are due: sent, in flight, in doubt, or failed and due for a late lookup.
    Follow,
}

/// An attempt under lease.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The attempt.
    pub payment: Payment,
    /// Its request.
    pub withdraw: Withdraw,
    /// The fencing token: unique to this lease, and carried by every send made under it.
    pub fencing_token: i64,
    /// Lookups so far in this state.
    pub lookups: i64,
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

/// A write witness to request from a node (see [`crate::domain::payment::Pending`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWitness {
    /// The node to ask.
    pub node: NodeId,
    /// When it begins, by whichever of the process's and the database's clock is behind.
    pub begun_at: Timestamp,
    /// No process requests another one before this.
    pub next_at: Timestamp,
}

/// Sends that should have been answered by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverdueSends {
    /// They began before this.
    pub begun_before: Timestamp,
    /// The present. A later time was written by a clock that was set back since.
    pub now: Timestamp,
    /// Counting stops at this number.
    pub most: i64,
}

/// Attempts, and the write witnesses that show whether a node stores them (see
/// [`crate::domain::payment::Pending`]). A lease saves work; correctness rests on the versions.
#[async_trait]
pub trait Payments: Send + Sync {
    /// Leases attempts that are due, the longest overdue first. Nobody else can lease them before
    /// `until`.
    async fn lease(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Leased>, StoreError>;

    /// An attempt by its id, with its request.
    async fn payment(&self, id: PaymentId) -> Result<Option<Leased>, StoreError>;

    /// A page, newest first.
    async fn list_payments(&self, query: &PaymentQuery) -> Result<Vec<PaymentEntry>, StoreError>;

    /// How many attempts are open, state by state.
    async fn open_payments(&self) -> Result<Vec<OpenPayments>, StoreError>;

    /// Writes one step. Fails with [`StoreError::Stale`] if a row has changed, and with
    /// [`StoreError::Halted`] if the step sends while nothing may be sent, or closes an attempt and was
    /// decided on another server.
    async fn advance(&self, advance: &Advance) -> Result<(), StoreError>;

    /// Whether exactly this send is committed.
    async fn send_exists(
        &self,
        id: PaymentId,
        number: i64,
        fencing_token: i64,
    ) -> Result<bool, StoreError>;

    /// Schedules the next lookup at `due_at`, or never, when nothing was learned. Does nothing if
    /// another worker holds the lease by now or the row has changed.
    async fn postpone(
        &self,
        leased: &Leased,
        due_at: Option<Timestamp>,
        lookups: i64,
    ) -> Result<(), StoreError>;

    /// Makes open attempts that are due after `beyond` due `now`, and returns their number. No schedule
    /// reaches that far: a clock that was far ahead must have written it.
    async fn bring_forward(&self, beyond: Timestamp, now: Timestamp) -> Result<u64, StoreError>;

    /// The newest payment, other than `but`, that `node` was seen to know, in flight or paid. As long
    /// as the node knows that one, its records are intact, and its NOT_FOUND for `but` counts.
    async fn newest_known(
        &self,
        node: &NodeId,
        but: PaymentId,
    ) -> Result<Option<PaymentHash>, StoreError>;

    /// Whether `node` was seen to store a payment that was requested after all of `sends`, and begun
    /// after their time window had passed but not after `now`.
    async fn is_witnessed(
        &self,
        node: &NodeId,
        sends: &Unanswered,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// How many of the `overdue` sends to `node` were never answered, counted after the last send that
    /// it was seen to store.
    async fn unanswered_in_a_row(
        &self,
        node: &NodeId,
        overdue: OverdueSends,
    ) -> Result<i64, StoreError>;

    /// Reserves the next witness at the node that pays, if one is due. Returns the last send before it.
    /// None if no witness is due, or the database is not verified.
    async fn begin_witness(&self, witness: &NewWitness) -> Result<Option<i64>, StoreError>;

    /// Extends the reservation that ends at `ends_at` to `witness.next_at`. False if it was lost.
    async fn renew_witness(
        &self,
        witness: &NewWitness,
        ends_at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Since when witnesses were requested from `node` without success; None if it has stored something
    /// since.
    async fn in_vain_since(
        &self,
        node: &NodeId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError>;

    /// Records that the node stored a payment that was begun at `begun_at`, after the send `after`.
    async fn witnessed(
        &self,
        node: &NodeId,
        begun_at: Timestamp,
        after: i64,
    ) -> Result<(), StoreError>;
}
