//! What leasing takes: the parameters of the databases' own statements, and the statements that read a leased
//! batch.

use crate::{domain::Timestamp, store::statement::Statement};

params! {
    /// The parameters of `payment.lease_fresh` and `payment.lease_follow`, of which each database has its own
    /// version.
    pub struct Lease {
        until: Timestamp,
        now: Timestamp,
        limit: i64,
    }

    /// The leased attempts, as a JSON array of ids.
    pub struct LeasedIds<'a> {
        ids: &'a str,
    }
}

/// Reads a leased batch. Each database has its own way to expand the array of ids.
macro_rules! select_leased {
    ($ids:literal) => {
        statement!(
            LeasedIds,
            "read leased payments",
            concat!(
                "-- payment.leased\nselect ",
                $crate::store::sql::withdraws::row::withdraw_columns!(),
                ", ",
                $crate::store::sql::payments::row::payment_columns!(),
                " from payments p join withdraws w on w.id = p.withdraw_id where p.id in (",
                $ids,
                ")"
            )
        )
    };
}

/// Reads the sends of a leased batch.
macro_rules! select_leased_sends {
    ($ids:literal) => {
        statement!(
            LeasedIds,
            "read the sends of leased payments",
            concat!(
                "-- send.of_leased
     select payment_id, number, epoch, node_id, sent_at_ms, begun_at_ms, send_deadline_ms,
            answer, sequence
       from sends where payment_id in (",
                $ids,
                ") order by payment_id, number"
            )
        )
    };
}

pub const LEASED_POSTGRES: Statement<LeasedIds> = select_leased!(
    "select cast(value as uuid) from jsonb_array_elements_text(cast(:ids as jsonb))"
);
pub const LEASED_SQLITE: Statement<LeasedIds> =
    select_leased!("select unhex(value) from json_each(:ids)");
pub const LEASED_SENDS_POSTGRES: Statement<LeasedIds> = select_leased_sends!(
    "select cast(value as uuid) from jsonb_array_elements_text(cast(:ids as jsonb))"
);
pub const LEASED_SENDS_SQLITE: Statement<LeasedIds> =
    select_leased_sends!("select unhex(value) from json_each(:ids)");
