//! Connecting to Postgres. Every new connection is checked before its first use: for durability, and for a
//! server session of its own.

use std::{sync::Arc, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection, PgConnection, PgPool, Row,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{
    DIALECT, PostgresOptions, bound, code, fault,
    place::Place,
    session::{self, Session},
};
use crate::{
    ports::StoreError,
    store::{
        migrations,
        sql::{self, Marks, OfWriter},
    },
};

/// Connections of each process that are reserved for operators' commands: one runs the command, the other
/// ends sessions that block it. The configuration requires at least four connections in all.
const OPERATOR_CONNECTIONS: u32 = 2;

/// The key of the advisory lock that a migration holds to its end: "withdrawd", cut to eight bytes.
const MIGRATION_LOCK: i64 = i64::from_be_bytes(*b"withdraw");

/// How many times a migration that conflicts with another transaction is attempted.
const MIGRATION_ATTEMPTS: u32 = 20;
/// The delay between two attempts, during which other transactions can proceed.
const MIGRATION_RETRY_DELAY: Duration = Duration::from_secs(5);

/// Why a connection cannot be used: its commits are not durable.
#[derive(Debug, thiserror::Error)]
#[error(
    "Postgres runs with fsync = {fsync} and synchronous_commit = {synchronous_commit}: a crash could \
     lose the records of payments that were sent, and they could be paid twice. Set both to on in \
     Postgres (or, without real money, set store.allow_losing_commits_in_a_crash)"
)]
struct NotDurable {
    fsync: String,
    synchronous_commit: String,
}

/// Why a connection cannot be used: this process uses prepared statements, and a pooler would mix them up.
#[derive(Debug, thiserror::Error)]
#[error(
    "a connection pooler answers, but Postgres itself answered when this process started; restart \
     withdrawd, so that it stops using prepared statements"
)]
struct PoolerAppeared;

/// Why a connection leads to the wrong server.
#[derive(Debug, thiserror::Error)]
#[error(
    "the Postgres server is a standby (it is in recovery): it accepts no writes, and may lack the last \
     commits; set store.database_url to the primary"
)]
struct Standby;

/// What is needed to make and check a connection.
#[derive(Clone)]
struct ConnectPlan {
    options: PostgresOptions,
    connect: PgConnectOptions,
    /// The `application_name` of this process.
    name: String,
}

/// Pools that check each connection, on a database whose schema is current.
pub struct Connected {
    pub pool: PgPool,
    /// The connections reserved for operators' commands.
    pub operators: PgPool,
    pub session: Session,
    pub place: Place,
}

/// Makes the first connection without a pool, so that it fails at once and with its cause. A pool would
/// retry until its timeout and report only the timeout.
pub async fn open(options: &PostgresOptions, marks: &Arc<Marks>) -> Result<Connected, StoreError> {
    let place = Place::of(&options.connect);
    let name = session::name();
    let connect = options.connect.clone().application_name(&name);
    // PgBouncer rejects unknown startup parameters. This one is not needed, since no column is a float.
    let connect = connect.extra_float_digits(None);
    let plan = ConnectPlan { options: options.clone(), connect, name };

    let first = tokio::time::timeout(options.acquire_timeout, first_connection(&plan)).await;
    let (mut connection, session) = first
        .unwrap_or_else(|_| {
            let source = "Postgres does not answer".into();
            Err(StoreError::Unavailable { doing: "connect", source })
        })
        .map_err(|error| place.locate_connect_error(error))?;
    schema(&mut connection, options).await.map_err(|error| place.locate_error(error))?;
    let failed = |error| place.locate_connect_error(fault("connect", error).into_error());
    connection.close().await.map_err(failed)?;

    let plan = Arc::new(plan);
    let max_ordinary = options.max_connections - OPERATOR_CONNECTIONS;
    let pool = PgPoolOptions::new().max_connections(max_ordinary);
    let pool = checked_pool(&plan, session, marks, pool).await.map_err(failed)?;
    // One connection is opened in advance: connecting takes time, and under load the server may have none
    // to spare.
    let reserved = PgPoolOptions::new().max_connections(OPERATOR_CONNECTIONS).min_connections(1);
    let operators =
        checked_pool(&plan, session, marks, reserved.idle_timeout(None)).await.map_err(failed)?;
    if session == Session::Shared {
        tracing::info!("{place} is behind a connection pooler: prepared statements are off");
    }
    Ok(Connected { pool, operators, session, place })
}

