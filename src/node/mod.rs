//! Lightning nodes, one backend each, behind [`crate::ports::LightningNode`].

pub mod lnd;
mod observed;
pub mod simulated;

pub use observed::ObservedNode;
