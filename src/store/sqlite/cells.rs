//! Reads the cells of a row.

use std::str::FromStr;

use rust_decimal::Decimal;
use sqlx::{Row, sqlite::SqliteRow};
use uuid::Uuid;

use crate::store::driver::Cells;

impl Cells for SqliteRow {
    fn int(&self, column: &str) -> Result<Option<i64>, sqlx::Error> {
        self.try_get(column)
    }

    fn bool(&self, column: &str) -> Result<bool, sqlx::Error> {
        self.try_get::<i64, _>(column).map(|value| value != 0)
    }

    fn text(&self, column: &str) -> Result<Option<String>, sqlx::Error> {
        self.try_get(column)
    }

    fn bytes(&self, column: &str) -> Result<Option<Vec<u8>>, sqlx::Error> {
        self.try_get(column)
    }

    fn uuid(&self, column: &str) -> Result<Option<Uuid>, sqlx::Error> {
        self.try_get(column)
    }

    fn decimal(&self, column: &str) -> Result<Decimal, sqlx::Error> {
        let text: String = self.try_get(column)?;
        Decimal::from_str(&text).map_err(|error| sqlx::Error::ColumnDecode {
            index: column.to_owned(),
            source: Box::new(error),
        })
    }
}