async fn checked_pool(
    plan: &Arc<ConnectPlan>,
    session: Session,
    marks: &Arc<Marks>,
    pool: PgPoolOptions,
) -> Result<PgPool, sqlx::Error> {
    let (checked, connect) = (Arc::clone(plan), plan.connect.clone());
    let marks = Arc::clone(marks);
    let pool = pool.acquire_timeout(plan.options.acquire_timeout);
    let pool = pool.after_connect(move |connection, _| {
        let (plan, marks) = (Arc::clone(&checked), Arc::clone(&marks));
        Box::pin(async move {
            let found = prepare(connection, &plan).await?;
            // The reverse is harmless: a session of our own also works when treated as shared.
            if (session, found) == (Session::Own, Session::Shared) {
                return Err(sqlx::Error::Configuration(Box::new(PoolerAppeared)));
            }
            read_marks(connection, found, &marks).await
        })
    });
    pool.connect_with(connect).await
}

async fn first_connection(plan: &ConnectPlan) -> Result<(PgConnection, Session), StoreError> {
    let failed = |error| fault("connect", error).into_error();
    let mut connection = PgConnection::connect_with(&plan.connect).await.map_err(failed)?;
    let session = prepare(&mut connection, plan).await.map_err(failed)?;
    Ok((connection, session))
}

async fn prepare(
    connection: &mut PgConnection,
    plan: &ConnectPlan,
) -> Result<Session, sqlx::Error> {
    let ConnectPlan { options, name, .. } = plan;
    let seen = session::look(connection, name).await?;
    if seen.in_recovery {
        return Err(sqlx::Error::Configuration(Box::new(Standby)));
    }
    let commits_durably = match seen.session {
        Session::Own => seen.synchronous_commit != "off",
        // Each transaction sets it, see `session::begin`.
        Session::Shared => true,
    };
    if !(seen.fsync == "on" && commits_durably || options.allow_losing_commits_in_a_crash) {
        let session::Seen { fsync, synchronous_commit, .. } = seen;
        let not_durable = NotDurable { fsync, synchronous_commit };
        return Err(sqlx::Error::Configuration(Box::new(not_durable)));
    }
    if seen.session == Session::Own {
        session::set_up(connection, options).await?;
    }
    Ok(seen.session)
}

/// Checks the marks of this process on a new connection: a server whose machine was reverted to a snapshot
/// has lost commits but still identifies itself as the same server.
async fn read_marks(
    connection: &mut PgConnection,
    session: Session,
    marks: &Marks,
) -> Result<(), sqlx::Error> {
    let acknowledged = marks.acknowledged();
    if acknowledged.is_nothing() {
        return Ok(());
    }
    let read = DIALECT.marks.read.bind(OfWriter { writer: marks.writer() });
    let rows = bound(read, session).fetch_all(connection).await?;
    let (_, found) =
        sql::read_marks(&rows).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    marks.suspect_if_behind(&acknowledged, &found);
    Ok(())
}

