//! Withdraw requests: making, reading and changing them.

mod lists;

pub use lists::list_statements;

use async_trait::async_trait;

use super::{
    SqlStore, events, int, marks::CommitLabel, reader as rows, retry::retrying, statements, uuid,
};
use crate::{
    domain::{
        Change, EventKind, ListQuery, SecretHash, Timestamp, Withdraw, WithdrawId, WithdrawView,
    },
    ports::{CreateOutcome, StoreError, Withdraws},
    store::driver::{Cells, Driver, Fault, Tx, Value},
};

#[async_trait]
impl<D: Driver> Withdraws for SqlStore<D> {
    async fn create(&self, withdraws: &[Withdraw]) -> Result<Vec<CreateOutcome>, StoreError> {
        if withdraws.is_empty() {
            return Ok(Vec::new());
        }
        // Two batches with the same request ids wait for each other in the same order.
        let mut order: Vec<usize> = (0..withdraws.len()).collect();
        order.sort_by_key(|&index| &withdraws[index].request_id);
        retrying(|| self.create_once(withdraws, &order)).await
    }

    async fn withdraw(&self, id: WithdrawId) -> Result<Option<WithdrawView>, StoreError> {
        self.one_view(statements::BY_ID, uuid(id.as_uuid())).await
    }

    async fn by_secret(&self, hash: &SecretHash) -> Result<Option<WithdrawView>, StoreError> {
        self.one_view(statements::BY_SECRET, super::bytes(hash.as_bytes())).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Vec<WithdrawView>, StoreError> {
        let views = lists::list(self.driver(), query).await?;
        self.settle_lost_answers().await?;
        Ok(views)
    }

    async fn change(&self, changes: &[Change]) -> Result<Vec<bool>, StoreError> {
        let mut order: Vec<usize> = (0..changes.len()).collect();
        order.sort_by_key(|&index| changes[index].next.id);
        retrying(|| self.change_once(changes, &order)).await
    }

    async fn due_to_tick(&self, now: Timestamp, limit: i64) -> Result<Vec<Withdraw>, StoreError> {
        let mut due = Vec::new();
        for statement in [statements::DUE_TO_EXPIRE, statements::DUE_TO_REOPEN] {
            let values = vec![int(now.as_ms()), int(limit)];
            for row in self.driver().fetch(statement, values).await? {
                due.push(rows::withdraw(&row)?);
            }
        }
        Ok(due)
    }
}

impl<D: Driver> SqlStore<D> {
    async fn one_view(
        &self,
        statement: crate::store::driver::Sql,
        key: Value,
    ) -> Result<Option<WithdrawView>, StoreError> {
        let rows = self.driver().fetch(statement, vec![key]).await?;
        self.settle_lost_answers().await?;
        rows.first().map(rows::view).transpose()
    }

    async fn create_once(
        &self,
        withdraws: &[Withdraw],
        order: &[usize],
    ) -> Result<Vec<CreateOutcome>, Fault> {
        let mut tx = self.driver().begin().await?;
        let mut outcomes = vec![CreateOutcome::Created; withdraws.len()];
        for &index in order {
            outcomes[index] = create_one(&mut tx, &withdraws[index]).await?;
        }
        // Dropping the transaction takes the others back: all or nothing.
        if outcomes.contains(&CreateOutcome::Conflict) {
            return Ok(outcomes);
        }
        // One that is replayed is told as well, though another process may have made it.
        let created = || order.iter().filter(|index| outcomes[**index] == CreateOutcome::Created);
        let (name, last) = match created().next_back() {
            Some(last) => (EventKind::Created.name(), last),
            None => ("shown again", order.last().unwrap_or(&0)),
        };
        let (id, number) = (withdraws[*last].id, created().count().max(1));
        self.commit(tx, CommitLabel::of_withdraws(name, id, number)).await?;
        Ok(outcomes)
    }

    async fn change_once(&self, changes: &[Change], order: &[usize]) -> Result<Vec<bool>, Fault> {
        let mut tx = self.driver().begin().await?;
        let mut written = vec![false; changes.len()];
        for &index in order {
            written[index] = write_change(&mut tx, &changes[index]).await?;
        }
        if let Some(&last) = order.iter().rfind(|index| written[**index]) {
            let Change { next, event } = &changes[last];
            let number = written.iter().filter(|written| **written).count();
            let told = CommitLabel::of_withdraws(event.kind.name(), next.id, number);
            self.commit(tx, told).await?;
        }
        Ok(written)
    }
}

async fn create_one<T: Tx>(tx: &mut T, withdraw: &Withdraw) -> Result<CreateOutcome, Fault> {
    if tx.execute(statements::CREATE, rows::new_withdraw(withdraw)).await? == 1 {
        events::append(tx, &withdraw.created_event()).await?;
        return Ok(CreateOutcome::Created);
    }
    let key = vec![super::opt_text(withdraw.request_id.as_deref())];
    let found = tx.fetch(statements::BY_REQUEST_ID, key).await?;
    let existing = found.first().map(rows::view).transpose()?;
    Ok(match existing {
        Some(view) if view.withdraw.terms.same_content(&withdraw.terms) => {
            CreateOutcome::Replayed(Box::new(view))
        }
        Some(_) | None => CreateOutcome::Conflict,
    })
}

/// Writes a request's next standing and its event if the row still has the version that was read.
pub async fn write_change<T: Tx>(tx: &mut T, change: &Change) -> Result<bool, Fault>
where
    T::Row: Cells,
{
    let next = &change.next;
    let mut values = rows::withdraw_standing(next);
    values.extend([uuid(next.id.as_uuid()), int(next.version - 1)]);
    if tx.execute(statements::CHANGE, values).await? != 1 {
        return Ok(false);
    }
    events::append(tx, &change.event).await?;
    Ok(true)
}
