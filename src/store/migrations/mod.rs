//! The migrations of both databases, compiled into the binary.
//!
//! They are listed by hand. The macro `sqlx::migrate!` would run inside the compiler, which would have to
//! build sqlx, SQLite and TLS a second time for it. A test compares the list with what sqlx reads from the
//! folders.

use std::sync::LazyLock;

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

/// The names and texts of migration files. A macro, since `include_str!` takes only literals.
macro_rules! files {
    ($folder:literal: $($name:literal)+) => {
        &[$(($name, include_str!(concat!($folder, "/", $name, ".sql")))),+]
    };
}

pub static POSTGRES: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(files!("postgres":
        "0001_withdraws_payments_events"
        "0002_trace_parents"
        "0003_node_memory"
        "0004_write_witnesses"
        "0005_tallies"
        "0006_writers_marks"
        "0007_master_keys_and_writes"
        "0008_node_trouble"
    ))
});

pub static SQLITE: LazyLock<Migrator> = LazyLock::new(|| {
    migrator(files!("sqlite":
        "0001_withdraws_payments_events"
        "0002_trace_parents"
        "0003_node_memory"
        "0004_write_witnesses"
        "0005_tallies"
        "0006_writers_marks"
        "0007_master_keys_and_writes"
        "0008_node_trouble"
    ))
});

/// Versions are positions in the list, from 1; the files' names repeat them.
fn migrator(files: &[(&'static str, &'static str)]) -> Migrator {
    let migrations = (1..).zip(files).map(|(version, (name, sql))| {
        let description = name.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let description = description.trim_start_matches('_').replace('_', " ");
        let sql = sql.into_sql_str();
        Migration::new(version, description.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Every field of every migration, in order.
    fn described(migrator: &Migrator) -> Vec<String> {
        let describe = |migration: &Migration| {
            let Migration { version, description, migration_type, sql, checksum, no_tx } =
                migration;
            let sql = sql.as_str();
            format!("{version} {description} {migration_type:?} {no_tx} {checksum:?} {sql}")
        };
        migrator.iter().map(describe).collect()
    }

    #[tokio::test]
    async fn they_are_what_sqlx_reads_from_the_folders() {
        let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
        for (folder, ours) in [("postgres", &POSTGRES), ("sqlite", &SQLITE)] {
            let theirs = Migrator::new(folders.join(folder)).await.unwrap();
            assert_eq!(described(ours), described(&theirs), "{folder}");
        }
    }
}
