//! The node's payments that the database does not know: page by page for an operator who assigns them, and all
//! of them for an acknowledgement.

use std::collections::HashSet;

use super::InstanceError;
use crate::{
    domain::{CommonField, InvalidToken, PaymentHash, Timestamp, Violation},
    lookup::{MAX_UNKNOWN, NodeAccess},
    ports::ListedPayment,
};

/// A page of them.
#[derive(Clone, Debug)]
pub struct UnknownPage {
    /// In the node's order.
    pub payments: Vec<ListedPayment>,
    /// Continues the list. Empty: this is the last page.
    pub next_page_token: String,
}

/// All of them, as an acknowledgement needs them. The node may have made any number: only so many are kept.
pub(super) struct Unknown {
    /// Those that the operator assigns to requests.
    pub(super) assigned: Vec<ListedPayment>,
    /// The others, the first [`MAX_UNKNOWN`].
    pub(super) others: Vec<ListedPayment>,
    /// There are more others.
    pub(super) more: bool,
}

impl Unknown {
    /// Whether an answer cannot list all of them. The same before and after those that are assigned are
    /// marked as paid, so that assigning them in several calls does not end the fence before the last one.
    pub(super) const fn is_too_long(&self) -> bool {
        self.more || self.assigned.len() + self.others.len() > MAX_UNKNOWN
    }
}

/// The page after a token, which is an index of the node: what is listed before it stays listed as long as the
/// fence stands.
pub(super) async fn page(
    node: &NodeAccess,
    since: Timestamp,
    page_token: &str,
) -> Result<UnknownPage, InstanceError> {
    let after_index = if page_token.is_empty() {
        0
    } else {
        page_token.parse().map_err(|_| {
            let field = CommonField::PageToken;
            InstanceError::Invalid(vec![Violation::new(field, InvalidToken::Malformed)])
        })?
    };
    let page = node.unknown_payments(since, after_index).await?;
    let next_page_token = page.more_after.map(|index| index.to_string()).unwrap_or_default();
    Ok(UnknownPage { payments: page.payments, next_page_token })
}

/// All of them, with those of these hashes apart.
pub(super) async fn all(
    node: &NodeAccess,
    since: Timestamp,
    assigned: &HashSet<PaymentHash>,
) -> Result<Unknown, InstanceError> {
    let mut unknown = Unknown { assigned: Vec::new(), others: Vec::new(), more: false };
    let mut after_index = 0;
    loop {
        let page = node.unknown_payments(since, after_index).await?;
        for payment in page.payments {
            if assigned.contains(&payment.record.payment_hash) {
                unknown.assigned.push(payment);
            } else if unknown.others.len() < MAX_UNKNOWN {
                unknown.others.push(payment);
            } else {
                unknown.more = true;
            }
        }
        let is_complete = unknown.more && unknown.assigned.len() == assigned.len();
        match page.more_after {
            Some(index) if !is_complete => after_index = index,
            Some(_) | None => return Ok(unknown),
        }
    }
}
