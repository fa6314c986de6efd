//! Who acts: the authenticated principal, the name that they give, and the reason.

use super::{InstanceField, Violation};

const MAX_NAME_BYTES: usize = 128;
const MAX_REASON_BYTES: usize = 640;

/// The caller, as far as the process has authenticated it. Every use case receives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Principal {
    /// Anyone who reaches the gRPC port: no credential is required.
    Unnamed,
    /// The service itself.
    Service,
}

impl Principal {
    /// How rows identify the creator. Request ids are unique per caller.
    pub const fn caller(self) -> &'static str {
        match self {
            Self::Unnamed | Self::Service => "",
        }
    }
}

/// Who decided something, by which authority, and why. Part of the change's event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// The authenticated principal. It is not stored: an actor read back has [`Principal::Unnamed`].
    pub principal: Principal,
    /// The name that they give; unverified.
    pub name: String,
    /// The reason, and what was known.
    pub reason: String,
}

/// An actor as received.
#[derive(Clone, Debug)]
pub struct ActorDraft {
    /// The authenticated principal.
    pub principal: Principal,
    /// A name.
    pub name: String,
    /// The actor's reason.
    pub reason: String,
}

impl Actor {
    /// The service itself.
    pub fn service(reason: impl Into<String>) -> Self {
        Self { principal: Principal::Service, name: "withdrawd".to_owned(), reason: reason.into() }
    }

    /// An actor who was not authenticated.
    pub fn unnamed(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { principal: Principal::Unnamed, name: name.into(), reason: reason.into() }
    }
}

impl ActorDraft {
    /// Checks both texts and reports every violation.
    pub fn validate(self) -> Result<Actor, Vec<Violation>> {
        let rules = [
            (InstanceField::Operator, name_rule(&self.name)),
            (InstanceField::Reason, reason_rule(&self.reason)),
        ];
        let broken = rules.into_iter().filter_map(|(field, rule)| Some((field, rule?)));
        let broken: Vec<Violation> =
            broken.map(|(field, rule)| Violation::new(field, rule)).collect();
        if !broken.is_empty() {
            return Err(broken);
        }
        let Self { principal, name, reason } = self;
        Ok(Actor { principal, name, reason })
    }
}

/// The rule that a name breaks.
fn name_rule(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        Some("is required".to_owned())
    } else if text.len() > MAX_NAME_BYTES {
        Some(format!("must be at most {MAX_NAME_BYTES} bytes"))
    } else if text.contains(char::is_control) {
        Some("must have no control characters".to_owned())
    } else {
        None
    }
}

/// The rule that a reason breaks.
fn reason_rule(text: &str) -> Option<String> {
    let forbidden = |c: char| c.is_control() && c != '\n' && c != '\t';
    if text.trim().is_empty() {
        Some("is required".to_owned())
    } else if text.len() > MAX_REASON_BYTES {
        Some(format!("must be at most {MAX_REASON_BYTES} bytes"))
    } else if text.contains(forbidden) {
        Some("must have no control characters but tab and newline".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_at_their_edges() {
        assert_eq!(name_rule(&"é".repeat(64)), None);
        for bad in ["", " ", &"x".repeat(129), "al\nice", "\u{1b}[31mroot", "nul\0"] {
            assert!(name_rule(bad).is_some(), "{bad:?} was accepted as a name");
        }
        assert_eq!(reason_rule(&"x".repeat(640)), None);
        assert_eq!(reason_rule("asked the payee:\n\tnot paid"), None);
        for bad in ["", "\n\t", &"x".repeat(641), "\u{7}", "nul\0"] {
            assert!(reason_rule(bad).is_some(), "{bad:?} was accepted as a reason");
        }
    }
}
