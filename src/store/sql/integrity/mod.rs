//! Whether the database still holds what it was told, and putting back what it lost.

pub mod memory;

use async_trait::async_trait;

use super::{
    SqlStore, bytes, instance, int, marks::CommitLabel, opt_bytes, reader as rows, retry::retrying,
    statements, tallies, text, uuid, withdraws,
};
use crate::{
    domain::{Millis, PaymentHash, Restored, Timestamp, Withdraw, WithdrawId},
    ports::{Inherited, Integrity, LostCommits, SeenServer, Server, StoreError},
    store::driver::{Driver, Fault, Tx, Value},
};

/// Marks of writers silent for longer are deleted. A process that comes back later finds its own missing, and
/// fences.
const FORGOTTEN_AFTER: Millis = Millis::from_secs(7 * 24 * 3600);
/// The rest goes with the next look.
const FORGOTTEN_AT_ONCE: i64 = 500;

#[async_trait]
impl<D: Driver> Integrity for SqlStore<D> {
    async fn server(&self) -> Result<SeenServer, StoreError> {
        let switches = self.driver().dialect().see_instance;
        let found = self.driver().fetch(switches, Vec::new()).await?;
        let (_, server) = instance::rows::halt(found.first())?;
        let verified = instance::rows::verified(found.first())?;
        // So that offers hear of a change, too.
        self.memory.set_verified(verified);
        let fenced_at = instance::rows::fenced_at(found.first())?;
        Ok(SeenServer { server: Server(server), verified, fenced_at })
    }

    fn must_read_marks(&self, server: Server) -> bool {
        !self.marks.has_checked(server.0)
    }

    async fn lost_commits(&self) -> Result<Option<LostCommits>, StoreError> {
        let told = self.marks.acknowledged();
        let marks = &self.driver().dialect().marks;
        let found = self.driver().fetch(marks.read, self.writer_id()).await?;
        let (server, found) = rows::marks::found(&found)?;
        if !self.marks.check(server, &told, &found) {
            return Ok(Some(self.marks.lost(&found)));
        }
        retrying(|| self.found_all(server)).await?;
        self.end_doubts().await;
        Ok(None)
    }

    async fn vouch(&self, id: WithdrawId, version: i64) -> Result<(), StoreError> {
        retrying(|| async {
            let mut tx = self.driver().begin().await?;
            let request = vec![uuid(id.as_uuid()), int(version)];
            if tx.fetch(self.driver().dialect().hold_withdraw, request).await?.is_empty() {
                return Err(StoreError::Stale.into());
            }
            self.commit(tx, CommitLabel::of_withdraws("shown again", id, 1)).await
        })
        .await
    }

    async fn yet_to_read_marks(&self, server: Server, lately: Millis) -> Result<i64, StoreError> {
        let mut values = self.writer_id();
        values.extend([int(server.0), int(lately.as_ms())]);
        let found = self.driver().fetch(self.driver().dialect().marks.yet_to_read, values).await?;
        rows::marks::writers(found.first())
    }

    async fn verify(&self, server: Server, at: Timestamp) -> Result<bool, StoreError> {
        let timeline = self.driver().timeline().await;
        let by = uuid(self.marks.writer());
        let values = [int(server.0), by, int(at.as_ms()), Value::Int(timeline)];
        let verify = self.driver().dialect().marks.verify;
        let written = retrying(|| self.write(verify, values.to_vec())).await? == 1;
        if written {
            let writer = self.marks.writer();
            tracing::info!(%writer, server = server.0, "the database server is verified");
        }
        self.memory.set_verified(written);
        Ok(written)
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
        retrying(|| self.write(instance::statements::FIRST_START, start.to_vec())).await?;
        let found = self.driver().fetch(instance::statements::KNOWN_FROM, Vec::new()).await?;
        instance::rows::known_from(found.first())
    }

    async fn newest_committed(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let newest = self.driver().dialect().newest_written;
        let found = self.driver().fetch(newest, Vec::new()).await?;
        let newest = found.first().map(instance::rows::newest_written).transpose()?;
        Ok(newest.map(|newest| newest.min(now)))
    }

    async fn knows(&self, hash: PaymentHash) -> Result<bool, StoreError> {
        let hash = vec![bytes(hash.as_bytes())];
        Ok(!self.driver().fetch(instance::statements::HASH_EXISTS, hash).await?.is_empty())
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
            .fetch(instance::statements::TO_WITHHOLD, vec![before, int(limit)])
            .await?;
        found.iter().map(rows::withdraw).collect()
    }

    async fn withheld(&self, limit: i64) -> Result<Vec<Withdraw>, StoreError> {
        let found = self.driver().fetch(instance::statements::WITHHELD, vec![int(limit)]).await?;
        found.iter().map(rows::withdraw).collect()
    }
}

impl<D: Driver> SqlStore<D> {
    async fn restore_once(&self, restored: &Restored) -> Result<(), Fault> {
        let mut tx = self.driver().begin().await?;
        if !withdraws::write_change(&mut tx, &restored.change).await? {
            return Err(StoreError::Stale.into());
        }
        if tx.execute(instance::statements::RESTORE, paid(restored)).await? != 1 {
            return Err(StoreError::Stale.into());
        }
        tallies::restored(&mut tx, restored).await?;
        let told = CommitLabel::of_payment("put back", restored.id);
        self.commit(tx, told).await
    }

    /// A move whose COMMIT was never answered is over once a later one of its lane was made: its row is
    /// locked until then. One that still waits is looked at again.
    async fn end_doubts(&self) {
        for lane in self.marks.doubtful_lanes() {
            let Some(mark) = self.marks.next_on_doubtful(lane) else { continue };
            let ended = async {
                let tx = self.driver().begin().await?;
                self.commit_move(tx, mark).await
            };
            if let Err(fault) = ended.await {
                tracing::debug!(error = %fault.into_error(), "a COMMIT is still without an answer");
                return;
            }
        }
    }

    /// For the others to see; and what nobody needs any more goes.
    async fn found_all(&self, server: i64) -> Result<(), Fault> {
        let marks = &self.driver().dialect().marks;
        let mut tx = self.driver().begin().await?;
        let mut values = self.writer_id();
        values.extend([int(FORGOTTEN_AFTER.as_ms()), int(FORGOTTEN_AT_ONCE)]);
        tx.execute(marks.forget, values).await?;
        let mut values = self.writer_id();
        values.push(int(server));
        tx.execute(marks.found_all, values).await?;
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
