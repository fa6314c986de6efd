//! The store: what the service remembers. One trait per use, joined as [`Store`].
//!
//! A method takes one fact made by the domain that holds every row of its transaction, and writes
//! all of it or nothing. Each write names the version that was read. What a method returns is
//! durable: a COMMIT whose answer was lost is [`StoreError::Unknown`], never success nor failure.

use async_trait::async_trait;

use crate::domain::{
    Change, Claim, Event, Halt, Heartbeat, ListQuery, Millis, NodeId, NodeTrouble, Payment,
    PaymentHash, PaymentId, SecretHash, Standing, Timestamp, Turn, Withdraw, WithdrawId,
    WithdrawView,
    payment::{Advance, PaymentEntry, PaymentQuery, StateKind, Unanswered},
};

use super::{Integrity, Introduction, Upkeep};

/// What a driver said. It reaches the log and never the wire.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The row has moved since it was read. Nothing was written.
    #[error("the row has changed since it was read")]
    Stale,
    /// The instance is paused, fenced, or over a database that is not verified or has lost a commit. Nothing
    /// was written. Of `advance`, `create`, `change`, `restore` and `turn`.
    #[error("the instance is halted: {}", .0.name())]
    Halted(Halt),
    /// The answer to COMMIT was lost: it may or may not have been written. Read it back.
    #[error("it is not known whether the change was committed")]
    Unknown(#[source] BoxError),
    /// The database cannot be reached, has no connection to spare, or could not serve this now (statement or
    /// lock time-out, cancelled, shutting down, out of resources, read-only). Nothing was written.
    #[error("the database is unavailable: could not {doing}")]
    Unavailable {
        /// What was tried.
        doing: &'static str,
        /// Why it did not work.
        #[source]
        source: BoxError,
    },
    /// The database answered with an error, or a row makes no sense. Nothing was written.
    #[error("the database failed: could not {doing}")]
    Failed {
        /// What was tried.
        doing: &'static str,
        /// Why it did not work.
        #[source]
        source: BoxError,
    },
}

/// What became of one entry of a bulk create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// A row was written.
    Created,
    /// The request id was used before, for the same content: the request as it stands now.
    Replayed(Box<WithdrawView>),
    /// The request id was used before, for other content. Nothing of the bulk was written.
    Conflict,
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimOutcome {
    /// The request is held by this claim.
    Accepted,
    /// The request has moved since it was read.
    Stale,
    /// The payment hash was claimed with before.
    HashUsed,
    /// The instance accepts nothing.
    Halted(Halt),
}

/// Withdraw requests.
#[async_trait]
pub trait Withdraws: Send + Sync {
    /// Writes all, or none when one of them is a [`CreateOutcome::Conflict`]. One outcome each.
    async fn create(&self, withdraws: &[Withdraw]) -> Result<Vec<CreateOutcome>, StoreError>;

    /// One by its id.
    async fn withdraw(&self, id: WithdrawId) -> Result<Option<WithdrawView>, StoreError>;

    /// One by what its secret hashes to.
    async fn by_secret(&self, hash: &SecretHash) -> Result<Option<WithdrawView>, StoreError>;

    /// A page, newest first.
    async fn list(&self, query: &ListQuery) -> Result<Vec<WithdrawView>, StoreError>;

    /// Writes changes, each on its own version: true where it was written, false where the row had
    /// moved.
    async fn change(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError>;

    /// Those whose mark `claimable` has to be looked at: expired, or due to reopen.
    async fn due_to_tick(&self, now: Timestamp, limit: i64) -> Result<Vec<Withdraw>, StoreError>;
}

/// Claims.
#[async_trait]
pub trait Claims: Send + Sync {
    /// Writes the attempt, the request's change and the event; decided by the database.
    async fn claim(&self, claim: &Claim) -> Result<ClaimOutcome, StoreError>;
}

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

/// Attempts. A lease saves work; correctness rests on the versions.
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

/// Write witnesses: what shows that a node stores payments (see
/// [`crate::domain::payment::Pending`]).
#[async_trait]
pub trait Witnesses: Send + Sync {
    /// Whether `node` was seen to store a payment whose request came after all of `sends` and was begun
    /// after their time had passed, and not after `now`.
    async fn is_witnessed(
        &self,
        node: &NodeId,
        sends: &Unanswered,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// How many sends to `node` that began before `overdue` were never answered since the last one that
    /// it was seen to store, as of `now`: `most` at most.
    async fn unanswered_in_a_row(
        &self,
        node: &NodeId,
        (overdue, now): (Timestamp, Timestamp),
        most: i64,
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

/// Events.
#[async_trait]
pub trait Events: Send + Sync {
    /// All of one request, in order.
    async fn events_of(&self, id: WithdrawId) -> Result<Vec<Event>, StoreError>;
}

/// The whole instance: every replica at once.
#[async_trait]
pub trait Instance: Send + Sync {
    /// What holds now. Replicas' clocks may be `clock_skew` apart. With `spent_since`, what was
    /// accepted since then is added up.
    async fn standing(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<Standing, StoreError>;

    /// The same for an operator, who does not queue behind wallets.
    async fn standing_for_operator(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<Standing, StoreError>;

    /// Writes what the node said, unless it is not the one that pays.
    async fn beat(&self, beat: &Heartbeat) -> Result<(), StoreError>;

    /// Writes what keeps the node from us, for every process to see; none once nothing does.
    async fn report_trouble(
        &self,
        trouble: Option<&NodeTrouble>,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Turns the instance's switches; when this returns, no claim and no send is committed that the
    /// turn forbids. False if it stood like that already. Within a second under any load of claims, or
    /// [`StoreError::Unavailable`]. [`StoreError::Halted`] for a resume or an acknowledgement over a loss that
    /// is not fenced yet; [`StoreError::Stale`] for a fence for lost marks that are all there.
    async fn turn(&self, turn: &Turn) -> Result<bool, StoreError>;
}

/// The nodes that were seen.
#[async_trait]
pub trait Nodes: Send + Sync {
    /// The node that pays; none before the first was seen.
    async fn current_node(&self) -> Result<Option<NodeId>, StoreError>;

    /// Makes `node` the one that pays if there is none yet, or if `replace`. Returns the one that
    /// pays now.
    async fn remember_node(
        &self,
        node: &Introduction,
        backend: &str,
        replace: bool,
        now: Timestamp,
    ) -> Result<NodeId, StoreError>;
}

/// All of it.
pub trait Store:
    Withdraws + Claims + Payments + Witnesses + Events + Instance + Integrity + Nodes + Upkeep
{
}

impl<S: Withdraws + Claims + Payments + Witnesses + Events + Instance + Integrity + Nodes + Upkeep>
    Store for S
{
}
