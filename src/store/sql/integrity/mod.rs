//! Verifies that the database lost no acknowledged commits, and restores payments that it lost.

mod known_from;
pub mod memory;
mod restore;

use async_trait::async_trait;

use super::{
    Database, SqlStore,
    instance::switches,
    marks::{CommitLabel, Forget, FoundAll, Verify, YetToRead, read_marks},
    reader::only,
    retry::retrying,
    withdraws::OfVersion,
    witnesses::LAST_SEND,
};
use crate::{
    domain::{Millis, PaymentHash, Restored, Timestamp, Withdraw, WithdrawId},
    ports::{Inherited, Integrity, KnownFrom, LostCommits, SeenServer, Server, StoreError},
    store::driver::{Fault, Tx},
};

pub use known_from::KNOWN_FROM;
pub use restore::{HASH_EXISTS, TO_WITHHOLD, WITHHELD};

/// How long a writer may be silent before its marks are deleted. If its process comes back later, it finds
/// its marks missing and fences the instance.
const WRITER_RETENTION: Millis = Millis::from_secs(7 * 24 * 3600);
/// How many writers to delete at once; the rest follow at the next check.
const DELETED_AT_ONCE: i64 = 500;

#[async_trait]
impl<D: Database> Integrity for SqlStore<D> {
    async fn server(&self) -> Result<SeenServer, StoreError> {
        let see = self.driver().dialect().see_instance;
        let seen = switches(&self.driver().fetch(see.bind(())).await?)?;
        // Offers read it from memory.
        self.memory.set_verified(seen.verified);
        Ok(SeenServer {
            server: Server(seen.server),
            verified: seen.verified,
            fenced_at: seen.fenced_at,
        })
    }

    fn must_read_marks(&self, server: Server) -> bool {
        !self.marks.has_checked(server.0)
    }

    async fn lost_commits(&self) -> Result<Option<LostCommits>, StoreError> {
        let acknowledged = self.marks.acknowledged();
        let read = self.driver().dialect().marks.read;
        let found = self.driver().fetch(read.bind(self.own_writer())).await?;
        let (server, found) = read_marks(&found)?;
        if !self.marks.check(server, &acknowledged, &found) {
            return Ok(Some(self.marks.lost(&found)));
        }
        retrying(|| self.record_all_found(server)).await?;
        self.settle_unknown_commits().await;
        Ok(None)
    }

    async fn confirm_version(&self, id: WithdrawId, version: i64) -> Result<(), StoreError> {
        retrying(|| async {
            let mut tx = self.driver().begin().await?;
            let hold = self.driver().dialect().hold_withdraw;
            if tx.fetch(hold.bind(OfVersion { id, version })).await?.is_empty() {
                return Err(StoreError::Stale.into());
            }
            self.commit(tx, CommitLabel::of_withdraws("replayed", id, 1)).await
        })
        .await
    }

    async fn yet_to_read_marks(&self, server: Server, window: Millis) -> Result<i64, StoreError> {
        let others = YetToRead { writer: self.marks.writer(), server: server.0, window_ms: window };
        let yet_to_read = self.driver().dialect().marks.yet_to_read;
        only(&self.driver().fetch(yet_to_read.bind(others)).await?)?.int("writers")
    }

    async fn verify(&self, server: Server, at: Timestamp) -> Result<bool, StoreError> {
        let timeline = self.driver().timeline().await;
        let verified = || Verify {
            server: server.0,
            verified_by: self.marks.writer(),
            verified_at_ms: at,
            timeline,
        };
        let verify = self.driver().dialect().marks.verify;
        let written = retrying(|| self.write(verify.bind(verified()))).await? == 1;
        if written {
            let writer = self.marks.writer();
            tracing::info!(%writer, server = server.0, "the database server is verified");
        }
        self.memory.set_verified(written);
        Ok(written)
    }

    fn is_registered(&self, server: Server) -> bool {
        self.memory.is_registered(server.0)
    }

    fn register_server(&self, server: Server, inherited: Option<Inherited>) {
        self.memory.register_server(server.0, inherited);
    }

    fn registered_server(&self) -> Option<(Server, Option<Inherited>)> {
        self.memory.registered_server().map(|(server, inherited)| (Server(server), inherited))
    }

    async fn last_send(&self) -> Result<i64, StoreError> {
        only(&self.driver().fetch(LAST_SEND.bind(())).await?)?.int("sequence")
    }

    async fn known_from(&self, now: Timestamp) -> Result<KnownFrom, StoreError> {
        self.read_known_from(now).await
    }

    async fn newest_committed(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.newest_written().await?.map(|newest| newest.min(now)))
    }

    async fn knows(&self, hash: PaymentHash) -> Result<bool, StoreError> {
        self.hash_exists(hash).await
    }

    async fn restore(&self, restored: &Restored) -> Result<(), StoreError> {
        retrying(|| self.restore_once(restored)).await
    }

    async fn to_withhold(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<Withdraw>, StoreError> {
        self.requests_to_withhold(before, limit).await
    }

    async fn withheld(&self, limit: i64) -> Result<Vec<Withdraw>, StoreError> {
        self.withheld_requests(limit).await
    }
}

impl<D: Database> SqlStore<D> {
    /// Settles moves whose COMMIT was never answered, by committing a later move on the same lane: the lane's
    /// row stays locked until the unanswered COMMIT has ended. If that one still runs, retries at the next
    /// check.
    async fn settle_unknown_commits(&self) {
        for lane in self.marks.doubtful_lanes() {
            let Some(mark) = self.marks.next_on_doubtful(lane) else { continue };
            let settled = async {
                let tx = self.driver().begin().await?;
                self.commit_move(tx, mark).await
            };
            if let Err(fault) = settled.await {
                tracing::debug!(error = %fault.into_error(), "the outcome of a COMMIT is still unknown");
                return;
            }
        }
    }

    /// Records for other processes that this one found all of its marks, and deletes writers that have long
    /// been silent.
    async fn record_all_found(&self, server: i64) -> Result<(), Fault> {
        let marks = &self.driver().dialect().marks;
        let mut tx = self.driver().begin().await?;
        let writer = self.marks.writer();
        let forget = Forget { writer, silent_ms: WRITER_RETENTION, limit: DELETED_AT_ONCE };
        tx.execute(marks.forget.bind(forget)).await?;
        tx.execute(marks.found_all.bind(FoundAll { writer, server })).await?;
        tx.commit().await
    }
}
