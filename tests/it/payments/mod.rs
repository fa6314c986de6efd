//! Payments: paid once, through crashes, doubts, stalls and restarts.

pub mod chaos;
pub mod contradictions;
pub mod crashes;
pub mod doubts;
pub mod exhaustive;
pub mod many_open;
pub mod outcomes;
pub mod regressions;
pub mod simulation;
pub mod stalls;
pub mod tallies;
