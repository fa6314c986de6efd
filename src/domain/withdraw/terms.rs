//! What was asked for.

use super::PassThru;
use crate::domain::{Amount, Currency, Sat, SatRange};

/// What was asked for, with all defaults filled in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// The least that the customer can receive, in `currency`.
    pub min_amount: Amount,
    /// The most that the customer can receive, in `currency`.
    pub max_amount: Amount,
    /// Of the amounts above.
    pub currency: Currency,
    /// What is sent.
    pub target_currency: Currency,
    /// Target currency for one unit of currency.
    pub exchange_rate: Amount,
    /// How long it can be claimed.
    pub ttl_s: i64,
    /// `min_amount` in whole satoshis, rounded up.
    pub target_min: Sat,
    /// `max_amount` in whole satoshis, rounded down.
    pub target_max: Sat,
    /// LUD-03's defaultDescription; empty for none.
    pub memo: String,
    /// A note about the account.
    pub statement_descriptor: Option<String>,
    /// The creator's own data.
    pub pass_thru: Option<PassThru>,
}

impl Terms {
    /// What a wallet may ask for.
    pub const fn bounds(&self) -> SatRange {
        SatRange { min: self.target_min, max: self.target_max }
    }

    /// Whether a repeat under the same request id asks for the same. What is computed (rate and
    /// target amounts) is not compared: it may differ from one moment to the next.
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
