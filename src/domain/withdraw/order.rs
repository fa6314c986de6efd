//! What was asked for, every field valid by itself: the first step between a draft and its terms.

use super::PassThru;
use crate::domain::{Amount, Currency};

/// A valid request without its value in satoshis, which depends on a rate ([`Order::quote`]). The first
/// step from a draft to terms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Order {
    /// The caller's idempotency key.
    pub request_id: Option<String>,
    /// The least that the customer can receive; `max_amount` if none was given.
    pub min_amount: Amount,
    /// The most that the customer can receive.
    pub max_amount: Amount,
    /// The currency of both amounts.
    pub currency: Currency,
    /// How long it can be claimed.
    pub ttl_s: i64,
    /// LUD-03's `defaultDescription`; empty for none.
    pub memo: String,
    /// A note about the account.
    pub statement_descriptor: Option<String>,
    /// The creator's own data.
    pub pass_thru: Option<PassThru>,
}
