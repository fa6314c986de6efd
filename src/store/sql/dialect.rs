//! The statements that the two databases spell differently.

use super::{
    marks::MarksDialect,
    payments::{Lease, LeasedIds},
    withdraws::OfVersion,
};
use crate::store::statement::Statement;

/// A database's own words for them.
#[derive(Debug)]
pub struct Dialect {
    /// Leases RESERVED attempts.
    pub lease_fresh: Statement<Lease>,
    /// Leases all others that are due.
    pub lease_follow: Statement<Lease>,
    /// Reads what was leased, with the requests.
    pub leased: Statement<LeasedIds<'static>>,
    /// Reads its sends.
    pub leased_sends: Statement<LeasedIds<'static>>,
    /// Reads a request of a version, and keeps it so until the transaction ends.
    pub hold_withdraw: Statement<OfVersion>,
    /// Reads the instance's switches, and keeps them so until the transaction ends.
    pub hold_instance: Statement<()>,
    /// Reads them alone.
    pub see_instance: Statement<()>,
    /// Reads the newest attempt, and what bounds the time of its id, which a process's clock has made.
    pub newest_written: Statement<()>,
    /// Waits for whoever counts what a limit leaves, until the transaction ends.
    pub pass_limit: Statement<()>,
    /// What writers' marks need.
    pub marks: MarksDialect,
}
