//! Connecting to Postgres: every new connection is checked before its first use, for durability and for
//! whether it has a session of its own.

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

/// Connections of each process reserved for operators' commands: one runs the command, one ends sessions
/// that block it. There are four in all, at least.
const OPERATORS: u32 = 2;

/// Taken by whoever migrates, until the transaction ends: "withdrawd", cut to eight bytes.
const MIGRATION_LOCK: i64 = i64::from_be_bytes(*b"withdraw");

/// How often a migration is begun anew that met another transaction.
const MIGRATION_TRIES: u32 = 20;
/// Between two of them all others go on.
const MIGRATION_PAUSE: Duration = Duration::from_secs(5);

/// Why a connection cannot be used for money.
#[derive(Debug, thiserror::Error)]
#[error(
    "Postgres runs with fsync = {fsync} and synchronous_commit = {synchronous_commit}: a crash would \
     lose payments that were sent, and they could be paid again. Turn both on (or set \
     store.allow_losing_commits_in_a_crash where no real money is at stake)"
)]
struct NotDurable {
    fsync: String,
    synchronous_commit: String,
}

/// Why a connection cannot be used by a process that prepares statements.
#[derive(Debug, thiserror::Error)]
#[error(
    "a connection pooler answers where Postgres itself answered when this process started; restart \
     withdrawd, so that it goes without prepared statements"
)]
struct NowShared;

/// Why a connection leads to the wrong server.
#[derive(Debug, thiserror::Error)]
#[error(
    "the Postgres that answers is a standby (it is in recovery): it takes no writes, and may lack the last \
     commits"
)]
struct Standby;

/// What connections are made by.
#[derive(Clone)]
struct Recipe {
    options: PostgresOptions,
    connect: PgConnectOptions,
    /// The `application_name` of this process.
    name: String,
}

/// Pools whose connections were all checked, over a schema that fits.
pub struct Connected {
    pub pool: PgPool,
    /// The few connections of operators' commands.
    pub operators: PgPool,
    pub session: Session,
    pub place: Place,
}

/// Fails at once if the first connection cannot be made: the pool would try again until its time is up,
/// and tell nothing but that it is.
pub async fn open(options: &PostgresOptions, marks: &Arc<Marks>) -> Result<Connected, StoreError> {
    let place = Place::of(&options.connect);
    let name = session::name();
    let connect = options.connect.clone().application_name(&name);
    // PgBouncer refuses a startup parameter that it does not know, and no column is a float.
    let connect = connect.extra_float_digits(None);
    let recipe = Recipe { options: options.clone(), connect, name };

    let first = tokio::time::timeout(options.acquire_timeout, first_connection(&recipe)).await;
    let (mut connection, session) = first
        .unwrap_or_else(|_| {
            let source = "Postgres does not answer".into();
            Err(StoreError::Unavailable { doing: "connect", source })
        })
        .map_err(|error| place.of_connecting(error))?;
    schema(&mut connection, options).await.map_err(|error| place.of_error(error))?;
    let failed = |error| place.of_connecting(fault("connect", error).into_error());
    connection.close().await.map_err(failed)?;

    let recipe = Arc::new(recipe);
    let most = options.max_connections - OPERATORS;
    let pool = PgPoolOptions::new().max_connections(most);
    let pool = connected(&recipe, session, marks, pool).await.map_err(failed)?;
    // One is there before it is needed: under a flood the server may have none to spare, and connecting
    // takes time.
    let few = PgPoolOptions::new().max_connections(OPERATORS).min_connections(1);
    let operators =
        connected(&recipe, session, marks, few.idle_timeout(None)).await.map_err(failed)?;
    if session == Session::Shared {
        tracing::info!("{place} is reached through a pooler: no statement is prepared");
    }
    Ok(Connected { pool, operators, session, place })
}

