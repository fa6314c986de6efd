//! What operators see and decide, and when nothing is accepted.

pub mod floods;
mod instance;
pub mod limits;
pub mod node_health;
pub mod pauses;
pub mod payment_lists;
pub mod reconciling;
pub mod releases;
pub mod resolving;
pub mod resolving_races;
