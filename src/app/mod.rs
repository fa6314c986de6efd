//! Wiring: the only module that knows every other one. Start, and graceful shutdown.

mod error;
mod jobs;
mod keys;
mod listeners;
mod parts;
mod readiness;
mod running;
mod wiring;

pub use error::StartError;
pub use listeners::Listening;
pub use parts::{Parts, migrate, open};
pub use running::{Running, start};
