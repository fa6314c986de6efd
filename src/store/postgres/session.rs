//! Detects whether a connection has a server session of its own.
//!
//! A pooler such as PgBouncer may run each transaction, and each statement outside of one, on a different
//! server session that it shares among clients. Prepared statements are dangerous there: on the next session
//! the same name may belong to another client's statement, which would then run with our values. Session
//! settings get lost the same way, or affect other clients.
//!
//! So every new connection asks the server. A session of our own was started by our own startup packet, with
//! an `application_name` that only this process uses. A pooler starts its sessions before it has a client for
//! them and sets the name afterwards; `pg_settings` shows the difference. If the name was not set by our
//! startup packet, or the server does not say, the session counts as shared:
//!
//! * each statement runs in a transaction, which a pooler keeps on one session to its end;
//! * no statement is prepared by name: the unnamed one lives as long as its transaction;
//! * settings apply to the transaction only, and are set in the message that begins it.
//!
//! A pooler in session mode would need none of this but cannot be told apart. There it costs extra round
//! trips, nothing else.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::PostgresOptions;
use crate::runtime::{Entropy, SystemEntropy};

/// What a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// A server session that serves this connection alone.
    Own,
    /// Server sessions that a pooler shares among its clients.
    Shared,
}

/// What the server reports about the session behind a connection.
#[derive(Debug)]
pub struct Seen {
    pub session: Session,
    pub fsync: String,
    pub synchronous_commit: String,
    /// The server is a standby.
    pub in_recovery: bool,
}

/// An `application_name` that no other process uses.
pub fn name() -> String {
    let mut nonce = [0; 6];
    SystemEntropy.fill(&mut nonce);
    format!("withdrawd-{}", hex::encode(nonce))
}

/// Asks the server, in one message, so that nothing depends on the session. On compatible databases where
/// `pg_settings` has no such row, the session counts as shared, to be safe.
pub async fn look(connection: &mut PgConnection, name: &str) -> Result<Seen, sqlx::Error> {
    let row = sqlx::raw_sql(
        "-- session
         select current_setting('fsync') as fsync,
                current_setting('synchronous_commit') as synchronous_commit,
                pg_is_in_recovery() as in_recovery,
                (select source || ' ' || reset_val from pg_settings
                  where name = 'application_name') as started_as",
    )
    .fetch_one(connection)
    .await?;
    let started_as: Option<String> = row.try_get("started_as")?;
    let own = started_as.is_some_and(|started_as| started_as == format!("client {name}"));
    Ok(Seen {
        session: if own { Session::Own } else { Session::Shared },
        fsync: row.try_get("fsync")?,
        synchronous_commit: row.try_get("synchronous_commit")?,
        in_recovery: row.try_get("in_recovery")?,
    })
}

/// Applies the settings of a session of our own, once.
pub async fn set_up(
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<(), sqlx::Error> {
    let ms = options.statement_timeout.as_millis();
    // A transaction that is never ended would hold its row locks forever.
    let settings = format!(
        "-- settings
         select set_config('statement_timeout', '{ms}', false),
                set_config('idle_in_transaction_session_timeout', '{ms}', false),
                set_config('default_transaction_isolation', 'read committed', false)"
    );
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await.map(drop)
}

/// The SQL that begins a transaction with its own settings, in one message and so one round trip.
///
/// Another client of the pooler may have left `synchronous_commit` off on the session. Our COMMIT would then
/// be acknowledged before it is durable.
pub fn begin(options: &PostgresOptions) -> Arc<str> {
    let ms = options.statement_timeout.as_millis();
    let durable = if options.allow_losing_commits_in_a_crash {
        ""
    } else {
        "; select set_config('synchronous_commit', 'on', true)
            where current_setting('synchronous_commit') = 'off'"
    };
    format!(
        "begin isolation level read committed;
         select set_config('statement_timeout', '{ms}', true),
                set_config('idle_in_transaction_session_timeout', '{ms}', true){durable}"
    )
    .into()
}
