//! The store itself: its clock, its health, its keys.

use std::{cmp::Ordering, time::Duration};

use async_trait::async_trait;

use super::{
    SqlStore, int, reader as rows, retry::retrying, statements::upkeep as statements, text,
};
use crate::{
    domain::{KeyId, Timestamp},
    ports::{Connections, Schema, StoreError, Upkeep, WriteProof},
    store::driver::{Driver, Fault, Tx},
};

/// How long the end of a process waits for a database that may be gone.
const GOODBYE: Duration = Duration::from_millis(500);

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

    async fn deriving_key(&self) -> Result<Option<KeyId>, StoreError> {
        let found = self.driver().fetch(statements::DERIVING_KEY, Vec::new()).await?;
        let key = found.first().map(|row| rows::one_text(row, "key_id").map(KeyId::from_text));
        key.transpose()
    }

    async fn derive_from(
        &self,
        key: &KeyId,
        before: Option<&KeyId>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        retrying(|| self.derive_from_once(key, before, now)).await
    }

    async fn prove_write(&self, now: Timestamp) -> Result<WriteProof, StoreError> {
        let proof = vec![int(now.as_ms())];
        let written = retrying(|| self.write(statements::PROVE_WRITE, proof.clone())).await;
        let proof = match written {
            Ok(_) => WriteProof::Written,
            // Whatever else it says: it answered, and did not write.
            Err(error @ StoreError::Failed { .. }) => WriteProof::Refused(error),
            Err(error) if self.driver().refuses_writes(&error) => WriteProof::Refused(error),
            Err(error) => return Err(error),
        };
        self.memory.set_writable(matches!(proof, WriteProof::Written));
        Ok(proof)
    }

    fn connections(&self) -> Connections {
        self.driver().connections()
    }

    async fn close(&self) {
        // What this process was told ends with it: nobody has to wait for it on another server.
        let forgotten = self.write(statements::FORGET_WRITER, self.writer_id());
        if !tokio::time::timeout(GOODBYE, forgotten).await.is_ok_and(|done| done.is_ok()) {
            tracing::debug!("this process stays known to the database");
        }
        self.driver().close().await;
    }
}

impl<D: Driver> SqlStore<D> {
    async fn derive_from_once(
        &self,
        key: &KeyId,
        before: Option<&KeyId>,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let mut tx = self.driver().begin().await?;
        let seen = vec![text(key.as_str()), int(now.as_ms())];
        tx.execute(statements::SEE_KEY, seen).await?;
        let next = vec![text(key.as_str()), text(before.map_or("", KeyId::as_str))];
        if tx.execute(statements::DERIVE_FROM, next).await? == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}
