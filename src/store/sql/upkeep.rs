//! The store's clock, health and keys.

use std::{cmp::Ordering, time::Duration};

use async_trait::async_trait;

use super::{
    Database, SqlStore,
    marks::LEAVE,
    reader::{Reader, only},
    retry::retrying,
};
use crate::{
    domain::{KeyId, Timestamp},
    ports::{Connections, Schema, StoreError, Upkeep, WriteProof},
    store::{
        driver::{Cells, Fault, Tx},
        statement::Statement,
    },
};

/// How long shutdown waits for a database that may be unreachable.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

params! {
    struct RecordKey<'a> {
        key_id: &'a KeyId,
        first_seen_ms: Timestamp,
    }

    struct DeriveFrom<'a> {
        key_id: &'a KeyId,
        /// The expected current key; empty for none.
        before: &'a str,
    }

    struct ProveWrite {
        proven_ms: Timestamp,
    }
}

const SCHEMA: Statement<()> = statement!(
    "read the schema's version",
    "-- schema\nselect max(version) as version from _sqlx_migrations where success"
);

/// Skips from key to key through the index instead of reading every request.
const KEYS_IN_USE: Statement<()> = statement!(
    "read which keys are in use",
    "-- withdraw.keys_in_use
     with recursive used (key_id) as (
         select min(key_id) from withdraws where status = 'ACTIVE'
         union all
         select (select min(w.key_id) from withdraws w
                  where w.status = 'ACTIVE' and w.key_id > used.key_id)
           from used where used.key_id is not null
     )
     select key_id from used where key_id is not null"
);

const ANY_WITHDRAW: Statement<()> = statement!(
    "look for any withdraw request",
    "-- withdraw.any\nselect id from withdraws limit 1"
);

const DERIVING_KEY: Statement<()> = statement!(
    "read which key new requests derive from",
    "-- key.deriving\nselect key_id from deriving where key_id is not null"
);

const RECORD_KEY: Statement<RecordKey> = statement!(
    RecordKey,
    "record a master key",
    concat!(
        "-- key.see\n",
        insert_into!("master_keys", key_id, first_seen_ms),
        " on conflict (key_id) do nothing"
    )
);

/// Changes the key only if the current one is the key that the caller expects and holds.
const DERIVE_FROM: Statement<DeriveFrom> = statement!(
    DeriveFrom,
    "record the key that new requests derive from",
    "-- key.derive_from
     update deriving set key_id = :key_id where coalesce(key_id, '') = :before"
);

const PROVE_WRITE: Statement<ProveWrite> = statement!(
    ProveWrite,
    "prove that the database takes writes",
    "-- write.prove\nupdate write_proof set proven_ms = :proven_ms"
);

#[async_trait]
impl<D: Database> Upkeep for SqlStore<D> {
    async fn database_now(&self) -> Result<Timestamp, StoreError> {
        self.driver().now().await
    }

    async fn ping(&self) -> Result<Schema, StoreError> {
        let rows = self.driver().fetch(SCHEMA.bind(())).await?;
        let found = only(&rows)?.opt_int("version")?.unwrap_or(0);
        Ok(match found.cmp(&self.driver().schema()) {
            Ordering::Less => Schema::Older,
            Ordering::Equal => Schema::Fits,
            Ordering::Greater => Schema::Newer,
        })
    }

    async fn keys_in_use(&self) -> Result<Vec<KeyId>, StoreError> {
        let rows = self.driver().fetch(KEYS_IN_USE.bind(())).await?;
        rows.iter().map(key_id).collect()
    }

    async fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.driver().fetch(ANY_WITHDRAW.bind(())).await?.is_empty())
    }

    async fn deriving_key(&self) -> Result<Option<KeyId>, StoreError> {
        let found = self.driver().fetch(DERIVING_KEY.bind(())).await?;
        found.first().map(key_id).transpose()
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
        let proof = || PROVE_WRITE.bind(ProveWrite { proven_ms: now });
        let written = retrying(|| self.write(proof())).await;
        let proof = match written {
            Ok(_) => WriteProof::Written,
            // Whatever the reason: the database answered, and did not write.
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
        // From here on this process serves nobody, so after a failover the others need not wait for it to
        // check its marks.
        let left = self.write(LEAVE.bind(self.own_writer()));
        if !tokio::time::timeout(LEAVE_TIMEOUT, left).await.is_ok_and(|done| done.is_ok()) {
            tracing::debug!("could not remove this process from the table `writers`");
        }
        self.driver().close().await;
    }
}

impl<D: Database> SqlStore<D> {
    async fn derive_from_once(
        &self,
        key: &KeyId,
        before: Option<&KeyId>,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let mut tx = self.driver().begin().await?;
        tx.execute(RECORD_KEY.bind(RecordKey { key_id: key, first_seen_ms: now })).await?;
        let next = DeriveFrom { key_id: key, before: before.map_or("", KeyId::as_str) };
        if tx.execute(DERIVE_FROM.bind(next)).await? == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }
}

fn key_id(row: &impl Cells) -> Result<KeyId, StoreError> {
    Reader(row).text("key_id").map(KeyId::from_text)
}
