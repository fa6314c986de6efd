//! The file: one process has it, and each begins anew with what it finds there.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::MetadataExt,
    path::Path,
};

use sqlx::SqlitePool;

use super::fault::fault;
use crate::{
    domain::Timestamp,
    ports::{BoxError, StoreError},
};

/// One process at a time: two would not see each other's leases void.
pub fn lock(data_dir: &Path) -> Result<File, StoreError> {
    let doing = "lock the data directory";
    let failed = |source: BoxError| StoreError::Failed { doing, source };
    let path = data_dir.join("withdrawd.lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| failed(error.into()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(failed(
            format!(
                "another withdrawd uses {}; stop it, or choose another --data-dir",
                data_dir.display()
            )
            .into(),
        )),
        Err(TryLockError::Error(error)) => Err(failed(error.into())),
    }
}

/// No other process can hold a lease: what is open is due now.
pub async fn void_leases(writer: &SqlitePool, now: Timestamp) -> Result<(), StoreError> {
    let text = "-- payment.void_leases
         update payments set due_at_ms = $1
          where state in ('RESERVED', 'SENDING', 'IN_FLIGHT') and due_at_ms > $1";
    let done = sqlx::query(text).bind(now.as_ms()).execute(writer).await;
    done.map(drop).map_err(|error| fault("void old leases", error).into_error())
}

/// Begins a new life of the database: the file may not be the one that the last process had, so it must be
/// verified again. The marks of that process are deleted; nobody remembers them.
pub async fn begin_life(writer: &SqlitePool) -> Result<(), StoreError> {
    for text in [
        "-- instance.begin_life\nupdate instance set life = random()",
        "-- writer.forget_all\ndelete from writers",
    ] {
        let done = sqlx::query(text).execute(writer).await;
        done.map_err(|error| fault("begin a life of the database", error).into_error())?;
    }
    Ok(())
}

/// The database's files, by device and number: the main one, the WAL, and the WAL's index.
pub type Identity = [(u64, u64); 3];

/// Which files have these names now. As long as a connection is open SQLite neither removes nor renames one
/// of them: what is written to one that lost its name is gone with the process.
pub fn identity(path: &Path) -> Result<Identity, StoreError> {
    let mut found = Identity::default();
    for (suffix, found) in ["", "-wal", "-shm"].into_iter().zip(&mut found) {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let metadata = std::fs::metadata(&name).map_err(|error| StoreError::Unavailable {
            doing: "find the database's files",
            source: format!("{}: {error}; restart the service", name.display()).into(),
        })?;
        *found = (metadata.dev(), metadata.ino());
    }
    Ok(found)
}