/// Runs the migrations, or checks that they have run. All run in one transaction, under a lock that ends with
/// it. sqlx's own lock belongs to the session, where a pooler would leave it behind.
async fn schema(
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<(), StoreError> {
    if !options.migrate {
        return check_schema(connection).await;
    }
    let (mut tries, mut between_tries) = (0, tokio::time::interval(MIGRATION_RETRY_DELAY));
    loop {
        tries += 1;
        match migrate(connection, options).await {
            Ok(()) => return Ok(()),
            Err(error) if tries < MIGRATION_ATTEMPTS && is_lock_conflict(&error) => {
                tracing::warn!(%error, "the migration conflicted with another transaction and starts again");
                between_tries.reset();
                between_tries.tick().await;
                // The driver still caches the names of statements that the migration deallocated.
                let _ = connection.clear_cached_statements().await;
            }
            Err(error) => {
                let source = error.into();
                return Err(StoreError::Failed { doing: "migrate the database", source });
            }
        }
    }
}

async fn migrate(
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<(), MigrateError> {
    let mut tx = connection.begin_with(AssertSqlSafe(session::begin(options))).await?;
    match migrate_in(&mut tx).await {
        Ok(()) => Ok(tx.commit().await?),
        Err(error) => {
            // Explicitly: a dropped transaction would stay open until the next use of the connection.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}

async fn migrate_in(tx: &mut PgConnection) -> Result<(), MigrateError> {
    // No statement timeout: rewriting a large table may take long, and a second process waits for it.
    // `deallocate all`: sqlx prepares by name, and another client of a pooler may have left the same names on
    // this session. `client_min_messages`: hides notices that a table already exists.
    let lock = format!(
        "set local statement_timeout = 0; deallocate all; set local client_min_messages = warning;
         select pg_advisory_xact_lock({MIGRATION_LOCK})"
    );
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *tx).await?;
    lock_tables(tx).await?;
    let mut migrator = Migrator::with_migrations(migrations::POSTGRES.migrations.to_vec());
    migrator.set_locking(false);
    migrator.run_direct(None, &mut *tx, false).await?;
    sqlx::raw_sql("deallocate all").execute(&mut *tx).await?;
    Ok(())
}

/// Locks the tables to be altered, in the order in which claims and sends lock them. Processes of an earlier
/// version may still be running, and this order avoids deadlocks with them.
async fn lock_tables(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let there = "-- schema.there\nselect to_regclass('instance') is not null as there";
    let there = sqlx::raw_sql(there).fetch_one(&mut *connection).await?;
    if !there.try_get::<bool, _>("there")? {
        return Ok(());
    }
    let done = "-- schema.done\nselect count(*) as done from _sqlx_migrations where success";
    let done: i64 = sqlx::raw_sql(done).fetch_one(&mut *connection).await?.try_get("done")?;
    if usize::try_from(done).is_ok_and(|done| done >= migrations::POSTGRES.iter().count()) {
        return Ok(());
    }
    // All readers and writers queue behind this lock, and a dump could hold it up for long: so it gives up
    // after 3 s per table.
    let lock = "set local lock_timeout = '3s';
                lock table instance, withdraws, payments, sends, events, nodes
                  in access exclusive mode;
                set local lock_timeout = 0";
    sqlx::raw_sql(lock).execute(connection).await.map(drop)
}

/// A deadlock with another transaction, or a lock timeout.
fn is_lock_conflict(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    matches!(code(error).as_deref(), Some("40P01" | "55P03"))
}

async fn check_schema(connection: &mut PgConnection) -> Result<(), StoreError> {
    let newest = sqlx::raw_sql(
        "-- schema\nselect max(version) as version from _sqlx_migrations where success",
    )
    .fetch_one(connection)
    .await
    .and_then(|row| row.try_get::<Option<i64>, _>("version"));
    let expected = migrations::POSTGRES.iter().map(|migration| migration.version).max();
    match newest {
        Ok(found) if found == expected => Ok(()),
        Ok(_) | Err(sqlx::Error::Database(_)) => Err(StoreError::Failed {
            doing: "use the database",
            source: "its schema version differs from this program's; run `withdrawd migrate`"
                .into(),
        }),
        Err(error) => Err(fault("read the schema's version", error).into_error()),
    }
}
