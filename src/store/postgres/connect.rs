//! Connecting to Postgres: every new connection is checked for durability before its first use.

use std::sync::Arc;

use sqlx::{Connection, PgConnection, PgPool, Row, migrate::Migrator, postgres::PgPoolOptions};

use super::{DIALECT, PostgresOptions, durability, fault};
use crate::{ports::StoreError, store::sql::Marks};

pub static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations/postgres");

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

/// A pool whose connections were all checked. Fails at once if the first one cannot be made.
pub async fn pool(options: &PostgresOptions, marks: Arc<Marks>) -> Result<PgPool, StoreError> {
    let settings = Arc::new(options.clone());
    let first = tokio::time::timeout(options.acquire_timeout, first_connection(options)).await;
    first.map_err(|_| StoreError::Unavailable {
        doing: "connect",
        source: "Postgres does not answer".into(),
    })??;
    let pool = PgPoolOptions::new()
        .max_connections(options.max_connections)
        .acquire_timeout(options.acquire_timeout)
        .after_connect(move |connection, _| {
            let (settings, marks) = (Arc::clone(&settings), Arc::clone(&marks));
            Box::pin(async move {
                prepare(connection, &settings).await?;
                read_marks(connection, &marks).await
            })
        })
        .connect_with(options.connect.clone().application_name("withdrawd"))
        .await;
    pool.map_err(|error| fault("connect", error).into_error())
}

/// The pool would try again until its time is up, and tell nothing but that it is.
async fn first_connection(options: &PostgresOptions) -> Result<(), StoreError> {
    let failed = |error| fault("connect", error).into_error();
    let mut connection = PgConnection::connect_with(&options.connect).await.map_err(failed)?;
    prepare(&mut connection, options).await.map_err(failed)?;
    connection.close().await.map_err(failed)
}

async fn prepare(
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<(), sqlx::Error> {
    let timeout_ms = options.statement_timeout.as_millis().to_string();
    // A transaction that nobody ends would hold its rows for ever.
    let settings = "-- settings
         select set_config('statement_timeout', $1, false),
                set_config('idle_in_transaction_session_timeout', $1, false),
                set_config('default_transaction_isolation', 'read committed', false)";
    sqlx::query(settings).bind(timeout_ms).execute(&mut *connection).await?;

    let (fsync, synchronous_commit) = durability(connection).await?;
    let durable = fsync == "on" && synchronous_commit != "off";
    if durable || options.allow_losing_commits_in_a_crash {
        return Ok(());
    }
    Err(sqlx::Error::Configuration(Box::new(NotDurable { fsync, synchronous_commit })))
}

/// What answers a new connection may have lost commits, though it says that it is the server of before.
async fn read_marks(connection: &mut PgConnection, marks: &Marks) -> Result<(), sqlx::Error> {
    let told = marks.acknowledged();
    if told.is_nothing() {
        return Ok(());
    }
    let rows = sqlx::query(DIALECT.marks.read.text).bind(marks.writer()).fetch_all(connection);
    let mut found = Vec::new();
    for row in rows.await? {
        if let Some(lane) = row.try_get::<Option<i64>, _>("lane")? {
            found.push((lane, row.try_get("value")?));
        }
    }
    marks.doubt_if_older(&told, &found.into_iter().collect());
    Ok(())
}

/// Runs the migrations, or checks that they have run.
pub async fn schema(pool: &PgPool, migrate: bool) -> Result<(), StoreError> {
    if migrate {
        let done = MIGRATIONS.run(pool).await;
        return done.map_err(|error| StoreError::Failed {
            doing: "migrate the database",
            source: error.into(),
        });
    }
    let newest: Result<Option<i64>, sqlx::Error> =
        sqlx::query_scalar("-- schema\nselect max(version) from _sqlx_migrations where success")
            .fetch_one(pool)
            .await;
    let expected = MIGRATIONS.iter().map(|migration| migration.version).max();
    match newest {
        Ok(found) if found == expected => Ok(()),
        Ok(_) | Err(sqlx::Error::Database(_)) => Err(StoreError::Failed {
            doing: "use the database",
            source: "its schema is not this program's; run `withdrawd migrate`".into(),
        }),
        Err(error) => Err(fault("read the schema's version", error).into_error()),
    }
}
