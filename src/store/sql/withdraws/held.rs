//! The parameters of `withdraw.hold`, of which each database has its own version.

use crate::domain::WithdrawId;

params! {
    /// A request, if it has this version.
    pub struct OfVersion {
        id: WithdrawId,
        version: i64,
    }
}
