//! Changes of requests. Each one names the version that was read.

use crate::{
    domain::{Change, PaymentId, Timestamp, WithdrawId},
    store::{
        driver::{Fault, Tx},
        sql::{Database, SqlStore, events, marks::CommitLabel},
        statement::Statement,
    },
};

params! {
    struct Update<'a> {
        status: &'a str,
        claimable_until_ms: Timestamp,
        reopens_at_ms: Option<Timestamp>,
        claimable: bool,
        payment_id: Option<PaymentId>,
        payment_hold: Option<&'a str>,
        late_success: bool,
        withheld: bool,
        modified_at_ms: Timestamp,
        id: WithdrawId,
        read_version: i64,
    }
}

const CHANGE: Statement<Update> = statement!(
    Update,
    "change a withdraw request",
    "-- withdraw.change
     update withdraws
        set status = :status, claimable_until_ms = :claimable_until_ms,
            reopens_at_ms = :reopens_at_ms, claimable = :claimable, payment_id = :payment_id,
            payment_hold = :payment_hold, late_success = :late_success, withheld = :withheld,
            modified_at_ms = :modified_at_ms, version = version + 1
      where id = :id and version = :read_version"
);

impl<D: Database> SqlStore<D> {
    pub(super) async fn change_once(
        &self,
        changes: &[Change],
        order: &[usize],
    ) -> Result<Vec<bool>, Fault> {
        let mut tx = self.driver().begin().await?;
        let mut written = vec![false; changes.len()];
        for &index in order {
            written[index] = write_change(&mut tx, &changes[index]).await?;
        }
        if let Some(&last) = order.iter().rfind(|index| written[**index]) {
            let Change { next, event } = &changes[last];
            let number = written.iter().filter(|written| **written).count();
            let label = CommitLabel::of_withdraws(event.kind.name(), next.id, number);
            self.commit(tx, label).await?;
        }
        Ok(written)
    }
}

/// Writes a request's next state and its event, if the row still has the version that was read.
pub async fn write_change<T: Tx>(tx: &mut T, change: &Change) -> Result<bool, Fault> {
    let next = &change.next;
    let update = Update {
        status: next.status.name(),
        claimable_until_ms: next.claimable_until,
        reopens_at_ms: next.reopens_at,
        claimable: next.claimable,
        payment_id: next.attempt.map(|attempt| attempt.id),
        payment_hold: next.attempt.map(|attempt| attempt.hold.name()),
        late_success: next.late_success,
        withheld: next.withheld,
        modified_at_ms: next.modified,
        id: next.id,
        read_version: next.version - 1,
    };
    if tx.execute(CHANGE.bind(update)).await? != 1 {
        return Ok(false);
    }
    events::append(tx, &change.event).await?;
    Ok(true)
}
