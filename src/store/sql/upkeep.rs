//! The store itself: its clock, its health, its keys.

use std::cmp::Ordering;

use async_trait::async_trait;

use super::{SqlStore, rows, statements};
use crate::{
    domain::{KeyId, Timestamp},
    ports::{Connections, Schema, StoreError, Upkeep},
    store::driver::Driver,
};

#[async_trait]
impl<D: Driver> Upkeep for SqlStore<D> {
    async fn database_now(&self) -> Result<Timestamp, StoreError> {
        self.driver().now().await
    }

    async fn ping(&self) -> Result<Schema, StoreError> {
        let rows = self.driver().fetch(statements::SCHEMA, Vec::new()).await?;
        let found = rows::schema(rows.first())?;
        Ok(match found.cmp(&self.driver().schema()) {
            Ordering::Less => Schema::Older,
            Ordering::Equal => Schema::Fits,
            Ordering::Greater => Schema::Newer,
        })
    }

    async fn keys_in_use(&self) -> Result<Vec<KeyId>, StoreError> {
        let rows = self.driver().fetch(statements::KEYS_IN_USE, Vec::new()).await?;
        let ids = rows.iter().map(|row| rows::one_text(row, "key_id").map(KeyId::from_text));
        ids.collect()
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.driver().fetch(statements::ANY_WITHDRAW, Vec::new()).await?.is_empty())
    }

    fn connections(&self) -> Connections {
        self.driver().connections()
    }

    async fn close(&self) {
        self.driver().close().await;
    }
}
