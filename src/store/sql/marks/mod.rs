//! Commits that callers are told of, and the marks of this process that show whether they are there.

mod book;
mod durable;
mod statements;

pub use book::{CommitLabel, Marks};
pub use durable::OnLoss;
pub(in crate::store) use statements::marks_dialect;
pub use statements::{
    Advance, Begin, Forget, FoundAll, LEAVE, MarksDialect, OfWriter, Verify, YetToRead, read_marks,
};
