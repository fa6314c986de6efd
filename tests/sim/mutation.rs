//! Mutations: each takes one safety rule out. This is done at the ports, so that the product has no hooks for
//! it. A simulation that does not catch every mutation proves nothing.

use futures_util::StreamExt;
use withdrawd::{
    domain::{
        FailureReason, Hold, Millis, Msat, PaymentHash, Withdraw,
        payment::{Advance, Next, Record, RecordState, Reopening},
    },
    payer::PayerOptions,
    ports::{LookupReply, NodeError, SendStream, SendUpdate, StoreError},
};

use super::{database::Database, world::World};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// An error or a timeout of the node is taken for a failure.
    ReopenOnTimeout,
    /// The node is asked before SENDING is committed.
    SendBeforeCommit,
    /// Nothing is looked up: every lookup finds nothing.
    NoLookUp,
    /// An unanswered send is taken for over at once, and its request rebound.
    RebindAtOnce,
    /// The first failure closes, while another send may arrive.
    CloseOnFirstFailure,
    /// Two claims may name one payment hash.
    HashNotUnique,
    /// A COMMIT whose answer was lost is taken for a failure.
    LostCommitIsFailure,
    /// Another node's answer counts as that of the one that was asked.
    AnyNodeCounts,
    /// NEEDS_OPERATOR does not hold its request.
    DoubtDoesNotHold,
    /// A send that was never answered is over when its time has passed.
    ClockEndsAll,
    /// A failure whose HTLC's result was lost is a failure like any other.
    LostResultIsFailure,
    /// After a loss nobody remembers what its callers were told.
    MarksForgotten,
}

