//! The transaction of an operator's command, which locks the instance exclusively under any load.
//!
//! Claims and sends read the switches with `for share`, which takes a ROW SHARE lock on the table. A command
//! that waited for the row lock could starve, since newcomers share it and overtake the waiter. Table locks
//! queue in order, so an EXCLUSIVE one waits only for transactions that already hold the table. It does not
//! block plain reads. Because later claims queue behind it, they must take this lock before any other, except
//! the limit gate, which no command takes.
//!
//! A session that is idle in a transaction (of a stopped process, for example) would hold its lock until
//! `idle_in_transaction_session_timeout`. It has committed nothing, so the command ends it.
//! `pg_terminate_backend` can end sessions of the same role, on managed databases too. `pg_locks` and
//! `pg_stat_activity` (`track_activities`, on by default) show which sessions these are. Sessions of another
//! role are not ended, and the command fails within [`LOCK_WAIT`].

use std::{convert::Infallible, time::Duration};

use sqlx::Row;

use super::{PostgresDriver, PostgresTx, code, database_error};
use crate::{
    ports::StoreError,
    store::{
        driver::{Driver, Fault, Tx},
        statement::Statement,
    },
};

/// How long a command may wait for the lock before it fails: an operator is answered within a second.
const LOCK_WAIT: Duration = Duration::from_millis(900);

/// How often to search for idle sessions that block the command.
const POLL_INTERVAL: Duration = Duration::from_millis(150);

/// Less than [`LOCK_WAIT`], so that the server itself ends the wait. It applies to this transaction only, so
/// a pooler does not carry it over to another one.
const SET_LOCK_TIMEOUT: Statement<()> = statement!(
    "lock the instance",
    "-- instance.limit_wait\nselect set_config('lock_timeout', '800ms', true)"
);

const LOCK: Statement<()> =
    statement!("lock the instance", "-- instance.lock\nlock table instance in exclusive mode");

/// Ends sessions that have been idle in a transaction for over 150 ms and hold the table, directly or by
/// blocking a session that does.
const END_IDLE: Statement<()> = statement!(
    "end sessions that are idle in a transaction",
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
/// [`LOCK_WAIT`].
pub async fn begin(driver: &PostgresDriver) -> Result<PostgresTx, Fault> {
    let outcome = tokio::time::timeout(LOCK_WAIT, async {
        tokio::select! {
            tx = lock_instance(driver) => tx,
            never = end_idle_sessions(driver) => match never {},
        }
    });
    match outcome.await {
        Ok(Ok(tx)) => Ok(tx),
        Ok(Err(fault)) if !is_lock_timeout(&fault) => Err(fault),
        Ok(Err(_)) => Err(unavailable(
            "other sessions hold a lock on the table `instance` (pg_locks shows which)",
        )),
        Err(_) => Err(unavailable(
            "no connection or no lock within 900 ms: the database does not answer, or other sessions hold \
             a lock on the table `instance`",
        )),
    }
}

fn unavailable(why: &str) -> Fault {
    StoreError::Unavailable { doing: LOCK.sql.doing, source: why.into() }.into()
}

async fn lock_instance(driver: &PostgresDriver) -> Result<PostgresTx, Fault> {
    let mut tx = driver.begin_on(&driver.operators).await?;
    tx.fetch(SET_LOCK_TIMEOUT.bind(())).await?;
    tx.execute(LOCK.bind(())).await?;
    Ok(tx)
}

fn is_lock_timeout(fault: &Fault) -> bool {
    let (Fault::Final(error) | Fault::Contended(error)) = fault;
    database_error(error).and_then(code).as_deref() == Some("55P03")
}

/// Best effort: success shows only in the lock that the command then gets.
async fn end_idle_sessions(driver: &PostgresDriver) -> Infallible {
    let mut polls = tokio::time::interval(POLL_INTERVAL);
    // The first tick fires at once, before any session has blocked the command.
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
            "an operator's command ended database sessions that were idle in a transaction and blocked \
             it: is a replica suspended?"
        );
    }
}
