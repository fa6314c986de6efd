//! Write witnesses.

use async_trait::async_trait;

use super::{
    SqlStore, int, reader as rows, retry::retrying, statements::witnesses as statements, text,
};
use crate::{
    domain::{Halt, Millis, NodeId, Timestamp, payment::Unanswered},
    ports::{NewWitness, StoreError, Witnesses},
    store::driver::{Driver, Fault, Tx},
};

/// So often a witness was asked for, or its overdue answer waited for anew: one that was asked for by a
/// process that was paused in the middle says little of the node.
const IN_VAIN: i64 = 10;

/// No turn lasts so long, nor do two lie so far apart while they are in vain.
const LONG: Millis = Millis::from_secs(3600);
/// Clocks disagree by less, unless one was set.
const SOON: Millis = Millis::from_secs(60);

#[async_trait]
impl<D: Driver> Witnesses for SqlStore<D> {
    async fn is_witnessed(
        &self,
        node: &NodeId,
        sends: &Unanswered,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        // A send that was not read back has no place in the order yet.
        let Some(sequence) = sends.sequence else {
            return Ok(false);
        };
        let since = || {
            let (until, now) = (sends.until.as_ms(), now.as_ms());
            vec![text(node.as_str()), int(until), int(sequence), int(now)]
        };
        for statement in [statements::ANSWERED_SINCE, statements::WITNESSED_SINCE] {
            if !self.driver().fetch(statement, since()).await?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn unanswered_in_a_row(
        &self,
        node: &NodeId,
        (overdue, now): (Timestamp, Timestamp),
        most: i64,
    ) -> Result<i64, StoreError> {
        let values = vec![text(node.as_str()), int(overdue.as_ms()), int(now.as_ms()), int(most)];
        rows::counted(self.driver().fetch(statements::UNANSWERED_IN_A_ROW, values).await?.first())
    }

    async fn begin_witness(&self, witness: &NewWitness) -> Result<Option<i64>, StoreError> {
        retrying(|| self.begin_witness_once(witness)).await
    }

    async fn renew_witness(
        &self,
        witness: &NewWitness,
        ends_at: Timestamp,
    ) -> Result<bool, StoreError> {
        let NewWitness { node, next_at, .. } = witness;
        let turn = [int(next_at.as_ms()), text(node.as_str()), int(ends_at.as_ms())];
        let kept = retrying(|| self.write(statements::RENEW_WITNESS, turn.to_vec())).await?;
        Ok(kept == 1)
    }

    async fn in_vain_since(
        &self,
        node: &NodeId,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let long_ago = now.minus(LONG).as_ms();
        let values = vec![int(IN_VAIN), text(node.as_str()), int(now.as_ms()), int(long_ago)];
        let found = self.driver().fetch(statements::IN_VAIN_SINCE, values).await?;
        found.first().map(rows::in_vain_since).transpose()
    }

    async fn witnessed(
        &self,
        node: &NodeId,
        begun_at: Timestamp,
        after: i64,
    ) -> Result<(), StoreError> {
        let values = [int(begun_at.as_ms()), int(after), text(node.as_str())];
        retrying(|| self.write(statements::WITNESSED, values.to_vec())).await.map(drop)
    }
}

impl<D: Driver> SqlStore<D> {
    async fn begin_witness_once(&self, witness: &NewWitness) -> Result<Option<i64>, Fault> {
        let mut tx = self.driver().begin().await?;
        // It pays nobody, and what a pause or a fence leaves open ends by it.
        if self.halted(&mut tx).await? == Some(Halt::Unverified) {
            return Ok(None);
        }
        let NewWitness { node, begun_at, next_at } = witness;
        let turn = vec![
            int(next_at.as_ms()),
            text(node.as_str()),
            int(begun_at.as_ms()),
            int(begun_at.minus(LONG).as_ms()),
            int(begun_at.plus(LONG).as_ms()),
        ];
        if tx.execute(statements::BEGIN_WITNESS, turn).await? != 1 {
            return Ok(None);
        }
        let future = vec![text(node.as_str()), int(begun_at.plus(SOON).as_ms())];
        tx.execute(statements::FORGET_FUTURE, future).await?;
        let found = tx.fetch(statements::LAST_SEND, Vec::new()).await?;
        let after = rows::sequence(found.first())?;
        tx.commit().await?;
        Ok(Some(after))
    }
}
