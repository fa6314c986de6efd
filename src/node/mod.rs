//! Lightning nodes, one backend each, behind [`crate::ports::LightningNode`].

pub mod lnd;
pub mod simulated;
