//! Events: appended by every change, in its own transaction.

use async_trait::async_trait;

use super::{SqlStore, int, opt_text, reader as rows, statements, text, uuid};
use crate::{
    domain::{Event, PaymentId, WithdrawId},
    ports::{Events, StoreError},
    store::driver::{Driver, Fault, Tx, Value},
};

#[async_trait]
impl<D: Driver> Events for SqlStore<D> {
    async fn events_of(&self, id: WithdrawId) -> Result<Vec<Event>, StoreError> {
        let rows = self.driver().fetch(statements::EVENTS_OF, vec![uuid(id.as_uuid())]).await?;
        self.settle_lost_answers().await?;
        rows.iter().map(rows::event).collect()
    }
}

/// Appends an event in the transaction of what it tells of.
pub async fn append<T: Tx>(tx: &mut T, event: &Event) -> Result<(), Fault> {
    let values = vec![
        uuid(event.withdraw.as_uuid()),
        int(event.version),
        text(event.kind.name()),
        Value::Uuid(event.payment.map(PaymentId::as_uuid)),
        opt_text(event.detail),
        int(event.at.as_ms()),
        opt_text(event.by.as_ref().map(|by| by.name.as_str())),
        opt_text(event.by.as_ref().map(|by| by.note.as_str())),
    ];
    tx.execute(statements::NEW_EVENT, values).await?;
    Ok(())
}
