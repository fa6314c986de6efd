//! Writers' marks, and the server that answers.

use super::{Parsed, Reader, known};
use crate::{store::driver::Cells, store::sql::marks::Found};

/// The server that moved a mark.
pub fn server<R: Cells>(row: &R) -> Parsed<i64> {
    Reader(row).int("server")
}

/// The server that answers, and a writer's marks on it: a writer without one has one row all the same.
pub fn found<R: Cells>(rows: &[R]) -> Parsed<(i64, Found)> {
    let server = server(known("server", rows.first())?)?;
    let mut found = Found::new();
    for row in rows.iter().map(Reader) {
        if let Some(lane) = row.opt_int("lane")? {
            found.insert(lane, row.int("value")?);
        }
    }
    Ok((server, found))
}

/// How many writers were counted.
pub fn writers<R: Cells>(row: Option<&R>) -> Parsed<i64> {
    Reader(known("writers", row)?).int("writers")
}
