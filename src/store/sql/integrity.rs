//! Whether the database still holds what it was told, and putting back what it lost.

use async_trait::async_trait;

use super::{
    SqlStore, bytes, int, opt_bytes, retry::retrying, rows, statements, tallies, text, uuid,
    withdraws,
};
use crate::{
    domain::{PaymentHash, Restored, Timestamp, Withdraw, WithdrawId},
    ports::{Inherited, Integrity, Server, StoreError},
    store::driver::{Driver, Fault, Tx, Value},
};

#[async_trait]
impl<D: Driver> Integrity for SqlStore<D> {
    async fn server(&self) -> Result<Server, StoreError> {
        let switches = self.driver().dialect().hold_instance;
        let found = self.driver().fetch(switches, Vec::new()).await?;
        let (_, server) = rows::instance::halt(found.first())?;
        // So that offers hear of a change, too.
        self.memory.trusts(server);
        Ok(Server(server))
    }

    async fn has_lost_a_send(&self) -> Result<bool, StoreError> {
        let found = self.driver().fetch(statements::instance::KNOWN_FROM, Vec::new()).await?;
        let [_, acknowledged, _] = rows::instance::known_from(found.first())?;
        for kept in self.memory.kept_since(acknowledged) {
            let send = vec![uuid(kept.payment.as_uuid()), int(kept.number), int(kept.epoch)];
            if self.driver().fetch(statements::SEND_EXISTS, send).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn trusts(&self, server: Server) -> bool {
        self.memory.trusts(server.0)
    }

    fn trust(&self, server: Server) {
        self.memory.trust(server.0);
    }

    fn has_met(&self, server: Server) -> bool {
        self.memory.has_met(server.0)
    }

    fn meet(&self, server: Server, inherited: Option<Inherited>) {
        self.memory.meet(server.0, inherited);
    }

    fn met(&self) -> Option<(Server, Option<Inherited>)> {
        self.memory.met().map(|(server, inherited)| (Server(server), inherited))
    }

    async fn last_send(&self) -> Result<i64, StoreError> {
        let found = self.driver().fetch(statements::LAST_SEND, Vec::new()).await?;
        rows::sequence(found.first())
    }

    async fn known_from(&self, now: Timestamp) -> Result<[Option<Timestamp>; 3], StoreError> {
        let start = [int(now.as_ms())];
        retrying(|| self.write(statements::instance::FIRST_START, start.to_vec())).await?;
        let found = self.driver().fetch(statements::instance::KNOWN_FROM, Vec::new()).await?;
        rows::instance::known_from(found.first())
    }

    async fn newest_committed(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let newest = self.driver().dialect().newest_written;
        let found = self.driver().fetch(newest, Vec::new()).await?;
        let newest = found.first().map(rows::instance::newest_written).transpose()?;
        Ok(newest.map(|newest| newest.min(now)))
    }

    async fn knows(&self, hash: PaymentHash) -> Result<bool, StoreError> {
        let hash = vec![bytes(hash.as_bytes())];
        Ok(!self.driver().fetch(statements::instance::HASH_EXISTS, hash).await?.is_empty())
    }

    async fn restore(&self, restored: &Restored) -> Result<(), StoreError> {
        retrying(|| self.restore_once(restored)).await
    }

    async fn to_withhold(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<Withdraw>, StoreError> {
        let before = uuid(WithdrawId::first_at(before).as_uuid());
        let found = self
            .driver()
            .fetch(statements::instance::TO_WITHHOLD, vec![before, int(limit)])
            .await?;
        found.iter().map(rows::withdraw).collect()
    }

    async fn withheld(&self, limit: i64) -> Result<Vec<Withdraw>, StoreError> {
        let found = self.driver().fetch(statements::instance::WITHHELD, vec![int(limit)]).await?;
        found.iter().map(rows::withdraw).collect()
    }
}

impl<D: Driver> SqlStore<D> {
    async fn restore_once(&self, restored: &Restored) -> Result<(), Fault> {
        let mut tx = self.driver().begin().await?;
        if !withdraws::write_change(&mut tx, &restored.change).await? {
            return Err(StoreError::Stale.into());
        }
        if tx.execute(statements::instance::RESTORE, paid(restored)).await? != 1 {
            return Err(StoreError::Stale.into());
        }
        tallies::restored(&mut tx, restored).await?;
        tx.commit().await
    }
}

/// The parameters of `payment.restore`.
fn paid(restored: &Restored) -> Vec<Value> {
    let Restored { id, invoice, payment_hash, amount, preimage, fee, at, change } = restored;
    vec![
        uuid(id.as_uuid()),
        uuid(change.next.id.as_uuid()),
        text(invoice),
        bytes(payment_hash.as_bytes()),
        int(amount.get()),
        int(fee.get()),
        int(at.as_ms()),
        int(at.as_ms()),
        int(at.as_ms()),
        opt_bytes(Some(preimage.as_bytes())),
        int(fee.get()),
    ]
}
