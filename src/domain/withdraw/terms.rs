//! The terms of a withdraw request.

use super::PassThru;
use crate::domain::{Amount, Currency, Sat, SatRange};

/// What the creator requested, with all defaults filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// The least that the customer can receive, in `currency`.
    pub min_amount: Amount,
    /// The most that the customer can receive, in `currency`.
    pub max_amount: Amount,
    /// The currency of the amounts above.
    pub currency: Currency,
    /// The currency that is paid out.
    pub target_currency: Currency,
    /// Units of the target currency per unit of the currency.
    pub exchange_rate: Amount,
    /// How long it can be claimed.
    pub ttl_s: i64,
    /// `min_amount` in whole satoshis, rounded up.
    pub target_min: Sat,
    /// `max_amount` in whole satoshis, rounded down.
    pub target_max: Sat,
    /// LUD-03's `defaultDescription`; empty for none.
    pub memo: String,
    /// A note about the account.
    pub statement_descriptor: Option<String>,
    /// The creator's own data.
    pub pass_thru: Option<PassThru>,
}

impl Terms {
    /// The range that an invoice's amount must be in.
    pub const fn bounds(&self) -> SatRange {
        SatRange { min: self.target_min, max: self.target_max }
    }

    /// Whether a repeat under the same request id requests the same. Computed values (rate and target
    /// amounts) are not compared, since they may change over time.
    pub fn same_content(&self, other: &Self) -> bool {
        self.min_amount == other.min_amount
            && self.max_amount == other.max_amount
            && self.currency == other.currency
            && self.ttl_s == other.ttl_s
            && self.memo == other.memo
            && self.statement_descriptor == other.statement_descriptor
            && self.pass_thru == other.pass_thru
    }
}
