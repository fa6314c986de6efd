//! The store itself: whether it can be worked with, its connections, and the keys that it knows of.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{KeyId, Timestamp};

/// A database's schema, as seen from this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// It is this program's.
    Fits,
    /// It waits for this program's migrations.
    Older,
    /// It has migrations that this program does not know.
    Newer,
}

/// A process's connections to its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Open, and free.
    pub idle: u32,
    /// In use.
    pub used: u32,
    /// The most that there can be.
    pub max: u32,
}

impl Connections {
    /// Of a pool that has opened `open`.
    pub fn of(open: u32, idle: usize, max: u32) -> Self {
        let idle = u32::try_from(idle).unwrap_or(open).min(open);
        Self { idle, used: open - idle, max }
    }

    /// Both pools'.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            idle: self.idle + other.idle,
            used: self.used + other.used,
            max: self.max + other.max,
        }
    }
}

/// What became of a write that was made to see whether it is taken.
#[derive(Debug)]
pub enum WriteProof {
    /// It is durable.
    Written,
    /// The database answers and takes no writes: a standby, a full or read-only disk, an operator's
    /// setting.
    Refused(StoreError),
}

/// The store itself.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// The database's own clock.
    async fn database_now(&self) -> Result<Timestamp, StoreError>;

    /// Whether the database answers, and whose schema it has by now: another program may migrate it.
    async fn ping(&self) -> Result<Schema, StoreError>;

    /// The keys that show the secrets of ACTIVE requests.
    async fn keys_in_use(&self) -> Result<Vec<KeyId>, StoreError>;

    /// Whether no request was ever made.
    async fn is_empty(&self) -> Result<bool, StoreError>;

    /// The key that new requests derive from, as the last process that started has recorded it.
    async fn deriving_key(&self) -> Result<Option<KeyId>, StoreError>;

    /// Records that new requests derive from `key`. False, and nothing is written, if they do not derive
    /// from `before` any more: another process was faster.
    async fn derive_from(
        &self,
        key: &KeyId,
        before: Option<&KeyId>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Writes a few bytes, durably. What becomes of them stands in every [`Standing`](crate::domain::Standing) from here on: the
    /// caller asks every few seconds, and no request pays for it. An error says that the database did
    /// not answer, and changes nothing.
    async fn prove_write(&self, now: Timestamp) -> Result<WriteProof, StoreError>;

    /// How its connections stand. Asks nobody.
    fn connections(&self) -> Connections;

    /// Ends all connections.
    async fn close(&self);
}
