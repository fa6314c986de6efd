//! Records what happened, for metrics. Callers report an event once it is durable; they do not know how
//! it is counted or exported.

use crate::domain::{Payment, payment::Transition};

/// Counts events. Never fails and never blocks, because no decision depends on it.
pub trait Recorder: Send + Sync {
    /// A claim was accepted.
    fn claimed(&self);

    /// A transition of an attempt was committed.
    fn transition(&self, payment: &Payment, transition: Transition);
}

/// Discards everything.
#[derive(Clone, Copy, Debug)]
pub struct NoRecorder;

impl Recorder for NoRecorder {
    fn claimed(&self) {}

    fn transition(&self, _: &Payment, _: Transition) {}
}
