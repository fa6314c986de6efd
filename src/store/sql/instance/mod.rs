//! The instance: its switches, its node's heartbeat, and what both allow.

pub mod rows;
pub mod statements;

use async_trait::async_trait;

use super::{
    SqlStore, int,
    marks::{CommitLabel, OnLoss},
    retry::retrying,
    statements::{payment_lists, tallies as spent},
    tallies, text,
};
use crate::{
    domain::{FenceReason, Halt, Heartbeat, Millis, NodeTrouble, Standing, Timestamp, Turn},
    ports::{Instance, StoreError},
    store::driver::{Driver, Fault, Sql, Tx, Value},
};

#[async_trait]
impl<D: Driver> Instance for SqlStore<D> {
    async fn standing(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<Standing, StoreError> {
        let asked =
            self.driver().fetch(statements::STANDING, vec![int(clock_skew.as_ms())]).await?;
        let spent = match spent_since {
            None => None,
            Some(at) => self.driver().fetch(spent::SPENT_SINCE, since(at)).await?.pop(),
        };
        self.shown(&asked, spent.as_ref()).await
    }

    async fn standing_for_operator(
        &self,
        clock_skew: Millis,
        spent_since: Option<Timestamp>,
    ) -> Result<Standing, StoreError> {
        let fetch = |sql, values| self.driver().fetch_for_operator(sql, values);
        let asked = fetch(statements::STANDING, vec![int(clock_skew.as_ms())]).await?;
        let spent = match spent_since {
            None => None,
            Some(at) => fetch(spent::SPENT_SINCE, since(at)).await?.pop(),
        };
        self.shown(&asked, spent.as_ref()).await
    }

    async fn beat(&self, beat: &Heartbeat) -> Result<(), StoreError> {
        retrying(|| self.write(statements::BEAT, beaten(beat))).await?;
        let old = tallies::old_out(beat.at);
        if self.driver().fetch(spent::ANY_OLD_OUT, old.clone()).await?.is_empty() {
            return Ok(());
        }
        retrying(|| self.write(spent::DROP_OLD_OUT, old.clone())).await.map(drop)
    }

    async fn report_trouble(
        &self,
        trouble: Option<&NodeTrouble>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (statement, values) = match trouble {
            None => (statements::NO_TROUBLE, Vec::new()),
            Some(NodeTrouble { kind, subject }) => {
                let values = vec![text(kind.name()), text(subject), int(at.as_ms())];
                (statements::TROUBLE, values)
            }
        };
        retrying(|| self.write(statement, values.clone())).await.map(drop)
    }

    async fn turn(&self, turn: &Turn) -> Result<bool, StoreError> {
        retrying(|| self.turn_once(turn)).await
    }
}

impl<D: Driver> SqlStore<D> {
    /// The standing, with what this process has seen of its database: whether it is verified, and takes
    /// writes.
    async fn shown(
        &self,
        asked: &[D::Row],
        spent: Option<&D::Row>,
    ) -> Result<Standing, StoreError> {
        self.settle_lost_answers().await?;
        let verified = self.memory.is_verified() && !self.marks.is_suspect();
        rows::standing(asked.first(), spent, (verified, self.memory.is_writable()))
    }

    async fn turn_once(&self, turn: &Turn) -> Result<bool, Fault> {
        // Every claim and send that has read the switches as they were has ended.
        let mut tx = self.driver().begin_for_operator().await?;
        let lost = match turn {
            Turn::Fence(FenceReason::MarkLost, _) => {
                let told = self.marks.acknowledged();
                let (server, found) = self.marks_in(&mut tx).await?;
                if self.marks.check(server, &told, &found) {
                    // What said otherwise was another server: a standby that lagged behind, say.
                    return Err(StoreError::Stale.into());
                }
                Some((told, found))
            }
            Turn::Fence(..) | Turn::Pause(_) | Turn::Resume(_) | Turn::Acknowledge(..) => None,
        };
        let (statement, values) = turned(turn);
        let done = tx.execute(statement, values).await? != 0;
        if done {
            let act = turn.act();
            let action = [act.at.as_ms()].map(int).into_iter();
            let action = action.chain([turn.name(), &act.operator, &act.reason].map(text));
            tx.execute(statements::NEW_ACTION, action.collect()).await?;
        }
        // Also when it stood like that already (or a later fence stands): who asked is told so.
        let on_loss = match turn {
            Turn::Pause(_) | Turn::Fence(..) => OnLoss::Write,
            Turn::Resume(_) | Turn::Acknowledge(..) => OnLoss::Refuse,
        };
        self.commit_or(tx, CommitLabel::of_instance(turn.name()), on_loss).await?;
        if let Some((told, found)) = lost {
            self.marks.begin_anew(&told, &found);
        }
        Ok(done)
    }

    /// For a transaction that sends: none if it may.
    pub(super) async fn halted(&self, tx: &mut D::Tx) -> Result<Option<Halt>, Fault> {
        let found = tx.fetch(self.driver().dialect().hold_instance, Vec::new()).await?;
        self.halt_of(tx, found.first()).await
    }

    /// The server that this transaction writes to.
    pub(super) async fn server_of(&self, tx: &mut D::Tx) -> Result<i64, Fault> {
        let found = tx.fetch(self.driver().dialect().hold_instance, Vec::new()).await?;
        let (_, server) = rows::halt(found.first())?;
        Ok(server)
    }

    async fn halt_of(&self, tx: &mut D::Tx, row: Option<&D::Row>) -> Result<Option<Halt>, Fault> {
        let (halt, server) = rows::halt(row)?;
        let verified = rows::verified(row)?;
        self.memory.set_verified(verified);
        let may = verified && self.has_all_marks(tx, server).await?;
        Ok(halt.or((!may).then_some(Halt::Unverified)))
    }
}

/// The texts of what is read of the instance, for those who want to see how a database plans them.
pub const fn instance_statements() -> [&'static str; 8] {
    [
        statements::STANDING.text,
        spent::SPENT_SINCE.text,
        spent::ANY_OLD_OUT.text,
        statements::KNOWN_FROM.text,
        statements::HASH_EXISTS.text,
        statements::TO_WITHHOLD.text,
        statements::WITHHELD.text,
        payment_lists::OPEN_BY_STATE.text,
    ]
}

fn since(at: Timestamp) -> Vec<Value> {
    vec![int(tallies::spent_slot(at))]
}

fn turned(turn: &Turn) -> (Sql, Vec<Value>) {
    match turn {
        Turn::Pause(act) => {
            (statements::PAUSE, vec![int(act.at.as_ms()), text(&act.operator), text(&act.reason)])
        }
        Turn::Resume(_) => (statements::RESUME, Vec::new()),
        Turn::Fence(reason, act) => {
            (statements::FENCE, vec![int(act.at.as_ms()), text(reason.name())])
        }
        Turn::Acknowledge(fence, act) => {
            (statements::ACKNOWLEDGE, vec![int(act.at.as_ms()), int(fence.as_ms())])
        }
    }
}

fn beaten(beat: &Heartbeat) -> Vec<Value> {
    vec![
        text(&beat.alias),
        int(beat.at.as_ms()),
        Value::Bool(beat.synced),
        Value::Bool(beat.remembers),
        Value::Bool(beat.answers_sends),
        int(beat.can_send.get()),
        int(beat.active_channels),
        int(beat.busiest_channel_htlcs),
        text(beat.node.as_str()),
    ]
}
