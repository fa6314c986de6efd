//! Classifies SQLite's errors.

use std::str::FromStr;

use crate::{
    ports::{BoxError, StoreError},
    store::driver::Fault,
};

/// `SQLITE_BUSY` and `SQLITE_LOCKED`, with their extended codes.
pub fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(5 | 6))
}

/// SQLite's primary result code, without the extended bits.
pub fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code)?;
    i32::from_str(&code).ok().map(|code| code & 0xff)
}

/// Classifies an error: contended (retry), temporarily unavailable, or failed.
pub fn fault(doing: &'static str, error: sqlx::Error) -> Fault {
    let busy = is_busy(&error);
    let unavailable = matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed);
    let source = BoxError::from(error);
    if busy {
        Fault::Contended(StoreError::Unavailable { doing, source })
    } else if unavailable {
        Fault::Final(StoreError::Unavailable { doing, source })
    } else {
        Fault::Final(StoreError::Failed { doing, source })
    }
}
