//! Who counts what happens. Whoever does something says so here once it is durable; what is made of it,
//! and for whom, is no matter of theirs.

use crate::domain::{Payment, State};

/// Counts. Never fails and never waits: nothing depends on it.
pub trait Meter: Send + Sync {
    /// A claim was accepted.
    fn claimed(&self);

    /// A step of an attempt was written: it was in `before`.
    fn stepped(&self, before: &State, payment: &Payment);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoMeter;

impl Meter for NoMeter {
    fn claimed(&self) {}

    fn stepped(&self, _: &State, _: &Payment) {}
}
