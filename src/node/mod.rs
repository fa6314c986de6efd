//! Backends for [`crate::ports::LightningNode`], and a tracing decorator over all.

pub mod lnd;
mod observed;
pub mod simulated;

pub use observed::ObservedNode;
