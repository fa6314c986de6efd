//! What metrics say of the process.

use crate::domain::{Sat, Timestamp};

/// What does not change while the process lives.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// Which database.
    pub store: &'static str,
    /// Which backend pays.
    pub node: &'static str,
    /// Which network.
    pub network: &'static str,
    /// When the process started.
    pub started: Timestamp,
    /// The limit of 24 hours, if there is one.
    pub rolling_24h: Option<Sat>,
}
