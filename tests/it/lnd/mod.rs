//! The lnd backend: against a scripted lnd, a hostile one, and real ones.

pub mod backend;
pub mod credentials;
pub mod hostile;
pub mod latency;
pub mod listing;
pub mod outages;
pub mod real_network;
