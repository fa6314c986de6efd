//! A database that lost commits: noticed, fenced, and opened again by an operator.

pub mod backups;
pub mod fences;
pub mod fences_again;
pub mod fences_ahead;
pub mod fences_many;
pub mod marks;
pub mod marks_failover;
pub mod marks_mix;
