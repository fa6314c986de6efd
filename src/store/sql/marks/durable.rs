//! Commits that are reported to a caller. Each advances a mark of this process, and only on a server that has
//! all earlier acknowledged commits.

use super::{
    counters::{CommitLabel, Found, Move},
    statements::{self, Advance, Begin, OfWriter, read_marks},
};
use crate::{
    domain::HaltReason,
    ports::StoreError,
    store::{
        driver::{Fault, Tx},
        sql::{Database, SqlStore},
    },
};

/// What to do with a commit on a database that lacks an earlier acknowledged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// Refuse it: nothing is served there until the loss is fenced.
    Refuse,
    /// Write it all the same: it pauses or fences the instance.
    Write,
}

impl<D: Database> SqlStore<D> {
    /// Commits a transaction whose outcome is reported to a caller.
    pub(in crate::store::sql) async fn commit(
        &self,
        tx: D::Tx,
        label: CommitLabel,
    ) -> Result<(), Fault> {
        self.commit_or(tx, label, OnLoss::Refuse).await
    }

    pub(in crate::store::sql) async fn commit_or(
        &self,
        mut tx: D::Tx,
        label: CommitLabel,
        on_loss: OnLoss,
    ) -> Result<(), Fault> {
        let mut mark = self.marks.next(label);
        if !self.move_if_complete(&mut tx, &mark).await? {
            if on_loss == OnLoss::Refuse {
                // Here only the loss is known; the verifier finds out what is missing.
                return Err(StoreError::Halted(HaltReason::Unverified).into());
            }
            mark = self.marks.next_on_a_new_lane(label);
            self.move_mark(&mut tx, &mark).await?;
        }
        Self::commit_with_mark(tx, mark).await
    }

    /// Commits a mark's move alone, on a database that has all acknowledged commits.
    pub(in crate::store::sql) async fn commit_move(
        &self,
        mut tx: D::Tx,
        mark: Move,
    ) -> Result<(), Fault> {
        if !self.move_if_complete(&mut tx, &mark).await? {
            return Err(StoreError::Halted(HaltReason::Unverified).into());
        }
        Self::commit_with_mark(tx, mark).await
    }

    async fn commit_with_mark(tx: D::Tx, mut mark: Move) -> Result<(), Fault> {
        mark.commit_sent();
        match tx.commit().await {
            Ok(()) => {
                mark.acknowledged();
                Ok(())
            }
            Err(fault) => {
                if !matches!(fault, Fault::Final(StoreError::Unknown(_))) {
                    mark.rolled_back();
                }
                Err(fault)
            }
        }
    }

    /// Advances a mark; false if this database lacks an acknowledged commit.
    async fn move_if_complete(&self, tx: &mut D::Tx, mark: &Move) -> Result<bool, Fault> {
        let Some(server) = self.move_mark(tx, mark).await? else {
            self.marks.suspect();
            return Ok(false);
        };
        self.has_all_marks(tx, server).await
    }

    /// Advances a mark and returns the server; none if the mark was behind the acknowledged value.
    async fn move_mark(&self, tx: &mut D::Tx, mark: &Move) -> Result<Option<i64>, Fault> {
        let marks = &self.driver().dialect().marks;
        let (writer, lane, value) = (self.marks.writer(), mark.lane(), mark.value());
        let moved = if mark.required() == 0 {
            tx.execute(marks.introduce.bind(OfWriter { writer })).await?;
            tx.fetch(marks.begin.bind(Begin { writer, lane, value })).await?
        } else {
            let required = mark.required();
            tx.fetch(marks.advance.bind(Advance { writer, lane, value, required })).await?
        };
        Ok(moved.first().map(statements::server).transpose()?)
    }

    /// Whether this transaction's server has all acknowledged commits. Read once for each server.
    pub(in crate::store::sql) async fn has_all_marks(
        &self,
        tx: &mut D::Tx,
        server: i64,
    ) -> Result<bool, Fault> {
        if self.marks.is_suspect() {
            return Ok(false);
        }
        if self.marks.has_checked(server) {
            return Ok(true);
        }
        let acknowledged = self.marks.acknowledged();
        let (server, found) = self.marks_in(tx).await?;
        Ok(self.marks.check(server, &acknowledged, &found))
    }

    /// Reads the current server, and the marks of this process on it.
    pub(in crate::store::sql) async fn marks_in(
        &self,
        tx: &mut D::Tx,
    ) -> Result<(i64, Found), Fault> {
        let read = self.driver().dialect().marks.read;
        Ok(read_marks(&tx.fetch(read.bind(self.own_writer())).await?)?)
    }

    /// Called by reads, before they report a commit whose own COMMIT was never answered: from then on it
    /// counts as acknowledged.
    pub(in crate::store::sql) async fn settle_lost_answers(&self) -> Result<(), StoreError> {
        if !self.marks.has_lost_answers() {
            return Ok(());
        }
        let acknowledged = self.marks.acknowledged();
        let read = self.driver().dialect().marks.read;
        let (_, found) = read_marks(&self.driver().fetch(read.bind(self.own_writer())).await?)?;
        self.marks.settle(&acknowledged, &found);
        Ok(())
    }

    /// The parameter that names this process.
    pub(in crate::store::sql) fn own_writer(&self) -> OfWriter {
        OfWriter { writer: self.marks.writer() }
    }
}

#[cfg(test)]
#[path = "durable_test.rs"]
mod tests;
