//! The database file: one process owns it at a time, and each new process starts a new `life` of it.

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

/// Admits one process at a time, since each one voids all leases at its start.
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

/// Makes every open attempt due now. Old leases are void, since only one process at a time uses the file.
pub async fn void_leases(writer: &SqlitePool, now: Timestamp) -> Result<(), StoreError> {
    let text = "-- payment.void_leases
         update payments set due_at_ms = $1
          where state in ('RESERVED', 'SENDING', 'IN_FLIGHT') and due_at_ms > $1";
    let done = sqlx::query(text).bind(now.as_ms()).execute(writer).await;
    done.map(drop).map_err(|error| fault("release old leases", error).into_error())
}

/// Gives the database a new random `life`, which stands for a server's incarnation: the file must be verified
/// again, since it may not be the one that the previous process used. Deletes that process's marks, since no
/// process remembers their values.
pub async fn begin_life(writer: &SqlitePool) -> Result<(), StoreError> {
    for text in [
        "-- instance.begin_life\nupdate instance set life = random()",
        "-- writer.forget_all\ndelete from writers",
    ] {
        let done = sqlx::query(text).execute(writer).await;
        done.map_err(|error| fault("record that the database was opened", error).into_error())?;
    }
    Ok(())
}

/// The device and inode numbers of the database's files: the main file, the WAL, and the WAL's index.
pub type Identity = [(u64, u64); 3];

/// Reads which files have these names now. While a connection is open, SQLite neither removes nor renames
/// them, so a change means that someone replaced a file. Writes to the old one end with the process.
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
