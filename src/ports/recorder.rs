//! Who counts what happens. Whoever does something says so here once it is durable; what is made of it,
//! and for whom, is no matter of theirs.

use crate::domain::{Payment, payment::Transition};

/// Counts. Never fails and never waits: nothing depends on it.
pub trait Recorder: Send + Sync {
    /// A claim was accepted.
    fn claimed(&self);

    /// A step of an attempt was written.
    fn transition(&self, payment: &Payment, transition: Transition);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug)]
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn claimed(&self) {}

    fn transition(&self, _: &Payment, _: Transition) {}
}
