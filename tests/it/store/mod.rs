//! What the databases owe the rest, and what happens where they do not.

pub mod contract;
pub mod pooled;
pub mod read_only;
pub mod timeouts;
pub mod upgrades;
