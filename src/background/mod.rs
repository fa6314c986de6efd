//! Work that nobody asks for: each is a `run_once()` over stored state, any pass may be the first or
//! the second, and running it twice is as good as once.

mod expiry;
mod heartbeat;
mod run;

pub use expiry::Expiry;
pub use heartbeat::Heartbeats;
pub use run::{Schedule, run_expiry, run_guard, run_heartbeats, run_payer};
