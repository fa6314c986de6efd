//! The instance: its switches, its node's heartbeat, and what both allow.

use async_trait::async_trait;

use super::{
    SqlStore,
    durable::OnLoss,
    int,
    marks::Told,
    retry::retrying,
    rows::instance as rows,
    statements::{instance as statements, payment_lists},
    text, uuid,
};
use crate::{
    domain::{
        Claim, FenceReason, Halt, Heartbeat, Millis, PaymentId, Standing, Timestamp, Turn,
        payment::Advance,
    },
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
        let skew = vec![int(clock_skew.as_ms())];
        let found = self.driver().fetch(statements::STANDING, skew).await?;
        let spent = match spent_since {
            None => None,
            Some(at) => self.driver().fetch(statements::SPENT_SINCE, since(at)).await?.pop(),
        };
        self.settle_lost_answers().await?;
        let verified = self.memory.is_verified() && !self.marks.is_in_doubt();
        rows::standing(found.first(), spent.as_ref(), verified)
    }

    async fn beat(&self, beat: &Heartbeat) -> Result<(), StoreError> {
        retrying(|| self.write(statements::BEAT, beaten(beat))).await.map(drop)
    }

    async fn turn(&self, turn: &Turn) -> Result<bool, StoreError> {
        retrying(|| self.turn_once(turn)).await
    }
}

impl<D: Driver> SqlStore<D> {
    async fn turn_once(&self, turn: &Turn) -> Result<bool, Fault> {
        let mut tx = self.driver().begin().await?;
        // Waits for every claim and send that has read the switches as they were.
        tx.fetch(self.driver().dialect().lock_instance, Vec::new()).await?;
        let lost = match turn {
            Turn::Fence(FenceReason::MarkLost, _) => {
                let told = self.marks.acknowledged();
                Some((told, self.marks_in(&mut tx).await?.1))
            }
            Turn::Fence(..) | Turn::Pause(_) | Turn::Resume(_) | Turn::Acknowledge(..) => None,
        };
        let (statement, values) = turned(turn);
        let done = tx.execute(statement, values).await? != 0;
        if done {
            self.note_turn(tx, turn).await?;
        }
        // Else a later fence stands.
        if let Some((told, found)) = lost {
            self.marks.begin_anew(&told, &found);
        }
        Ok(done)
    }

    async fn note_turn(&self, mut tx: D::Tx, turn: &Turn) -> Result<(), Fault> {
        let act = turn.act();
        let done =
            vec![int(act.at.as_ms()), text(turn.name()), text(&act.operator), text(&act.reason)];
        tx.execute(statements::NEW_ACTION, done).await?;
        let on_loss = match turn {
            Turn::Pause(_) | Turn::Fence(..) => OnLoss::Write,
            Turn::Resume(_) | Turn::Acknowledge(..) => OnLoss::Refuse,
        };
        self.commit_or(tx, Told::of_instance(turn.name()), on_loss).await
    }

    /// For a transaction that sends: none if it may.
    pub(super) async fn halted(&self, tx: &mut D::Tx) -> Result<Option<Halt>, Fault> {
        let found = tx.fetch(self.driver().dialect().hold_instance, Vec::new()).await?;
        self.halt_of(tx, found.first()).await
    }

    /// For a transaction that closes an attempt: a send of it that was lost with another server would
    /// start it anew. A pause or a fence closes what has ended all the same.
    pub(super) async fn may_close(
        &self,
        tx: &mut D::Tx,
        advance: &Advance,
        at: Timestamp,
    ) -> Result<bool, Fault> {
        let found = tx.fetch(self.driver().dialect().hold_instance, Vec::new()).await?;
        let (_, server) = rows::halt(found.first())?;
        Ok(!self.memory.forbids_closing(server, advance, at))
    }

    async fn halt_of(&self, tx: &mut D::Tx, row: Option<&D::Row>) -> Result<Option<Halt>, Fault> {
        let (halt, server) = rows::halt(row)?;
        let verified = rows::verified(row)?;
        self.memory.hear(verified);
        let may = verified && self.has_all_marks(tx, server).await?;
        Ok(halt.or((!may).then_some(Halt::Unverified)))
    }

    /// For a transaction that claims: none if it may. While there is a limit on what is accepted, one
    /// claim at a time, or two would find the same room.
    pub(super) async fn refused(
        &self,
        tx: &mut D::Tx,
        claim: &Claim,
    ) -> Result<Option<Halt>, Fault> {
        let Some(allowance) = claim.allowance else {
            return self.halted(tx).await;
        };
        let found = tx.fetch(self.driver().dialect().lock_instance, Vec::new()).await?;
        if let Some(halt) = self.halt_of(tx, found.first()).await? {
            return Ok(Some(halt));
        }
        let spent = tx.fetch(statements::SPENT_SINCE, since(allowance.since)).await?;
        let spent = rows::spent(spent.first())?.get();
        let fits = spent.saturating_add(claim.payment.amount.get()) <= allowance.most.get();
        Ok((!fits).then_some(Halt::LimitSpent))
    }
}

/// The texts of what is read of the instance, for those who want to see how a database plans them.
pub const fn instance_statements() -> [&'static str; 7] {
    [
        statements::STANDING.text,
        statements::SPENT_SINCE.text,
        statements::KNOWN_FROM.text,
        statements::HASH_EXISTS.text,
        statements::TO_WITHHOLD.text,
        statements::WITHHELD.text,
        payment_lists::OPEN_BY_STATE.text,
    ]
}

fn since(at: Timestamp) -> Vec<Value> {
    vec![uuid(PaymentId::first_at(at).as_uuid())]
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
        int(beat.can_send.get()),
        int(beat.active_channels),
        int(beat.busiest_channel_htlcs),
        text(beat.node.as_str()),
    ]
}
