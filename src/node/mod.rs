//! Lightning nodes, one backend each.

pub mod simulated;

