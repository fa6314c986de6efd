//! `[store]`: which database, and how it is used.

use std::{path::Path, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{check::Check, database_url};
use crate::{
    domain::Millis,
    store::{PostgresOptions, SqliteOptions},
};

/// SQLite has one writer; this is how long a reader or a second command waits for it.
const SQLITE_BUSY: Duration = Duration::from_secs(10);
const SQLITE_READERS: u32 = 4;

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the example file documents every key")]
pub struct Store {
    pub database_url: SecretString,
    pub migrate: bool,
    pub max_connections: i64,
    pub acquire_timeout_ms: i64,
    pub statement_timeout_ms: i64,
    pub allow_losing_commits_in_a_crash: bool,
}

/// The database to open.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// Postgres.
    Postgres(Box<PostgresOptions>),
    /// SQLite in the data directory.
    Sqlite(SqliteOptions),
}

impl StoreSettings {
    /// The same, with or without a migration of its schema at the start.
    #[must_use]
    pub fn migrating(mut self, migrate: bool) -> Self {
        match &mut self {
            Self::Postgres(options) => options.migrate = migrate,
            Self::Sqlite(options) => options.migrate = migrate,
        }
        self
    }

    /// Its kind, as metrics name it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Sqlite(_) => "sqlite",
        }
    }

    /// Where it is, for messages, without its password.
    pub fn place(&self) -> String {
        match self {
            Self::Postgres(options) => options.place(),
            Self::Sqlite(options) => format!("SQLite in {}", options.data_dir.display()),
        }
    }
}

/// How long the database may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreTimeouts {
    pub acquire: Millis,
    pub statement: Millis,
}

impl Store {
    pub(super) fn has_url(&self) -> bool {
        !self.database_url.expose_secret().is_empty()
    }

    pub(super) fn check_timeouts(&self, check: &mut Check) -> StoreTimeouts {
        StoreTimeouts {
            acquire: check.ms("store.acquire_timeout_ms", self.acquire_timeout_ms),
            // Longer than an operator's command waits for its lock.
            statement: check.ms_of_at_least(
                "store.statement_timeout_ms",
                self.statement_timeout_ms,
                1000,
            ),
        }
    }

    pub(super) fn check(&self, data_dir: &Path, check: &mut Check) -> StoreSettings {
        let timeouts = self.check_timeouts(check);
        let max_connections =
            check.number("store.max_connections", self.max_connections, &(4..=1000));
        let sqlite = SqliteOptions {
            data_dir: data_dir.to_owned(),
            max_readers: SQLITE_READERS,
            busy_timeout: SQLITE_BUSY,
            migrate: self.migrate,
        };
        if !self.has_url() {
            return StoreSettings::Sqlite(sqlite);
        }
        let connect = database_url::parse(self.database_url.expose_secret());
        match check.keep("store.database_url", connect) {
            Some(connect) => StoreSettings::Postgres(Box::new(PostgresOptions {
                connect,
                max_connections,
                acquire_timeout: timeouts.acquire.as_duration(),
                statement_timeout: timeouts.statement.as_duration(),
                allow_losing_commits_in_a_crash: self.allow_losing_commits_in_a_crash,
                migrate: self.migrate,
            })),
            None => StoreSettings::Sqlite(sqlite),
        }
    }

    /// Settings that are not supported, to be logged at the start.
    pub(super) fn warnings(&self) -> Vec<&'static str> {
        let binding = database_url::wants_channel_binding(self.database_url.expose_secret());
        let warning = "store.database_url asks for channel_binding=require, which is not supported: use \
                       sslmode=verify-full with the server's CA, so that nobody can impersonate the server";
        binding.then_some(warning).into_iter().collect()
    }
}
