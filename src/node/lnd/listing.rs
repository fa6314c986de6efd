//! lnd's list of its payments.
//!
//! lnd bounds it by whole seconds and takes no span of one second. So it is asked for a little more,
//! and what is outside is dropped here.

use super::{
    answers,
    proto::lnrpc::{ListPaymentsRequest, Payment},
};
use crate::{
    domain::Timestamp,
    ports::{ListedPayment, NodeError, PaymentsQuery},
};

const MS_PER_S: i64 = 1_000;

/// Asks for what comes after `after_index`.
pub(super) fn request(query: &PaymentsQuery, after_index: u64) -> ListPaymentsRequest {
    let second = |at: Timestamp| u64::try_from(at.as_ms().div_euclid(MS_PER_S)).unwrap_or_default();
    ListPaymentsRequest {
        include_incomplete: true,
        index_offset: after_index,
        max_payments: query.limit.max(1).into(),
        creation_date_start: second(query.created_from),
        // A store in SQL compares fractions of a second too, and would leave out the last second.
        creation_date_end: second(query.created_to).saturating_add(1),
        omit_hops: true,
    }
}

/// Where the next page begins.
pub(super) fn next_after(after_index: u64, last: &Payment) -> Result<u64, NodeError> {
    if last.payment_index > after_index {
        Ok(last.payment_index)
    } else {
        // It would go round for ever.
        Err(answers::garbled("a list of payments that is not in order"))
    }
}

/// What of lnd's page was asked for. One payment that is not understood spoils it: who compares
/// the list with something must not be told that it is whole.
pub(super) fn within(
    query: &PaymentsQuery,
    page: &[Payment],
) -> Result<Vec<ListedPayment>, NodeError> {
    let mut payments = Vec::with_capacity(page.len());
    for payment in page {
        let record = answers::record(payment)?;
        let untold = record.created == Timestamp::MAX;
        if untold || (query.created_from..=query.created_to).contains(&record.created) {
            payments.push(ListedPayment {
                record,
                invoice: payment.payment_request.clone(),
                index: payment.payment_index,
            });
        }
    }
    Ok(payments)
}
