//! The actor of an operator's request.

use crate::domain::{ActorDraft, Principal};

/// An operator's name and reason, not yet validated.
pub const fn actor(principal: Principal, name: String, reason: String) -> ActorDraft {
    ActorDraft { principal, name, reason }
}
