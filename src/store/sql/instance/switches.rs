//! The switches of the instance: its pause and its fence, which all replicas share.

use crate::{
    domain::{FenceReason, HaltReason, InstanceCommand, Timestamp},
    ports::StoreError,
    store::{
        driver::{Cells, Fault, Tx},
        sql::{
            Database, SqlStore,
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
        /// The fence that the operator reviewed.
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

/// A loss that is found while the instance is fenced raises a new fence. The lost commits may include an
/// acknowledgement of the first fence, and payments of requests that were created after it.
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
    "record an operator's action",
    concat!(
        "-- instance.action\n",
        insert_into!("operator_actions", at_ms, action, operator, reason)
    )
);

impl<D: Database> SqlStore<D> {
    pub(super) async fn execute_command_once(
        &self,
        command: &InstanceCommand,
    ) -> Result<bool, Fault> {
        // From here on, no claim or send that has read the old switches is still running.
        let mut tx = self.driver().begin_for_operator().await?;
        let loss = match command {
            InstanceCommand::Fence(FenceReason::MarkLost, _) => {
                let acknowledged = self.marks.acknowledged();
                let (server, found) = self.marks_in(&mut tx).await?;
                if self.marks.check(server, &acknowledged, &found) {
                    // The loss was seen on another server, a lagging standby for example.
                    return Err(StoreError::Stale.into());
                }
                Some((acknowledged, found))
            }
            InstanceCommand::Fence(..)
            | InstanceCommand::Pause(_)
            | InstanceCommand::Resume(_)
            | InstanceCommand::Acknowledge(..) => None,
        };
        let done = tx.execute(statement_for(command)).await? != 0;
        if done {
            let act = command.act();
            let action = NewAction {
                at_ms: act.at,
                action: command.name(),
                operator: &act.by.name,
                reason: &act.by.reason,
            };
            tx.execute(ACTION.bind(action)).await?;
        }
        // Commits even if nothing changed (or a later fence is in force), since the caller is told the
        // outcome and relies on it.
        let on_loss = match command {
            InstanceCommand::Pause(_) | InstanceCommand::Fence(..) => OnLoss::Write,
            InstanceCommand::Resume(_) | InstanceCommand::Acknowledge(..) => OnLoss::Refuse,
        };
        self.commit_or(tx, CommitLabel::of_instance(command.name()), on_loss).await?;
        if let Some((acknowledged, found)) = loss {
            self.marks.accept_as_baseline(&acknowledged, &found);
        }
        Ok(done)
    }

    /// Why this transaction may not claim or send; none if it may.
    pub(in crate::store::sql) async fn halted(
        &self,
        tx: &mut D::Tx,
    ) -> Result<Option<HaltReason>, Fault> {
        let Switches { halt, server, verified, .. } = self.hold_switches(tx).await?;
        self.memory.set_verified(verified);
        let may = verified && self.has_all_marks(tx, server).await?;
        Ok(halt.or((!may).then_some(HaltReason::Unverified)))
    }

    /// Locks the switches, and returns the server that this transaction writes to.
    pub(in crate::store::sql) async fn server_of(&self, tx: &mut D::Tx) -> Result<i64, Fault> {
        Ok(self.hold_switches(tx).await?.server)
    }

    async fn hold_switches(&self, tx: &mut D::Tx) -> Result<Switches, Fault> {
        let found = tx.fetch(self.driver().dialect().hold_instance.bind(())).await?;
        Ok(switches(&found)?)
    }
}

/// The row that the statements `instance.hold` (with a lock) and `instance.see` (without one) read.
pub struct Switches {
    /// Why claims and sends are refused, as far as the switches decide.
    pub halt: Option<HaltReason>,
    /// When the instance was fenced, if it is.
    pub fenced_at: Option<Timestamp>,
    /// The current database server.
    pub server: i64,
    /// Whether that server is the verified one.
    pub verified: bool,
}

/// Reads the instance's single row.
pub fn switches<R: Cells>(rows: &[R]) -> Parsed<Switches> {
    let row = only(rows)?;
    let paused = row.opt_int("paused_at_ms")?.is_some();
    let fenced_at = row.opt_time("fenced_at_ms")?;
    let server = row.int("server")?;
    let verified = row.opt_int("verified_server")? == Some(server);
    Ok(Switches {
        halt: HaltReason::by_switches(paused, fenced_at.is_some()),
        fenced_at,
        server,
        verified,
    })
}

fn statement_for(command: &InstanceCommand) -> BoundStatement<'_> {
    match command {
        InstanceCommand::Pause(act) => PAUSE.bind(SetPause {
            paused_at_ms: act.at,
            paused_by: &act.by.name,
            pause_reason: &act.by.reason,
        }),
        InstanceCommand::Resume(_) => RESUME.bind(()),
        InstanceCommand::Fence(reason, act) => {
            FENCE.bind(SetFence { fenced_at_ms: act.at, fence_reason: reason.name() })
        }
        InstanceCommand::Acknowledge(fence, act) => {
            ACKNOWLEDGE.bind(EndFence { acknowledged_at_ms: act.at, fenced_at_ms: *fence })
        }
    }
}
