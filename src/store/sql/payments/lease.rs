//! Leases: which worker follows an attempt, and until when.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    leased::{Lease, LeasedIds},
    row, sends,
};
use crate::{
    domain::{PaymentId, Sends, Timestamp, payment::Send},
    ports::{Lane, Leased, StoreError},
    store::{
        driver::{Cells, Fault, Tx},
        sql::{
            Database, SqlStore,
            reader::{Parsed, Reader},
            retry::retrying,
            withdraws,
        },
        statement::Statement,
    },
};

params! {
    struct DueBy {
        now: Timestamp,
    }

    struct Postpone {
        due_at_ms: Option<Timestamp>,
        looks: i64,
        id: PaymentId,
        epoch: i64,
        version: i64,
    }

    struct DueTooLate {
        beyond: Timestamp,
    }

    struct BringForward {
        beyond: Timestamp,
        now: Timestamp,
    }
}

const ANY_DUE_FRESH: Statement<DueBy> = statement!(
    DueBy,
    "look for reserved payments",
    "-- payment.any_due_fresh
     select id from payments where state = 'RESERVED' and due_at_ms <= :now limit 1"
);

const ANY_DUE_FOLLOW: Statement<DueBy> = statement!(
    DueBy,
    "look for payments to follow",
    "-- payment.any_due_follow
     select id from payments where state <> 'RESERVED' and due_at_ms <= :now limit 1"
);

const POSTPONE: Statement<Postpone> = statement!(
    Postpone,
    "postpone a payment",
    "-- payment.postpone
     update payments set due_at_ms = :due_at_ms, looks = :looks
      where id = :id and epoch = :epoch and version = :version"
);

/// Finds open attempts that are due later than any schedule would set: a wrong clock set them.
const ANY_DUE_TOO_LATE: Statement<DueTooLate> = statement!(
    DueTooLate,
    "look for payments that are due too far ahead",
    "-- payment.any_due_too_late
     select id from payments
      where state in ('RESERVED', 'SENDING', 'IN_FLIGHT', 'NEEDS_OPERATOR') and due_at_ms > :beyond
      limit 1"
);

const BRING_FORWARD: Statement<BringForward> = statement!(
    BringForward,
    "bring forward payments that are due too far ahead",
    "-- payment.bring_forward
     update payments set due_at_ms = :now
      where state in ('RESERVED', 'SENDING', 'IN_FLIGHT', 'NEEDS_OPERATOR') and due_at_ms > :beyond"
);

impl<D: Database> SqlStore<D> {
    pub(super) async fn lease_due(
        &self,
        lane: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: i64,
    ) -> Result<Vec<Leased>, StoreError> {
        if limit <= 0 {
            return Ok(Vec::new());
        }
        let dialect = self.driver().dialect();
        let (any, statement) = match lane {
            Lane::Fresh => (ANY_DUE_FRESH, dialect.lease_fresh),
            Lane::Follow => (ANY_DUE_FOLLOW, dialect.lease_follow),
        };
        // Most polls find nothing, and should not open a write transaction.
        if self.driver().fetch(any.bind(DueBy { now })).await?.is_empty() {
            return Ok(Vec::new());
        }
        retrying(|| self.lease_once(statement, Lease { until, now, limit })).await
    }

    async fn lease_once(
        &self,
        statement: Statement<Lease>,
        lease: Lease,
    ) -> Result<Vec<Leased>, Fault> {
        let mut tx = self.driver().begin().await?;
        let leased_rows = tx.fetch(statement.bind(lease)).await?;
        // Nothing was leased, so there is nothing to commit.
        if leased_rows.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Result<Vec<Uuid>, StoreError> =
            leased_rows.iter().map(|row| Reader(row).uuid("id")).collect();
        let ids = json_array(&ids?);
        let dialect = self.driver().dialect();
        let found = tx.fetch(dialect.leased.bind(LeasedIds { ids: &ids })).await?;
        let mut sends: HashMap<Uuid, Vec<_>> = HashMap::new();
        for send in tx.fetch(dialect.leased_sends.bind(LeasedIds { ids: &ids })).await? {
            sends.entry(Reader(&send).uuid("payment_id")?).or_default().push(send);
        }
        let leases = found.iter().filter_map(|row| {
            let id = Reader(row).uuid("p_id").ok()?;
            let own_sends = sends.remove(&id).unwrap_or_default();
            leased(row, &own_sends).map_err(|error| log_unreadable(id, &error)).ok()
        });
        let leases = leases.collect();
        // Unreadable attempts stay leased, too: otherwise they would come first in every poll.
        tx.commit().await?;
        Ok(leases)
    }

    pub(super) async fn postpone_to(
        &self,
        leased: &Leased,
        due_at: Option<Timestamp>,
        looks: i64,
    ) -> Result<(), StoreError> {
        let Leased { payment, fencing_token: epoch, .. } = leased;
        let postpone = || Postpone {
            due_at_ms: due_at,
            looks,
            id: payment.id,
            epoch: *epoch,
            version: payment.version,
        };
        retrying(|| self.write(POSTPONE.bind(postpone()))).await.map(drop)
    }

    pub(super) async fn bring_forward_if_any(
        &self,
        beyond: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        if self.driver().fetch(ANY_DUE_TOO_LATE.bind(DueTooLate { beyond })).await?.is_empty() {
            return Ok(0);
        }
        retrying(|| self.write(BRING_FORWARD.bind(BringForward { beyond, now }))).await
    }
}

/// Without hyphens, a form of UUID that both databases can parse.
fn json_array(ids: &[Uuid]) -> String {
    let ids: Vec<String> = ids.iter().map(|id| format!("\"{}\"", id.simple())).collect();
    format!("[{}]", ids.join(","))
}

/// Logs a row that was written by hand or by a newer version. The rest of the batch proceeds without it.
fn log_unreadable(payment: Uuid, error: &StoreError) {
    tracing::error!(
        %payment,
        error = error as &dyn std::error::Error,
        "the payment's row cannot be read: the payment is not followed"
    );
}

/// Builds a leased attempt and its request from its row and its sends.
pub fn leased<R: Cells>(row: &R, sends: &[R]) -> Parsed<Leased> {
    let sends: Result<Vec<Send>, StoreError> = sends.iter().map(sends::send).collect();
    Ok(Leased {
        payment: row::payment(row, Sends::from_rows(sends?))?,
        withdraw: withdraws::row::withdraw(row)?,
        fencing_token: Reader(row).int("p_epoch")?,
        lookups: Reader(row).int("p_looks")?,
    })
}