async fn connected(
    recipe: &Arc<Recipe>,
    session: Session,
    marks: &Arc<Marks>,
    pool: PgPoolOptions,
) -> Result<PgPool, sqlx::Error> {
    let (checked, connect) = (Arc::clone(recipe), recipe.connect.clone());
    let marks = Arc::clone(marks);
    let pool = pool.acquire_timeout(recipe.options.acquire_timeout);
    let pool = pool.after_connect(move |connection, _| {
        let (recipe, marks) = (Arc::clone(&checked), Arc::clone(&marks));
        Box::pin(async move {
            let found = prepare(connection, &recipe).await?;
            // One that has a session of its own is none the worse for not relying on it.
            if (session, found) == (Session::Own, Session::Shared) {
                return Err(sqlx::Error::Configuration(Box::new(NowShared)));
            }
            read_marks(connection, found, &marks).await
        })
    });
    pool.connect_with(connect).await
}

async fn first_connection(recipe: &Recipe) -> Result<(PgConnection, Session), StoreError> {
    let failed = |error| fault("connect", error).into_error();
    let mut connection = PgConnection::connect_with(&recipe.connect).await.map_err(failed)?;
    let session = prepare(&mut connection, recipe).await.map_err(failed)?;
    Ok((connection, session))
}

async fn prepare(connection: &mut PgConnection, recipe: &Recipe) -> Result<Session, sqlx::Error> {
    let Recipe { options, name, .. } = recipe;
    let seen = session::look(connection, name).await?;
    if seen.in_recovery {
        return Err(sqlx::Error::Configuration(Box::new(Standby)));
    }
    let commits_last = match seen.session {
        Session::Own => seen.synchronous_commit != "off",
        // Each transaction sets it.
        Session::Shared => true,
    };
    if !(seen.fsync == "on" && commits_last || options.allow_losing_commits_in_a_crash) {
        let session::Seen { fsync, synchronous_commit, .. } = seen;
        let not_durable = NotDurable { fsync, synchronous_commit };
        return Err(sqlx::Error::Configuration(Box::new(not_durable)));
    }
    if seen.session == Session::Own {
        session::set_up(connection, options).await?;
    }
    Ok(seen.session)
}

/// A new connection may reach a server that lost commits though it identifies itself as the same one: a
/// snapshot was reverted.
async fn read_marks(
    connection: &mut PgConnection,
    session: Session,
    marks: &Marks,
) -> Result<(), sqlx::Error> {
    let told = marks.acknowledged();
    if told.is_nothing() {
        return Ok(());
    }
    let read = DIALECT.marks.read.bind(OfWriter { writer: marks.writer() });
    let rows = bound(read, session).fetch_all(connection).await?;
    let (_, found) =
        sql::read_marks(&rows).map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    marks.suspect_if_older(&told, &found);
    Ok(())
}

/// Runs the migrations, or checks that they have run. All in one transaction, and under a lock that ends
/// with it: sqlx's own lock belongs to the session, and a pooler would leave it there.
async fn schema(
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<(), StoreError> {
    if !options.migrate {
        return check_schema(connection).await;
    }
    let (mut tries, mut between_tries) = (0, tokio::time::interval(MIGRATION_PAUSE));
    loop {
        tries += 1;
        match migrate(connection, options).await {
            Ok(()) => return Ok(()),
            Err(error) if tries < MIGRATION_TRIES && met_another(&error) => {
                tracing::warn!(%error, "the migration met another transaction and begins anew");
                between_tries.reset();
                between_tries.tick().await;
                // The driver still knows statements by names that the migration has given up.
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
            // At once: dropped, it would idle until the connection is used again.
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}

async fn migrate_in(tx: &mut PgConnection) -> Result<(), MigrateError> {
    // What rewrites a large table takes as long as it takes, and so does whoever comes second. sqlx
    // prepares what it asks by names, which another client may have left on the session. That a table is
    // there already is no news.
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

/// Processes of an earlier version may still run. What is to be altered is locked first, in the order of
/// claims and sends, so that none of them and this wait for each other in a circle.
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
    // Whoever reads or writes queues behind it: not for as long as somebody's dump may take. (Of each table.)
    let lock = "set local lock_timeout = '3s';
                lock table instance, withdraws, payments, sends, events, nodes
                  in access exclusive mode;
                set local lock_timeout = 0";
    sqlx::raw_sql(lock).execute(connection).await.map(drop)
}

/// A deadlock with another transaction, or a lock that was not given.
fn met_another(error: &MigrateError) -> bool {
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
            source: "its schema is not this program's; run `withdrawd migrate`".into(),
        }),
        Err(error) => Err(fault("read the schema's version", error).into_error()),
    }
}
