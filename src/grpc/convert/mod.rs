//! Wire messages ↔ domain: read once, here. A file per service.

mod actor;
pub mod operations;
pub mod payments;
mod times;
pub mod withdraws;

pub use actor::actor;
