//! The database itself: its schema, its clock, its connections, and the keys that its rows name.

use async_trait::async_trait;

use super::StoreError;
use crate::domain::{KeyId, Timestamp};

/// A database's schema, compared with this program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// The same.
    Fits,
    /// It lacks migrations of this program.
    Older,
    /// It has migrations that this program does not know.
    Newer,
}

/// A process's connections to its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Open and idle.
    pub idle: u32,
    /// In use.
    pub used: u32,
    /// The maximum.
    pub max: u32,
}

impl Connections {
    /// The connections of a pool that has opened `open`.
    pub fn of(open: u32, idle: usize, max: u32) -> Self {
        let idle = u32::try_from(idle).unwrap_or(open).min(open);
        Self { idle, used: open - idle, max }
    }

    /// The sum of two pools.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            idle: self.idle + other.idle,
            used: self.used + other.used,
            max: self.max + other.max,
        }
    }
}

/// The outcome of a test write.
#[derive(Debug)]
pub enum WriteProof {
    /// It is durable.
    Written,
    /// The database answers but takes no writes: a standby, a full or read-only disk, or an operator's
    /// setting.
    Refused(StoreError),
}

/// The database itself.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// The database's own clock.
    async fn database_now(&self) -> Result<Timestamp, StoreError>;

    /// Whether the database answers, and which schema it has now: another program may have migrated it.
    async fn ping(&self) -> Result<Schema, StoreError>;

    /// The keys that the secrets of ACTIVE requests derive from.
    async fn keys_in_use(&self) -> Result<Vec<KeyId>, StoreError>;

    /// Whether no request was ever created.
    async fn is_empty(&self) -> Result<bool, StoreError>;

    /// The key that new secrets derive from, as recorded by the process that started last.
    async fn deriving_key(&self) -> Result<Option<KeyId>, StoreError>;

    /// Records that new secrets derive from `key`. Returns false and writes nothing if the recorded key
    /// is no longer `before`: another process has changed it.
    async fn derive_from(
        &self,
        key: &KeyId,
        before: Option<&KeyId>,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Makes a small durable test write, whose outcome [`InstanceStatus::writable`] reports from then on.
    /// The caller repeats it every few seconds, so that no request has to. An error means that the database
    /// did not answer; the last outcome stays.
    ///
    /// [`InstanceStatus::writable`]: crate::domain::InstanceStatus::writable
    async fn prove_write(&self, now: Timestamp) -> Result<WriteProof, StoreError>;

    /// The current connections. Makes no query.
    fn connections(&self) -> Connections;

    /// Closes all connections.
    async fn close(&self);
}
