//! Who decides, as it comes in.

use crate::domain::{ActorDraft, Principal};

/// Who decides, and why.
pub const fn actor(principal: Principal, name: String, reason: String) -> ActorDraft {
    ActorDraft { principal, name, reason }
}
