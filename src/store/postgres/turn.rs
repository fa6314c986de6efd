//! An operator's command takes the whole instance, under any load.
//!
//! Claims and sends read the switches with `for share`, which takes a ROW SHARE lock on the table. A row
//! lock would let newcomers pass whoever waits for it alone; table locks are given in order, so an
//! EXCLUSIVE one is waited for only as long as the transactions last that are there already. Readers are
//! in nobody's way. Since newcomers wait behind it, whoever reads the switches does so before it takes any
//! other lock.
//!
//! A session that idles in its transaction (of a process that was stopped, say) would hold its lock until
//! `idle_in_transaction_session_timeout`. It has committed nothing, so the command ends it:
//! `pg_terminate_backend` may end sessions of one's own role, on managed databases too, and who they are
//! and that they idle stands in `pg_locks` and `pg_stat_activity` (`track_activities`, on by default). A
//! session of another role is not ended, and the command fails after [`TRIES`].

use std::time::Duration;

use sqlx::{PgPool, Row};

use super::{PostgresTx, bound, code, fault, in_time};
use crate::{
    ports::StoreError,
    store::driver::{Fault, Sql},
};

/// Each waits for [`LIMIT`]: within a second all have been made.
const TRIES: usize = 7;

/// Only within this transaction, so that a pooler in between does not carry it to another one.
const LIMIT: Sql = Sql {
    doing: "lock the instance",
    text: "-- instance.limit_wait\nselect set_config('lock_timeout', '100ms', true)",
};

const LOCK: Sql = Sql {
    doing: "lock the instance",
    text: "-- instance.lock\nlock table instance in exclusive mode",
};

/// Ends those who idle and hold the instance, or hold up somebody who does.
const END_IDLE: Sql = Sql {
    doing: "end sessions that idle in a transaction",
    text: "-- instance.end_idle
           with recursive holders (pid) as (
               select l.pid from pg_locks l
                where l.relation = 'instance'::regclass and l.granted
                  and l.database = (select d.oid from pg_database d
                                     where d.datname = current_database())
                  and l.mode <> 'AccessShareLock' and l.pid <> pg_backend_pid()
               union
               select b.pid from holders h, unnest(pg_blocking_pids(h.pid)) as b (pid)
           )
           select pg_terminate_backend(a.pid) as ended
             from pg_stat_activity a join holders h on h.pid = a.pid
            where a.usename = current_user and a.state like 'idle in transaction%'
              and a.state_change < clock_timestamp() - interval '150 milliseconds'",
};

/// How long the statements of a try may take beside the wait for the lock.
const SPARE: Duration = Duration::from_millis(200);

/// Begins a transaction that has the instance for itself.
pub async fn begin(pool: &PgPool, patience: Duration) -> Result<PostgresTx, Fault> {
    for _ in 0..TRIES {
        if let Some(tx) = try_once(pool, patience).await? {
            return Ok(tx);
        }
        // Best effort: the next try says whether it was enough.
        match in_time(SPARE, END_IDLE.doing, bound(END_IDLE, Vec::new()).fetch_all(pool)).await {
            Ok(sessions) => told(sessions.iter().filter_map(|row| row.try_get("ended").ok())),
            Err(fault) => tracing::debug!(error = %fault.into_error(), "idle sessions stay"),
        }
    }
    let source = "other sessions hold the table instance (pg_locks says which)".into();
    Err(StoreError::Unavailable { doing: LOCK.doing, source }.into())
}

/// None if the lock was not given in time.
async fn try_once(pool: &PgPool, patience: Duration) -> Result<Option<PostgresTx>, Fault> {
    let mut tx = in_time(patience, "begin", Box::pin(pool.begin())).await?;
    in_time(patience, LIMIT.doing, bound(LIMIT, Vec::new()).execute(&mut *tx)).await?;
    let locked = tokio::time::timeout(patience, bound(LOCK, Vec::new()).execute(&mut *tx)).await;
    match locked {
        Ok(Ok(_)) => Ok(Some(PostgresTx { tx, patience })),
        Ok(Err(error)) if code(&error).as_deref() == Some("55P03") => {
            in_time(patience, "roll back", tx.rollback()).await?;
            Ok(None)
        }
        Ok(Err(error)) => Err(fault(LOCK.doing, error)),
        Err(_) => {
            let source = "Postgres does not answer".into();
            Err(StoreError::Unavailable { doing: LOCK.doing, source }.into())
        }
    }
}

fn told(ended: impl Iterator<Item = bool>) {
    let ended = ended.filter(|ended| *ended).count();
    if ended > 0 {
        tracing::warn!(
            ended,
            "an operator's command ended database sessions that idled in a transaction and held the \
             instance: is a replica stopped?"
        );
    }
}
