//! Wiring: the only room that knows every other one. Start, and graceful shutdown.

mod error;
mod keys;
mod parts;
mod passes;
mod readiness;
mod running;
mod wiring;

pub use error::StartError;
pub use parts::{Parts, migrate, open};
pub use running::{Listening, Running, start};
