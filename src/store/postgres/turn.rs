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
//! session of another role is not ended, and the command fails within [`BOUND`].

use std::{convert::Infallible, time::Duration};

use sqlx::Row;

use super::{PostgresDriver, PostgresTx, code, said};
use crate::{
    ports::StoreError,
    store::driver::{Driver, Fault, Sql, Tx},
};

/// Until then the instance is had, or the command fails: an operator is answered within a second.
const BOUND: Duration = Duration::from_millis(900);

/// How often it is looked who is in the way.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// Less than [`BOUND`], so that the server itself gives up waiting. Only within this transaction, so that a
/// pooler in between does not carry it to another one.
const LIMIT: Sql = Sql {
    doing: "lock the instance",
    text: "-- instance.limit_wait\nselect set_config('lock_timeout', '800ms', true)",
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

/// Begins a transaction that has the instance for itself.
pub async fn begin(driver: &PostgresDriver) -> Result<PostgresTx, Fault> {
    let had = tokio::time::timeout(BOUND, async {
        tokio::select! {
            tx = locked(driver) => tx,
            never = end_idle_ones(driver) => match never {},
        }
    });
    match had.await {
        Ok(Ok(tx)) => Ok(tx),
        Ok(Err(fault)) if !is_lock_timeout(&fault) => Err(fault),
        Ok(Err(_)) | Err(_) => {
            let source = "other sessions hold the table instance (pg_locks says which)".into();
            Err(StoreError::Unavailable { doing: LOCK.doing, source }.into())
        }
    }
}

async fn locked(driver: &PostgresDriver) -> Result<PostgresTx, Fault> {
    let mut tx = driver.begin_on(&driver.operators).await?;
    tx.fetch(LIMIT, Vec::new()).await?;
    tx.execute(LOCK, Vec::new()).await?;
    Ok(tx)
}

fn is_lock_timeout(fault: &Fault) -> bool {
    let (Fault::Final(error) | Fault::Contended(error)) = fault;
    said(error).and_then(code).as_deref() == Some("55P03")
}

/// Best effort: whether the lock is had says whether it was enough.
async fn end_idle_ones(driver: &PostgresDriver) -> Infallible {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match driver.fetch_first(END_IDLE, Vec::new()).await {
            Ok(sessions) => told(sessions.iter().filter_map(|row| row.try_get("ended").ok())),
            Err(error) => tracing::debug!(%error, "idle sessions stay"),
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
