//! Commits that callers are told of, and the marks of this process that show whether they are there.

mod book;
mod durable;
mod statements;

pub(in crate::store) use book::Marks;
pub(super) use book::{CommitLabel, Found};
pub(super) use durable::OnLoss;
pub(in crate::store) use statements::marks_dialect;
