//! From when on the instance knows every payment of the node.

use crate::{
    domain::{PaymentId, Timestamp},
    ports::{KnownFrom, StoreError},
    store::{
        driver::Cells,
        sql::{
            Database, SqlStore,
            reader::{Parsed, Reader, only},
            retry::retrying,
        },
        statement::Statement,
    },
};

params! {
    struct FirstStart {
        first_started_at_ms: Timestamp,
    }
}

const FIRST_START: Statement<FirstStart> = statement!(
    FirstStart,
    "write when the instance first started",
    "-- instance.first_start
     update instance set first_started_at_ms = :first_started_at_ms where first_started_at_ms is null"
);

/// A restored payment does not count as the newest attempt, since it would hide the rest of the loss. It is
/// PAID without a node, since this database asked none to pay it.
pub const KNOWN_FROM: Statement<()> = statement!(
    "read from when on the instance knows the node's payments",
    "-- instance.known_from
     select first_started_at_ms, acknowledged_at_ms,
            (select p.id from payments p where p.state <> 'PAID' or p.node_id is not null
              order by p.id desc limit 1) as newest_id
       from instance"
);

impl<D: Database> SqlStore<D> {
    pub(super) async fn read_known_from(&self, now: Timestamp) -> Result<KnownFrom, StoreError> {
        let start = || FirstStart { first_started_at_ms: now };
        retrying(|| self.write(FIRST_START.bind(start()))).await?;
        let found = self.driver().fetch(KNOWN_FROM.bind(())).await?;
        known_from(&only(&found)?)
    }

    /// A lower bound on when the newest attempt was committed.
    pub(super) async fn newest_written(&self) -> Result<Option<Timestamp>, StoreError> {
        let newest = self.driver().dialect().newest_written;
        let found = self.driver().fetch(newest.bind(())).await?;
        found.first().map(|row| lower_bound(&Reader(row))).transpose()
    }
}

fn known_from<R: Cells>(row: &Reader<'_, R>) -> Parsed<KnownFrom> {
    let newest = row.opt_uuid("newest_id")?;
    Ok(KnownFrom {
        first_started_at: row.opt_time("first_started_at_ms")?,
        acknowledged_at: row.opt_time("acknowledged_at_ms")?,
        newest_accepted_at: newest.map(|id| PaymentId::from_uuid(id).created()),
    })
}

/// The time in the attempt's id, or the cap on it, whichever is earlier.
fn lower_bound<R: Cells>(row: &Reader<'_, R>) -> Parsed<Timestamp> {
    let created = PaymentId::from_uuid(row.uuid("newest_id")?).created();
    Ok(row.opt_time("written_at_ms")?.map_or(created, |cap| created.min(cap)))
}
