//! The switches that pause and fence the instance, every replica at once.

use crate::{
    domain::{FenceReason, Halt, Timestamp, Turn},
    ports::StoreError,
    store::{
        driver::{Cells, Driver, Fault, Tx},
        sql::{
            SqlStore,
            marks::{CommitLabel, OnLoss},
            reader::{Parsed, only},
        },
        statement::{BoundStatement, Statement},
    },
};

params! {
    struct SetPause<'a> {
        paused_at_ms: Timestamp,
        paused_by: &'a str,
        pause_reason: &'a str,
    }

    struct SetFence<'a> {
        fenced_at_ms: Timestamp,
        fence_reason: &'a str,
    }

    struct EndFence {
        acknowledged_at_ms: Timestamp,
        /// The fence that was looked at.
        fenced_at_ms: Timestamp,
    }

    struct NewAction<'a> {
        at_ms: Timestamp,
        action: &'a str,
        operator: &'a str,
        reason: &'a str,
    }
}

const PAUSE: Statement<SetPause> = statement!(
    SetPause,
    "pause",
    "-- instance.pause
     update instance set paused_at_ms = :paused_at_ms, paused_by = :paused_by, pause_reason = :pause_reason
      where paused_at_ms is null"
);

const RESUME: Statement<()> = statement!(
    "resume",
    "-- instance.resume
     update instance set paused_at_ms = null, paused_by = null, pause_reason = null
      where paused_at_ms is not null"
);

/// A loss that is found while the instance is fenced is another one: what was created since the first
/// may have been paid after an acknowledgement that was lost with it.
const FENCE: Statement<SetFence> = statement!(
    SetFence,
    "fence",
    "-- instance.fence
     update instance set fenced_at_ms = :fenced_at_ms, fence_reason = :fence_reason
      where fenced_at_ms is null or fenced_at_ms < :fenced_at_ms"
);

const ACKNOWLEDGE: Statement<EndFence> = statement!(
    EndFence,
    "end a fence",
    "-- instance.acknowledge
     update instance set fenced_at_ms = null, fence_reason = null, acknowledged_at_ms = :acknowledged_at_ms
      where fenced_at_ms = :fenced_at_ms"
);

const ACTION: Statement<NewAction> = statement!(
    NewAction,
    "write what an operator did",
    concat!(
        "-- instance.action\n",
        insert_into!("operator_actions", at_ms, action, operator, reason)
    )
);

impl<D: Driver> SqlStore<D> {
    pub(super) async fn turn_once(&self, turn: &Turn) -> Result<bool, Fault> {
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
        let done = tx.execute(turned(turn)).await? != 0;
        if done {
            let act = turn.act();
            let action = NewAction {
                at_ms: act.at,
                action: turn.name(),
                operator: &act.by.name,
                reason: &act.by.reason,
            };
            tx.execute(ACTION.bind(action)).await?;
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
    pub(in crate::store::sql) async fn halted(
        &self,
        tx: &mut D::Tx,
    ) -> Result<Option<Halt>, Fault> {
        let Switches { halt, server, verified, .. } = self.hold_switches(tx).await?;
        self.memory.set_verified(verified);
        let may = verified && self.has_all_marks(tx, server).await?;
        Ok(halt.or((!may).then_some(Halt::Unverified)))
    }

    /// The server that this transaction writes to.
    pub(in crate::store::sql) async fn server_of(&self, tx: &mut D::Tx) -> Result<i64, Fault> {
        Ok(self.hold_switches(tx).await?.server)
    }

    async fn hold_switches(&self, tx: &mut D::Tx) -> Result<Switches, Fault> {
        let found = tx.fetch(self.driver().dialect().hold_instance.bind(())).await?;
        Ok(switches(&found)?)
    }
}

/// What `instance.hold` and `instance.see` read.
pub struct Switches {
    /// Why nothing is accepted or sent, as far as the switches say.
    pub halt: Option<Halt>,
    /// When the instance was fenced, if it is.
    pub fenced_at: Option<Timestamp>,
    /// The server that answers.
    pub server: i64,
    /// Whether it is the one that was verified.
    pub verified: bool,
}

/// The instance's one row.
pub fn switches<R: Cells>(rows: &[R]) -> Parsed<Switches> {
    let row = only(rows)?;
    let paused = row.opt_int("paused_at_ms")?.is_some();
    let fenced_at = row.opt_time("fenced_at_ms")?;
    let server = row.int("server")?;
    let verified = row.opt_int("verified_server")? == Some(server);
    Ok(Switches {
        halt: Halt::by_switches(paused, fenced_at.is_some()),
        fenced_at,
        server,
        verified,
    })
}

fn turned(turn: &Turn) -> BoundStatement<'_> {
    match turn {
        Turn::Pause(act) => PAUSE.bind(SetPause {
            paused_at_ms: act.at,
            paused_by: &act.by.name,
            pause_reason: &act.by.reason,
        }),
        Turn::Resume(_) => RESUME.bind(()),
        Turn::Fence(reason, act) => {
            FENCE.bind(SetFence { fenced_at_ms: act.at, fence_reason: reason.name() })
        }
        Turn::Acknowledge(fence, act) => {
            ACKNOWLEDGE.bind(EndFence { acknowledged_at_ms: act.at, fenced_at_ms: *fence })
        }
    }
}
