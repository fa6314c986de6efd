//! Withdraw requests: creates, reads and changes them.

mod change;
mod create;
mod held;
mod lists;
pub(super) mod row;

use async_trait::async_trait;

use super::{Database, SqlStore, retry::retrying};
use crate::{
    domain::{Change, Event, ListQuery, SecretHash, Timestamp, Withdraw, WithdrawId, WithdrawView},
    ports::{CreateOutcome, StoreError, Withdraws},
    store::statement::{BoundStatement, Statement},
};

use row::{select_views, withdraw_columns};

pub use held::OfVersion;
pub use lists::list_statements;

pub(super) use change::write_change;

params! {
    struct ById {
        id: WithdrawId,
    }

    struct BySecret {
        secret_sha256: SecretHash,
    }

    struct Due {
        now: Timestamp,
        limit: i64,
    }
}

const BY_ID: Statement<ById> = statement!(
    ById,
    "read a withdraw request",
    select_views!("withdraw.by_id", "where w.id = :id")
);

const BY_SECRET: Statement<BySecret> = statement!(
    BySecret,
    "find a withdraw request by its secret",
    select_views!("withdraw.by_secret", "where w.secret_sha256 = :secret_sha256")
);

const DUE_TO_EXPIRE: Statement<Due> = statement!(
    Due,
    "find expired withdraw requests",
    concat!(
        "-- withdraw.due_to_expire\nselect ",
        withdraw_columns!(),
        " from withdraws w
          where w.claimable and w.claimable_until_ms <= :now
          order by w.claimable_until_ms limit :limit"
    )
);

const DUE_TO_REOPEN: Statement<Due> = statement!(
    Due,
    "find withdraw requests that reopen",
    concat!(
        "-- withdraw.due_to_reopen\nselect ",
        withdraw_columns!(),
        " from withdraws w
          where w.reopens_at_ms is not null and w.reopens_at_ms <= :now
          order by w.reopens_at_ms limit :limit"
    )
);

#[async_trait]
impl<D: Database> Withdraws for SqlStore<D> {
    async fn create(&self, withdraws: &[Withdraw]) -> Result<Vec<CreateOutcome>, StoreError> {
        if withdraws.is_empty() {
            return Ok(Vec::new());
        }
        // A fixed order, so that two batches with the same request ids do not deadlock.
        let mut order: Vec<usize> = (0..withdraws.len()).collect();
        order.sort_by_key(|&index| &withdraws[index].request_id);
        retrying(|| self.create_once(withdraws, &order)).await
    }

    async fn withdraw(&self, id: WithdrawId) -> Result<Option<WithdrawView>, StoreError> {
        self.one_view(BY_ID.bind(ById { id })).await
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

    async fn due_for_refresh(
        &self,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<Withdraw>, StoreError> {
        let mut due = Vec::new();
        for statement in [DUE_TO_EXPIRE, DUE_TO_REOPEN] {
            for row in self.driver().fetch(statement.bind(Due { now, limit })).await? {
                due.push(row::withdraw(&row)?);
            }
        }
        Ok(due)
    }

    async fn events_of(&self, id: WithdrawId) -> Result<Vec<Event>, StoreError> {
        self.read_events(id).await
    }
}

impl<D: Database> SqlStore<D> {
    pub(super) async fn view_by_secret(
        &self,
        hash: &SecretHash,
    ) -> Result<Option<WithdrawView>, StoreError> {
        self.one_view(BY_SECRET.bind(BySecret { secret_sha256: *hash })).await
    }

    async fn one_view(
        &self,
        statement: BoundStatement<'_>,
    ) -> Result<Option<WithdrawView>, StoreError> {
        let rows = self.driver().fetch(statement).await?;
        self.settle_lost_answers().await?;
        rows.first().map(row::view).transpose()
    }
}
