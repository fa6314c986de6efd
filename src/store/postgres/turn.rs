//! Runs an operator's command exclusively, under any load.
//!
//! Claims and sends read the switches with `for share`, which takes a ROW SHARE lock on the table. A row
//! lock could starve: newcomers share it and overtake whoever waits. Table locks queue in order, so an
//! EXCLUSIVE one waits only for the transactions that already hold the table. Plain reads are not blocked.
//! Because later claims queue behind it, they must take this lock before any other, but for the gate of a
//! limit, which no command takes.
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
    store::{
        driver::{Driver, Fault, Tx},
        statement::Statement,
    },
};

/// The command has the lock by then, or fails: an operator is answered within a second.
const BOUND: Duration = Duration::from_millis(900);

/// How often blocking idle sessions are looked for.
const POLL_INTERVAL: Duration = Duration::from_millis(150);

/// Less than [`BOUND`], so that the server itself gives up waiting. Only within this transaction, so that a
/// pooler in between does not carry it to another one.
const LIMIT: Statement<()> = statement!(
    "lock the instance",
    "-- instance.limit_wait\nselect set_config('lock_timeout', '800ms', true)"
);

const LOCK: Statement<()> =
    statement!("lock the instance", "-- instance.lock\nlock table instance in exclusive mode");

/// Ends sessions that have idled for longer than this and hold the instance, or hold up one that does.
const END_IDLE: Statement<()> = statement!(
    "end sessions that idle in a transaction",
    "-- instance.end_idle
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
              and a.state_change < clock_timestamp() - interval '150 milliseconds'"
);

/// Begins a transaction that holds the instance exclusively. Fails with [`StoreError::Unavailable`] within
/// [`BOUND`].
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
        Ok(Err(_)) => {
            Err(unavailable("other sessions hold the table instance (pg_locks says which)"))
        }
        Err(_) => Err(unavailable(
            "no connection and no lock within 900 ms: the database does not answer, or other sessions \
             hold the table instance",
        )),
    }
}

fn unavailable(why: &str) -> Fault {
    StoreError::Unavailable { doing: LOCK.sql.doing, source: why.into() }.into()
}

async fn locked(driver: &PostgresDriver) -> Result<PostgresTx, Fault> {
    let mut tx = driver.begin_on(&driver.operators).await?;
    tx.fetch(LIMIT.bind(())).await?;
    tx.execute(LOCK.bind(())).await?;
    Ok(tx)
}

fn is_lock_timeout(fault: &Fault) -> bool {
    let (Fault::Final(error) | Fault::Contended(error)) = fault;
    said(error).and_then(code).as_deref() == Some("55P03")
}

/// Best effort: only the lock itself tells whether it sufficed.
async fn end_idle_ones(driver: &PostgresDriver) -> Infallible {
    let mut polls = tokio::time::interval(POLL_INTERVAL);
    // The first comes at once, when nobody has been waited for.
    polls.tick().await;
    loop {
        polls.tick().await;
        match driver.fetch_for_operator(END_IDLE.bind(())).await {
            Ok(sessions) => log_ended(sessions.iter().filter_map(|row| row.try_get("ended").ok())),
            Err(error) => tracing::debug!(%error, "could not end idle sessions"),
        }
    }
}

fn log_ended(ended: impl Iterator<Item = bool>) {
    let ended = ended.filter(|ended| *ended).count();
    if ended > 0 {
        tracing::warn!(
            ended,
            "an operator's command ended database sessions that idled in a transaction and held the \
             instance: is a replica stopped?"
        );
    }
}
