//! Rows become values of the domain at the edge, once; inside, types hold.

use std::str::FromStr;

use uuid::Uuid;

use crate::{
    domain::{Amount, Msat, Sat, Timestamp, TraceContext},
    ports::{BoxError, StoreError},
    store::driver::Cells,
};

/// Why a row makes no sense: it was written by other hands, or by a newer version.
#[derive(Debug, thiserror::Error)]
#[error("column {column} holds what no version of this program writes")]
struct BadCell {
    column: &'static str,
}

pub type Parsed<T> = Result<T, StoreError>;

/// Reads cells and turns what is wrong with them into one kind of error.
pub struct Reader<'r, R>(pub &'r R);

fn bad(source: impl Into<BoxError>) -> StoreError {
    StoreError::Failed { doing: "read a row", source: source.into() }
}

/// A cell that holds what no version of this program writes.
pub fn bad_cell(column: &'static str) -> StoreError {
    bad(BadCell { column })
}

/// What a cell that is never empty holds.
pub fn known<T>(column: &'static str, value: Option<T>) -> Parsed<T> {
    value.ok_or_else(|| bad_cell(column))
}

/// The row of a statement that always has one.
pub fn only<R>(rows: &[R]) -> Parsed<Reader<'_, R>> {
    rows.first().map(Reader).ok_or_else(|| bad("a row is missing"))
}

impl<R: Cells> Reader<'_, R> {
    pub fn opt_int(&self, column: &'static str) -> Parsed<Option<i64>> {
        self.0.int(column).map_err(bad)
    }

    pub fn int(&self, column: &'static str) -> Parsed<i64> {
        known(column, self.opt_int(column)?)
    }

    pub fn bool(&self, column: &'static str) -> Parsed<bool> {
        self.0.bool(column).map_err(bad)
    }

    pub fn opt_text(&self, column: &'static str) -> Parsed<Option<String>> {
        self.0.text(column).map_err(bad)
    }

    pub fn text(&self, column: &'static str) -> Parsed<String> {
        known(column, self.opt_text(column)?)
    }

    pub fn opt_uuid(&self, column: &'static str) -> Parsed<Option<Uuid>> {
        self.0.uuid(column).map_err(bad)
    }

    pub fn uuid(&self, column: &'static str) -> Parsed<Uuid> {
        known(column, self.opt_uuid(column)?)
    }

    pub fn opt_bytes32(&self, column: &'static str) -> Parsed<Option<[u8; 32]>> {
        match self.0.bytes(column).map_err(bad)? {
            None => Ok(None),
            Some(bytes) => known(column, bytes.try_into().ok()).map(Some),
        }
    }

    pub fn bytes32(&self, column: &'static str) -> Parsed<[u8; 32]> {
        known(column, self.opt_bytes32(column)?)
    }

    pub fn amount(&self, column: &'static str) -> Parsed<Amount> {
        self.0.decimal(column).map(Amount::from_decimal).map_err(bad)
    }

    pub fn sat(&self, column: &'static str) -> Parsed<Sat> {
        known(column, Sat::new(self.int(column)?))
    }

    pub fn msat(&self, column: &'static str) -> Parsed<Msat> {
        known(column, Msat::new(self.int(column)?))
    }

    pub fn opt_time(&self, column: &'static str) -> Parsed<Option<Timestamp>> {
        Ok(self.opt_int(column)?.map(Timestamp::from_ms))
    }

    pub fn time(&self, column: &'static str) -> Parsed<Timestamp> {
        self.int(column).map(Timestamp::from_ms)
    }

    /// A value by its name.
    pub fn named<T: FromStr>(&self, column: &'static str) -> Parsed<T> {
        known(column, self.text(column)?.parse().ok())
    }

    pub fn opt_named<T: FromStr>(&self, column: &'static str) -> Parsed<Option<T>> {
        let name = self.opt_text(column)?;
        name.map(|name| known(column, name.parse().ok())).transpose()
    }

    /// The span that a row goes back to. It decides nothing: one that cannot be read is none.
    pub fn trace_parent(&self, column: &'static str) -> Parsed<Option<TraceContext>> {
        Ok(self.opt_text(column)?.as_deref().and_then(TraceContext::parse))
    }
}
