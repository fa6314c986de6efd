//! Pages of lnd's payments.
//!
//! lnd's time bounds are whole seconds, and the end must be after the start. So the request is wider than the
//! query, and payments outside the query are dropped here.

use super::{
    errors,
    proto::lnrpc::{ListPaymentsRequest, Payment},
    records,
};
use crate::{
    domain::Timestamp,
    ports::{ListedPayment, NodeError, PaymentsQuery},
};

const MS_PER_S: i64 = 1_000;

/// The request for the page after `after_index`.
pub(super) fn request(query: &PaymentsQuery, after_index: u64) -> ListPaymentsRequest {
    let second = |at: Timestamp| u64::try_from(at.as_ms().div_euclid(MS_PER_S)).unwrap_or_default();
    ListPaymentsRequest {
        include_incomplete: true,
        index_offset: after_index,
        max_payments: query.limit.max(1).into(),
        creation_date_start: second(query.created_from),
        // An lnd on SQL compares fractions of a second too, and would omit the last second.
        creation_date_end: second(query.created_to).saturating_add(1),
        omit_hops: true,
    }
}

/// The index that the next page follows.
pub(super) fn next_after(after_index: u64, last: &Payment) -> Result<u64, NodeError> {
    if last.payment_index > after_index {
        Ok(last.payment_index)
    } else {
        // Or the same page would come again and again.
        Err(errors::garbled("a list of payments that is not in order"))
    }
}

/// The payments of lnd's page that match the query.
///
/// One that cannot be read is an error: a caller that compares the list must not take it for complete.
pub(super) fn matching(
    query: &PaymentsQuery,
    page: &[Payment],
) -> Result<Vec<ListedPayment>, NodeError> {
    let mut payments = Vec::with_capacity(page.len());
    for payment in page {
        let record = records::record(payment)?;
        let time_unknown = record.created == Timestamp::MAX;
        if time_unknown || (query.created_from..=query.created_to).contains(&record.created) {
            payments.push(ListedPayment {
                record,
                invoice: payment.payment_request.clone(),
                index: payment.payment_index,
            });
        }
    }
    Ok(payments)
}
