//! Events: every change appends one, in its own transaction.

use super::{
    Database, SqlStore,
    reader::{Parsed, Reader, known},
};
use crate::{
    domain::{
        Actor, Event, EventKind, FailureReason, OperatorReason, PaymentId, Timestamp, WithdrawId,
    },
    ports::StoreError,
    store::{
        driver::{Cells, Fault, Tx},
        statement::Statement,
    },
};

params! {
    struct Append<'a> {
        withdraw_id: WithdrawId,
        version: i64,
        kind: &'a str,
        payment_id: Option<PaymentId>,
        detail: Option<&'a str>,
        at_ms: Timestamp,
        operator: Option<&'a str>,
        note: Option<&'a str>,
    }

    struct OfWithdraw {
        withdraw_id: WithdrawId,
    }
}

const APPEND: Statement<Append> = statement!(
    Append,
    "write an event",
    concat!(
        "-- event.append\n",
        insert_into!(
            "events",
            withdraw_id,
            version,
            kind,
            payment_id,
            detail,
            at_ms,
            operator,
            note,
        )
    )
);

const OF_WITHDRAW: Statement<OfWithdraw> = statement!(
    OfWithdraw,
    "read the events of a withdraw request",
    "-- event.of_withdraw
     select withdraw_id, version, kind, payment_id, detail, at_ms, operator, note
       from events where withdraw_id = :withdraw_id order by version"
);

impl<D: Database> SqlStore<D> {
    /// Reads all events of one request, in order.
    pub(super) async fn read_events(&self, id: WithdrawId) -> Result<Vec<Event>, StoreError> {
        let rows = self.driver().fetch(OF_WITHDRAW.bind(OfWithdraw { withdraw_id: id })).await?;
        self.settle_lost_answers().await?;
        rows.iter().map(event).collect()
    }
}

/// Appends an event, in the transaction of the change that it reports.
pub async fn append<T: Tx>(tx: &mut T, event: &Event) -> Result<(), Fault> {
    let by = event.by.as_ref();
    let append = Append {
        withdraw_id: event.withdraw,
        version: event.version,
        kind: event.kind.name(),
        payment_id: event.payment,
        detail: event.detail,
        at_ms: event.at,
        operator: by.map(|by| by.name.as_str()),
        note: by.map(|by| by.reason.as_str()),
    };
    tx.execute(APPEND.bind(append)).await?;
    Ok(())
}

/// Reads an event. Its detail is the name of a failure reason or an operator reason.
fn event(row: &impl Cells) -> Parsed<Event> {
    let row = Reader(row);
    let detail = match row.opt_text("detail")? {
        None => None,
        Some(name) => Some(known("detail", reason_name(&name))?),
    };
    Ok(Event {
        withdraw: WithdrawId::from_uuid(row.uuid("withdraw_id")?),
        version: row.int("version")?,
        kind: row.named::<EventKind>("kind")?,
        payment: row.opt_uuid("payment_id")?.map(PaymentId::from_uuid),
        detail,
        at: row.time("at_ms")?,
        by: operator(&row)?,
    })
}

fn operator<R: Cells>(row: &Reader<'_, R>) -> Parsed<Option<Actor>> {
    let Some(name) = row.opt_text("operator")? else {
        return Ok(None);
    };
    Ok(Some(Actor::unnamed(name, row.text("note")?)))
}

fn reason_name(name: &str) -> Option<&'static str> {
    let failure = name.parse().ok().map(FailureReason::name);
    failure.or_else(|| name.parse().ok().map(OperatorReason::name))
}
