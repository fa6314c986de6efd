//! What this store needs of a database: its driver, and the statements that differ between the two.

use super::{
    marks::MarksDialect,
    payments::{Lease, LeasedIds},
    withdraws::OfVersion,
};
use crate::store::{driver::Driver, statement::Statement};

/// A database that this store runs on.
pub trait Database: Driver {
    /// The statements that this database spells in its own way.
    fn dialect(&self) -> &'static Dialect;
}

/// One database's version of each of these statements.
#[derive(Debug)]
pub struct Dialect {
    /// Leases RESERVED attempts.
    pub lease_fresh: Statement<Lease>,
    /// Leases attempts in any other state that are due.
    pub lease_follow: Statement<Lease>,
    /// Reads the leased attempts, with their requests.
    pub leased: Statement<LeasedIds<'static>>,
    /// Reads the sends of the leased attempts.
    pub leased_sends: Statement<LeasedIds<'static>>,
    /// Reads a request if it has the given version, and locks it until the transaction ends.
    pub hold_withdraw: Statement<OfVersion>,
    /// Reads the instance's switches, and locks them until the transaction ends.
    pub hold_instance: Statement<()>,
    /// Reads the instance's switches without a lock.
    pub see_instance: Statement<()>,
    /// Reads the newest attempt, and a time that caps the one in its id, which comes from the clock of a
    /// process and may be ahead.
    pub newest_written: Statement<()>,
    /// Locks the limit gate until the transaction ends, so that claims under a limit run one at a time.
    pub pass_limit: Statement<()>,
    /// The statements about writers' marks.
    pub marks: MarksDialect,
}
