//! Whether a connection has a session of the server to itself.
//!
//! A pooler such as PgBouncer may hand each transaction, and each statement outside of one, to another of
//! the server's sessions, and share those with other clients. A prepared statement is a danger there: on
//! the next session its name may belong to another statement of another client, which would then run with
//! our values. Settings of a session are lost the same way, or reach others.
//!
//! So the server itself is asked, on every new connection: a session of our own was started by our own
//! startup packet, and still carries the name in it that this process alone uses. A pooler starts its
//! sessions itself, before it has a client for them, and sets the name afterwards; the server tells the two
//! apart. Where they differ, or the server does not say, the session counts as shared:
//!
//! * each statement runs in a transaction, which a pooler leaves on one session to its end;
//! * no statement is prepared by a name: the unnamed one lives as long as its transaction;
//! * settings are made for the transaction, in the message that begins it.
//!
//! Session pooling would need none of this, but looks the same from here; it costs round trips there, and
//! nothing else.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::PostgresOptions;
use crate::runtime::{Entropy, SystemEntropy};

/// What a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// A session of the server that serves this connection alone.
    Own,
    /// Sessions that a pooler shares among its clients.
    Shared,
}

/// What the server says of the session behind a connection.
#[derive(Debug)]
pub struct Seen {
    pub session: Session,
    pub fsync: String,
    pub synchronous_commit: String,
    /// It is a standby.
    pub in_recovery: bool,
}

/// An `application_name` that no other process uses.
pub fn name() -> String {
    let mut nonce = [0; 6];
    SystemEntropy.fill(&mut nonce);
    format!("withdrawd-{}", hex::encode(nonce))
}

/// Asks the server, in one message that needs no session to last. (Others have no `pg_settings`, or
/// leave it empty: shared, to be on the safe side.)
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

/// Sets up a session of our own, once.
pub async fn set_up(
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<(), sqlx::Error> {
    let ms = options.statement_timeout.as_millis();
    // A transaction that nobody ends would hold its rows for ever.
    let settings = format!(
        "-- settings
         select set_config('statement_timeout', '{ms}', false),
                set_config('idle_in_transaction_session_timeout', '{ms}', false),
                set_config('default_transaction_isolation', 'read committed', false)"
    );
    sqlx::raw_sql(AssertSqlSafe(settings)).execute(connection).await.map(drop)
}

/// Begins a transaction that takes nothing from its session: one message, and so one round trip.
///
/// Another client of the pooler may have left `synchronous_commit` off there, and our commit would not be
/// durable when we are told of it.
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
