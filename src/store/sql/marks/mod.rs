//! Marks: they show whether the database still has every commit that this process acknowledged to a caller.

mod counters;
mod durable;
mod stage;
mod statements;

pub use counters::{CommitLabel, Marks};
pub use durable::OnLoss;
pub(in crate::store) use statements::marks_dialect;
pub use statements::{
    Advance, Begin, Forget, FoundAll, LEAVE, MarksDialect, OfWriter, Verify, YetToRead, read_marks,
};
