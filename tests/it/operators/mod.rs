//! What operators see and decide, and when nothing is accepted.

pub mod floods;
pub mod payment_lists;
pub mod reconciling;
pub mod refusals;
pub mod releases;
pub mod resolving;
pub mod resolving_races;