impl Mutation {
    pub const ALL: [Self; 12] = [
        Self::ReopenOnTimeout,
        Self::SendBeforeCommit,
        Self::NoLookUp,
        Self::RebindAtOnce,
        Self::CloseOnFirstFailure,
        Self::HashNotUnique,
        Self::LostCommitIsFailure,
        Self::AnyNodeCounts,
        Self::DoubtDoesNotHold,
        Self::ClockEndsAll,
        Self::LostResultIsFailure,
        Self::MarksForgotten,
    ];

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutation| format!("{mutation:?}") == name)
    }

    /// What it does to an SQLite database of its own.
    pub fn prepare(self, database: &Database) {
        if self == Self::DoubtDoesNotHold {
            database.execute("drop index if exists payments_one_open");
            database.execute("drop index if exists payments_one_paid");
        }
    }

    /// A claim is about to be written.
    pub fn claims(mutation: Option<Self>, hash: PaymentHash, database: &Database) {
        if mutation == Some(Self::HashNotUnique) {
            let hash = hex::encode(hash.as_bytes());
            database.run_sql(format!(
                "update payments set payment_hash = randomblob(32) where payment_hash = x'{hash}'"
            ));
        }
    }

    pub fn options(mutation: Option<Self>, options: PayerOptions) -> PayerOptions {
        let mut options = options;
        if mutation == Some(Self::RebindAtOnce) {
            options.lookup.limits.node_slack = Millis::from_secs(-1_000_000);
            options.lookup.limits.max_refusals = 0;
        }
        options
    }

    /// Which node is shown at the other end.
    pub fn shows(mutation: Option<Self>, endpoint: usize) -> usize {
        if mutation == Some(Self::AnyNodeCounts) { 0 } else { endpoint }
    }

    pub fn looked_up(
        mutation: Option<Self>,
        world: &World,
        hash: PaymentHash,
        found: Result<LookupReply, NodeError>,
    ) -> Result<LookupReply, NodeError> {
        match (mutation, found) {
            (Some(Self::NoLookUp), Ok(found)) => Ok(LookupReply { record: None, ..found }),
            (Some(Self::LostResultIsFailure), Ok(found)) => {
                Ok(LookupReply { record: found.record.map(lost_is_failure), ..found })
            }
            (Some(Self::ReopenOnTimeout), Err(error)) => {
                let inner = world.lock();
                let invoice = inner.node.invoice_of(hash).ok_or(error)?;
                let amount = inner.node.invoices[invoice].amount;
                let created = inner.node_now();
                let state = RecordState::Failed(FailureReason::Timeout);
                let record = Record { payment_hash: hash, amount, created, state };
                let (node, connection) = (super::node::identity(0), inner.node.connection);
                let connection = withdrawd::ports::Connection(connection);
                Ok(LookupReply { record: Some(record), node, connection })
            }
            (_, found) => found,
        }
    }

    pub fn heard(
        mutation: Option<Self>,
        world: &std::sync::Arc<World>,
        hash: PaymentHash,
        stream: SendStream,
    ) -> SendStream {
        if mutation == Some(Self::LostResultIsFailure) {
            return Box::pin(stream.map(|update| match update {
                SendUpdate::Record(record) => SendUpdate::Record(lost_is_failure(record)),
                update => update,
            }));
        }
        if mutation != Some(Self::ReopenOnTimeout) {
            return stream;
        }
        let world = std::sync::Arc::clone(world);
        Box::pin(stream.map(move |update| match update {
            SendUpdate::Refused(_) | SendUpdate::Unsent(_) | SendUpdate::Lost(_) => {
                let inner = world.lock();
                let amount = inner
                    .node
                    .invoice_of(hash)
                    .map_or(Msat::new(1).unwrap(), |invoice| inner.node.invoices[invoice].amount);
                let created = inner.node_now();
                let state = RecordState::Failed(FailureReason::Timeout);
                SendUpdate::Record(Record { payment_hash: hash, amount, created, state })
            }
            update => update,
        }))
    }

    pub fn clock_ends_all(mutation: Option<Self>) -> bool {
        matches!(mutation, Some(Self::ClockEndsAll | Self::RebindAtOnce))
    }

    pub fn lost_commit(mutation: Option<Self>, error: StoreError) -> StoreError {
        match (mutation, error) {
            (Some(Self::LostCommitIsFailure), StoreError::Unknown(source)) => {
                StoreError::Failed { doing: "commit", source }
            }
            (_, error) => error,
        }
    }

    pub fn defers(mutation: Option<Self>, advance: &Advance) -> bool {
        mutation == Some(Self::SendBeforeCommit) && advance.new_send.is_some()
    }

    pub fn advance(mutation: Option<Self>, advance: &Advance, database: &Database) -> Advance {
        match mutation {
            Some(Self::CloseOnFirstFailure) => close_on_first_failure(advance, database),
            Some(Self::DoubtDoesNotHold) => doubt_does_not_hold(advance),
            _ => advance.clone(),
        }
    }
}

fn lost_is_failure(mut record: Record) -> Record {
    if record.state == RecordState::ResultLost {
        record.state = RecordState::Failed(FailureReason::NodeError);
    }
    record
}

/// A failure that was to be noted closes the attempt instead.
fn close_on_first_failure(advance: &Advance, database: &Database) -> Advance {
    let Some(reason) = advance.payment.noted.filter(|_| advance.payment.state.is_open()) else {
        return advance.clone();
    };
    let id = advance.payment.id;
    let Some(found) = database.run(database.store.payment(id)).unwrap() else {
        return advance.clone();
    };
    let mut payment = advance.payment.clone();
    payment.version -= 1;
    let reopening = Reopening {
        node_refuses_late_sends: true,
        node_refuses_expired_invoices: true,
        clock_skew: Millis::from_secs(5),
        claim_grace: Millis::from_secs(600),
    };
    let now = found.withdraw.modified;
    let next = payment.follow(Next::Fail(reason), found.withdraw, &reopening, now);
    let Advance { answered, due_at, decided_on, .. } = *advance;
    Advance { answered, due_at, decided_on, ..next }
}

/// The request is let go when its attempt is in doubt.
fn doubt_does_not_hold(advance: &Advance) -> Advance {
    let mut advance = advance.clone();
    if let Some(change) = &mut advance.change
        && let Withdraw { attempt: Some(attempt), claimable, .. } = &mut change.next
        && attempt.hold == Hold::InDoubt
    {
        attempt.hold = Hold::Released;
        *claimable = true;
    }
    advance
}
