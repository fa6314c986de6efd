//! What the command line asks of `Reconcile`, and how it writes the answer.

use prost_types::Timestamp;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{ClientError, Operations, answer, time_text};
use crate::pb::{ReconcileLine, ReconcileRequest, ReconcileResponse, reconcile_line::Verdict};

/// An instant in RFC 3339: `2026-11-21T20:34:02Z`.
#[derive(Clone, Copy, Debug)]
pub struct Instant(Timestamp);

impl Instant {
    pub(super) const fn to_wire(self) -> Timestamp {
        self.0
    }
}

impl std::str::FromStr for Instant {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = OffsetDateTime::parse(text, &Rfc3339);
        let at = read.map_err(|_| "must be a time such as 2026-11-21T20:34:02Z")?;
        let nanos = i32::try_from(at.nanosecond()).unwrap_or_default();
        Ok(Self(Timestamp { seconds: at.unix_timestamp(), nanos }))
    }
}

impl Operations {
    /// The node's payments beside ours.
    pub async fn reconcile(
        &mut self,
        from: Instant,
        to: Option<Instant>,
        only_differences: bool,
    ) -> Result<ReconcileResponse, ClientError> {
        let (from, to) = (Some(from.0), to.map(|to| to.0));
        let request = ReconcileRequest { from, to, only_differences };
        answer(self.0.reconcile(request).await)
    }
}

impl ReconcileLine {
    /// Its cells for a table and for CSV, as [`HEADER`] names them.
    pub fn cells(&self) -> [String; 10] {
        let (here, there) = (self.here.as_ref(), self.there.as_ref());
        let number = |value: Option<i64>| value.map_or_else(String::new, |n| n.to_string());
        [
            self.payment_hash.clone(),
            self.verdict().as_str_name().to_owned(),
            here.map_or_else(String::new, |payment| payment.id.clone()),
            here.map_or_else(String::new, |payment| payment.withdraw_id.clone()),
            here.map_or("", |payment| payment.state().as_str_name()).to_owned(),
            there.map_or("", |record| record.state().as_str_name()).to_owned(),
            number(here.map(|payment| payment.amount_msat)),
            number(there.map(|record| record.amount_msat)),
            number(there.and_then(|record| record.fee_msat)),
            time_text(there.and_then(|record| record.created)),
        ]
    }

    /// Whether somebody has to look.
    pub fn is_difference(&self) -> bool {
        !matches!(self.verdict(), Verdict::Matches | Verdict::UnderWay)
    }
}

/// The names of [`ReconcileLine::cells`].
pub const HEADER: [&str; 10] = [
    "payment_hash",
    "verdict",
    "payment_id",
    "withdraw_id",
    "state_here",
    "state_there",
    "amount_here_msat",
    "amount_there_msat",
    "fee_there_msat",
    "created_there",
];
